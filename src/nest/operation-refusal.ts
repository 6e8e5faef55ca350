import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  Injectable,
  UseFilters,
} from '@nestjs/common';
import { type Observable, throwError } from 'rxjs';
import { publicSentence, toChallenge } from '../core/challenge.js';
import type { AuthplaneError } from '../core/errors.js';

/** JSON-RPC error of an operation that must not run for this caller. */
const FORBIDDEN = -32003;
/** Own property by which SDK v2 knows its errors, whichever of its copies is loaded. */
const SDK_ERROR_BRANDS = Symbol.for('mcp.sdk.errorBrands');

/** A refusal right before an operation of an MCP library runs; that library makes a JSON-RPC error of it. */
export class OperationRefusal extends Error {
  readonly code = FORBIDDEN;
  /** What a refusal by the guard has in its body. */
  readonly data: unknown;

  constructor(cause: AuthplaneError) {
    super(publicSentence(cause), { cause });
    this.name = new.target.name;
    this.data = toChallenge(cause).body;
    Object.defineProperty(this, SDK_ERROR_BRANDS, { value: new Set(['mcp.ProtocolError']) });
  }
}

/** Nest would make "Internal server error" of it on its way to MCP-Nest 2. */
@Catch(OperationRefusal)
@Injectable()
export class OperationRefusalFilter implements ExceptionFilter<OperationRefusal> {
  catch(refusal: OperationRefusal, host: ArgumentsHost): Observable<never> {
    if (host.getType() === 'rpc') return throwError(() => refusal);
    // MCP-Nest 1 asks filters for a text and says "http"; what one throws keeps its code and data.
    throw refusal;
  }
}

export const keepOperationRefusals = UseFilters(OperationRefusalFilter);
