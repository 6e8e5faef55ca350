import {
  type AuthplaneErrorOptions,
  AuthplaneError,
  type AuthplaneErrorCode,
} from './authplane-error.js';

/** Options of {@link AuthorizationServerUnavailableError} and its subclasses. */
export interface UnavailableErrorOptions extends AuthplaneErrorOptions {
  /** When a further attempt makes sense; becomes `Retry-After` (seconds, at least 1). Default 5. */
  readonly retryAfterSeconds?: number;
  /** See {@link AuthorizationServerUnavailableError.wrongServer}. Default `false`. */
  readonly wrongServer?: boolean;
}

/** The authorization server, or something it should have delivered, cannot be had right now. */
export class AuthorizationServerUnavailableError extends AuthplaneError {
  readonly code: AuthplaneErrorCode = 'authorization_server_unavailable';
  /** When a further attempt makes sense: whole seconds, at least 1. Becomes `Retry-After`. */
  readonly retryAfterSeconds: number;
  /**
   * `true`: the server answered, and what it says can never be right for this configuration
   * (another issuer, no keys). Waiting will not mend that, so it fails the boot.
   */
  readonly wrongServer: boolean;

  /** Rounds `retryAfterSeconds` up to whole seconds. */
  constructor(message: string, options?: UnavailableErrorOptions) {
    super(message, options);
    this.retryAfterSeconds = Math.max(1, Math.ceil(options?.retryAfterSeconds ?? 5));
    this.wrongServer = options?.wrongServer ?? false;
  }
}

/** The key set could not be fetched, or was refused. */
export class JWKSFetchError extends AuthorizationServerUnavailableError {
  override readonly code = 'jwks_fetch_error';
}

/** The metadata document (RFC 8414) could not be fetched, or was refused. */
export class MetadataFetchError extends AuthorizationServerUnavailableError {
  override readonly code = 'metadata_fetch_error';
}

/** Options of {@link MissingMetadataEndpointError}. */
export interface MissingEndpointErrorOptions extends UnavailableErrorOptions {
  /** Where the metadata was read, for the message. Default: the message does not say. */
  readonly metadataUrl?: string;
}

/** The metadata document does not name the endpoint that an operation needs. */
export class MissingMetadataEndpointError extends AuthorizationServerUnavailableError {
  override readonly code = 'missing_metadata_endpoint';
  /** The missing member, for example `token_endpoint`. */
  readonly endpoint: string;

  /** Takes the name of the missing member of the metadata (RFC 8414 §2). */
  constructor(endpoint: string, options?: MissingEndpointErrorOptions) {
    const { metadataUrl } = options ?? {};
    const place = metadataUrl === undefined ? '' : ` (${metadataUrl})`;
    super(
      `the authorization server's metadata${place} has no ${endpoint}; ${adviceOn(endpoint)}`,
      options,
    );
    this.endpoint = endpoint;
  }
}

function adviceOn(endpoint: string): string {
  return endpoint === 'jwks_uri'
    ? 'it must name the key set that verifies access tokens (RFC 8414 §2): set issuer to a server ' +
        'whose access tokens are JWTs'
    : 'switch the feature on at the authorization server or do not use the operation that needs it';
}

/** Options of {@link ProtocolError}. */
export interface ProtocolErrorOptions extends AuthplaneErrorOptions {
  /** HTTP status of the answer. Default: there was none. */
  readonly statusCode?: number;
}

/**
 * An answer that breaks the protocol: no `access_token`, an unknown `token_type`, no OAuth error, or a
 * token that is not what was asked for.
 */
export class ProtocolError extends AuthplaneError {
  readonly code = 'protocol_error';
  /** HTTP status of the answer; `undefined` where there was none. */
  readonly statusCode: number | undefined;

  /** The message names what is wrong, and no value of the answer that may be secret. */
  constructor(message: string, options?: ProtocolErrorOptions) {
    super(message, options);
    this.statusCode = options?.statusCode;
  }
}

/** Too many failures in a row at one endpoint; calls are refused until the cool-down ends. */
export class CircuitOpenError extends AuthorizationServerUnavailableError {
  override readonly code = 'circuit_open';
}

/**
 * This process has more to ask the authorization server than `maxSockets` lets it ask at once, and a
 * call waited in vain for its turn. Nothing was sent, and the endpoint is not to blame.
 */
export class OutboundOverloadError extends AuthorizationServerUnavailableError {
  override readonly code = 'outbound_overload';
}
