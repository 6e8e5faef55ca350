import { node } from '../platform/node.js';
import { AuthplaneError, type AuthplaneErrorOptions } from '../errors/authplane-error.js';
import { OutboundOverloadError } from '../errors/server-errors.js';

/**
 * Why a request got no usable answer.
 *
 * - `url`: not an absolute `https` URL, or one with user information or a fragment
 * - `address_refused`: the host has an address that the address policy refuses; nothing was sent
 * - `connection`: name resolution, connecting, TLS or the HTTP exchange failed
 * - `timeout`: the total deadline passed, counted from when the request had its turn
 * - `redirect`: a 3xx answer; none is followed
 * - `too_large`: the body exceeds the size limit
 * - `content_encoding`: the body is compressed although `identity` was asked for
 * - `closed`: `close()` was called
 */
export type OutboundFailure =
  | 'url'
  | 'address_refused'
  | 'connection'
  | 'timeout'
  | 'redirect'
  | 'too_large'
  | 'content_encoding'
  | 'closed';

export interface OutboundHttpErrorOptions extends AuthplaneErrorOptions {
  readonly reason: OutboundFailure;
  /** See {@link OutboundHttpError.stale}. Default `false`. */
  readonly stale?: boolean;
}

/** A request that got no usable answer. The message names the host, never query or body. */
export class OutboundHttpError extends AuthplaneError {
  readonly code = 'outbound_http_error';
  readonly reason: OutboundFailure;
  /**
   * Whether a connection kept from an earlier request broke before a byte of the answer came, as it
   * does when the server closes it at that moment: what can be asked twice is worth a second try.
   */
  readonly stale: boolean;

  constructor(message: string, options: OutboundHttpErrorOptions) {
    super(message, options);
    this.reason = options.reason;
    this.stale = options.stale ?? false;
  }
}

/** An idle connection turned out to be dead before it brought a byte of the answer. */
export class StaleSocketError extends Error {
  constructor(override readonly cause: unknown) {
    super('the connection was dead');
  }
}

export function refusedUrlError(url: URL, problem: string): OutboundHttpError {
  return new OutboundHttpError(`the URL at ${url.host} ${problem}`, { reason: 'url' });
}

export function refusedAddressError(
  subject: string,
  why: string,
  local: boolean,
  wayOut = 'the fetch option',
): OutboundHttpError {
  const advice = local
    ? `set devMode for local development, or ${wayOut} to reach a private network`
    : 'devMode does not allow it either; correct the host name or its DNS records';
  return new OutboundHttpError(`the address ${subject} is not a public one (${why}); ${advice}`, {
    reason: 'address_refused',
  });
}

export function notAnAddressError(host: string): OutboundHttpError {
  return new OutboundHttpError(
    `${host} resolves to something that is not a plain IP address; correct its DNS records or ` +
      `the hosts file of this machine`,
    { reason: 'address_refused' },
  );
}

export function noAddressError(host: string): OutboundHttpError {
  return new OutboundHttpError(`${host} has no address; check its DNS records`, {
    reason: 'connection',
  });
}

export function redirectError(host: string, status: number): OutboundHttpError {
  return new OutboundHttpError(
    `${host} answered with a redirect (${status}), which is not followed; configure the final URL`,
    { reason: 'redirect' },
  );
}

export function contentEncodingError(host: string): OutboundHttpError {
  return new OutboundHttpError(
    `${host} sent a compressed body although identity was asked for; switch compression off there`,
    { reason: 'content_encoding' },
  );
}

export function tooLargeError(host: string, maxBytes: number): OutboundHttpError {
  return new OutboundHttpError(
    `the body that ${host} sent exceeds the limit of ${maxBytes} bytes; check that the ` +
      `URL is the right one, or have the authorization server send less`,
    { reason: 'too_large' },
  );
}

export function timeoutError(host: string, timeoutMs: number): OutboundHttpError {
  return new OutboundHttpError(
    `${host} did not complete its answer within ${timeoutMs} ms; check it and the network in ` +
      `between, or set the fetch option when only a proxy reaches it`,
    { reason: 'timeout' },
  );
}

export function overloadError(host: string, maxSockets: number): OutboundOverloadError {
  return new OutboundOverloadError(
    `${maxSockets} requests to one endpoint of ${host} are under way, and this one waited too long ` +
      `for its turn; raise maxSockets if the authorization server can take more`,
    { retryAfterSeconds: 1 },
  );
}

export function closedError(host: string): OutboundHttpError {
  return new OutboundHttpError(`the client was closed before ${host} answered`, {
    reason: 'closed',
  });
}

/** The error that callers see: `thrown` as it is, the reason why the call was ended, or a lost connection. */
export function failureOf(thrown: unknown, host: string, ended: unknown): OutboundHttpError {
  if (thrown instanceof OutboundHttpError) return thrown;
  if (ended instanceof OutboundHttpError) return ended;
  const stale = thrown instanceof StaleSocketError;
  const error = stale ? thrown.cause : thrown;
  const code = errorCode(error);
  // A parser error carries the bytes it stumbled over, which may be a token.
  const rest = code?.startsWith('HPE_') === true ? {} : { cause: error, stale };
  return new OutboundHttpError(
    `${host} gave no complete HTTP answer${code === undefined ? '' : ` (${code})`}; ` +
      `check that this host can reach it and trusts its certificate`,
    { reason: 'connection', ...rest },
  );
}

/** Of the error or, as `fetch` wraps the error of the connection, of its cause. */
export function errorCode(error: unknown): string | undefined {
  if (!node.util.types.isNativeError(error)) return undefined;
  return ownCode(error) ?? ownCode(error.cause);
}

function ownCode(error: unknown): string | undefined {
  if (!node.util.types.isNativeError(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
