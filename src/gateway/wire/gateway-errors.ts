import { AuthplaneError, type AuthplaneErrorOptions } from '../../core/errors/authplane-error.js';

/** Why an upstream gave no answer that could be passed on. */
export type UpstreamErrorCode =
  | 'upstream_busy'
  | 'upstream_failed'
  | 'upstream_rate_limited'
  | 'upstream_refused'
  | 'upstream_timeout'
  | 'upstream_unavailable';

/** Options of {@link UpstreamError}. */
export interface UpstreamErrorOptions extends AuthplaneErrorOptions {
  /** Which of the failures it is. */
  readonly code: UpstreamErrorCode;
  /** Name of the upstream in the options. */
  readonly upstream: string;
  /** When a further attempt makes sense, in seconds. Default: nobody knows. */
  readonly retryAfterSeconds?: number | undefined;
  /** The request had left: the operation may have run. Default `false`. */
  readonly maybeExecuted?: boolean;
  /** HTTP status that it answered with. Default: none is known. */
  readonly status?: number | undefined;
}

/**
 * An upstream of the gateway refused its token, answered with a failure or not at all, or is spared for a
 * while. The message is for operators; clients hear one sentence per code.
 */
export class UpstreamError extends AuthplaneError {
  readonly code: UpstreamErrorCode;
  /** Name of the upstream in the options. */
  readonly upstream: string;
  /** When a further attempt makes sense, in whole seconds; `undefined`: nobody knows. */
  readonly retryAfterSeconds: number | undefined;
  /** The request had left: the operation may have run. */
  readonly maybeExecuted: boolean;
  /** HTTP status that it answered with; `undefined` where it did not. */
  readonly status: number | undefined;

  /** The message names no URL, and quotes what the upstream said. */
  constructor(message: string, options: UpstreamErrorOptions) {
    super(message, options);
    const { code, upstream, retryAfterSeconds, maybeExecuted = false } = options;
    this.code = code;
    this.upstream = upstream;
    this.retryAfterSeconds = retryAfterSeconds;
    this.maybeExecuted = maybeExecuted;
    this.status = options.status;
  }
}

/** Nothing of this name is offered to this caller. Nothing was sent to an upstream. */
export class UnknownOperationError extends AuthplaneError {
  readonly code = 'unknown_operation';

  /** Takes what there is not, such as `Unknown tool: calendar__list`; also the caller reads it. */
  constructor(what: string, options?: AuthplaneErrorOptions) {
    super(what, options);
  }
}

/** A message that an MCP server has to answer with an error of JSON-RPC; the caller reads its message. */
export class RpcError extends Error {
  readonly status: number;
  readonly rpc: { readonly code: number; readonly message: string; readonly data?: unknown };

  constructor(status: number, rpc: RpcError['rpc']) {
    super(rpc.message);
    this.name = 'RpcError';
    this.status = status;
    this.rpc = rpc;
  }
}
