import { AuthplaneError } from './authplane-error.js';

/**
 * A request to an MCP endpoint whose operations cannot be told: no parsed body, or one that no server
 * should be asked to read.
 */
export class InvalidRequestError extends AuthplaneError {
  readonly code = 'invalid_request';
}

/**
 * JSON in another charset than UTF-8 (RFC 8259 §8.1): the guard and the MCP server could read different
 * messages in the same bytes. Answered with 415.
 */
export class UnsupportedCharsetError extends InvalidRequestError {}

/** A body of more bytes than `AuthplaneMiddleware` reads itself (RFC 9110 §15.5.14). Answered with 413. */
export class RequestTooLargeError extends InvalidRequestError {}

/** A rule of the application, or its users, have no place for this caller, and no scope would change that. */
export class OperationRefusedError extends AuthplaneError {
  readonly code = 'access_denied';
}

/**
 * A request to an MCP session that is not the caller's. On the wire the same as for a session that does
 * not exist, so that nobody learns which do (MCP, Session Management).
 */
export class SessionNotFoundError extends AuthplaneError {
  readonly code = 'session_not_found';
}

/** A web page that may not call the MCP endpoint (MCP, Transports: the `Origin` header). */
export class OriginRefusedError extends AuthplaneError {
  readonly code = 'origin_refused';
}

/**
 * A request for a host name or a path that is no resource of this application. Answered with 404 and no
 * challenge, whatever credential came with it.
 */
export class UnknownResourceError extends AuthplaneError {
  readonly code = 'unknown_resource';
}

/**
 * A function of the application that a request depends on has failed, took too long, or gave what it must
 * not give: nobody can tell whether the request may pass. Answered with 503.
 */
export class CallbackError extends AuthplaneError {
  readonly code = 'callback_failed';
}
