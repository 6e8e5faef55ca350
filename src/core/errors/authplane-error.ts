import type { OAuthErrorCode } from './oauth-error-codes.js';
import { originalOf } from './stands-for.js';

/*
 * Messages are for operators and logs. They name the rule and the claim that failed and never carry
 * a token, a proof, a key or a secret. What a caller on the wire may learn is decided in
 * `challenge.ts`, never by showing a message.
 */

/** Every code there is, for a `switch` that leaves none out. New versions may add some. */
export type AuthplaneErrorCode =
  | OAuthErrorCode
  | 'authorization_server_unavailable'
  | 'callback_failed'
  | 'circuit_open'
  | 'configuration_error'
  | 'consent_refused'
  | 'credential_refused'
  | 'dpop_binding_mismatch'
  | 'dpop_error'
  | 'dpop_multiple_proofs'
  | 'dpop_nonce_required'
  | 'dpop_not_supported'
  | 'dpop_proof_missing'
  | 'dpop_replay_detected'
  | 'invalid_claims'
  | 'invalid_signature'
  | 'jwks_fetch_error'
  | 'malformed_credentials'
  | 'metadata_fetch_error'
  | 'missing_metadata_endpoint'
  | 'no_access_token'
  | 'no_caller'
  | 'origin_refused'
  | 'outbound_http_error'
  | 'outbound_overload'
  | 'protocol_error'
  | 'replay_store_unavailable'
  | 'session_not_found'
  | 'token_expired'
  | 'token_missing'
  | 'token_revoked'
  | 'token_too_long'
  | 'unknown_operation'
  | 'unknown_resource'
  | 'upstream_busy'
  | 'upstream_failed'
  | 'upstream_rate_limited'
  | 'upstream_refused'
  | 'upstream_timeout'
  | 'upstream_unavailable';

/** What every error of this package takes besides its message. */
export interface AuthplaneErrorOptions {
  /** What led to it; for logs. Default: nothing. */
  readonly cause?: unknown;
}

/**
 * The base of all errors of this package: `instanceof AuthplaneError` tells them from others.
 *
 * Constructors take what the error is about, mostly its message, and options; `cause` is always one.
 */
export abstract class AuthplaneError extends Error {
  /** Stable, machine-readable name of the failure. */
  abstract readonly code: AuthplaneErrorCode;

  /** The message is for operators: give it no token, proof, key or secret. */
  constructor(message: string, options?: AuthplaneErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }

  /** Also true of the `HttpException` that filters of a Nest application get in its place. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Object.prototype.isPrototypeOf.call(this.prototype, Object(originalOf(value)));
  }
}
