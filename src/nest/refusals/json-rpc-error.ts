import { type ArgumentsHost, Catch, type ExceptionFilter, Injectable } from '@nestjs/common';
import { type Observable, throwError } from 'rxjs';

/** JSON-RPC error of an operation that must not run for this caller. */
export const FORBIDDEN = -32003;

/** Own property by which SDK v2 knows its errors, whichever of its copies or of ours is loaded. */
const SDK_ERROR_BRANDS = Symbol.for('mcp.sdk.errorBrands');

export interface JsonRpcErrorOptions {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
  readonly cause: unknown;
  /** Further classes of SDK v2 that it is taken for. */
  readonly brands?: readonly string[];
}

/**
 * An error that both SDK generations turn into a JSON-RPC error with this code and data. Where v1
 * insists on its own class, see `mcp/thrown-errors.ts`.
 */
export class JsonRpcError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor({ code, message, data, cause, brands = [] }: JsonRpcErrorOptions) {
    super(message, { cause });
    this.name = new.target.name;
    this.code = code;
    this.data = data;
    Object.defineProperty(this, SDK_ERROR_BRANDS, {
      value: new Set(['mcp.ProtocolError', ...brands]),
    });
  }
}

/** Keeps code and data: Nest would make "Internal server error" of it on its way to MCP-Nest 2. */
@Catch(JsonRpcError)
@Injectable()
export class JsonRpcErrorFilter implements ExceptionFilter<JsonRpcError> {
  catch(error: JsonRpcError, host: ArgumentsHost): Observable<never> {
    if (host.getType() === 'rpc') return throwError(() => error);
    // MCP-Nest 1 asks filters for a text and says "http"; what one throws keeps its code and data.
    throw error;
  }
}
