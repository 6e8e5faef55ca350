/**
 * Every failure of this package is an {@link AuthplaneError} with a stable `code`.
 *
 * Messages are for operators and logs. They name the rule and the claim that failed and never carry
 * a token, a proof, a key or a secret. What a caller on the wire may learn is decided in
 * `challenge.ts`, never by showing a message.
 */

import { originalOf } from './stands-for.js';

/**
 * `error` of an authorization server that {@link OAuthError.code} repeats: RFC 6749 §4.1.2.1 and §5.2,
 * RFC 6750 §3.1, RFC 7009 §2.2.1, RFC 8628 §3.5, RFC 8693 §2.2.2, RFC 9449 §5 and §8, and AuthPlane.
 */
const OAUTH_ERROR_CODES = [
  'access_denied',
  'consent_required',
  'insufficient_scope',
  'interaction_required',
  'invalid_client',
  'invalid_dpop_proof',
  'invalid_grant',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'invalid_token',
  'not_found',
  'server_error',
  'slow_down',
  'temporarily_unavailable',
  'unauthorized_client',
  'unsupported_grant_type',
  'unsupported_token_type',
  'use_dpop_nonce',
] as const;

/** What {@link OAuthError.code} may be; `oauth_error` for an `error` that no specification names. */
export type OAuthErrorCode = (typeof OAUTH_ERROR_CODES)[number] | 'oauth_error';

/** Every code there is, for a `switch` that leaves none out. New versions may add some. */
export type AuthplaneErrorCode =
  | OAuthErrorCode
  | 'authorization_server_unavailable'
  | 'circuit_open'
  | 'configuration_error'
  | 'consent_refused'
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
  | 'token_too_long';

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

// ---- the inbound request -------------------------------------------------------------------------

/** The request carries no credentials at all (RFC 6750 §3.1: challenged without an error code). */
export class TokenMissingError extends AuthplaneError {
  readonly code = 'token_missing';

  /** Default message: that the request carries no access token. */
  constructor(message = 'the request carries no access token', options?: AuthplaneErrorOptions) {
    super(message, options);
  }
}

/**
 * Something asked for the caller where there is none: outside a guarded handler, or in a handler that
 * has lost its guard. A mistake of the application, so it is answered with 500 and never with 401,
 * which would make clients throw good tokens away.
 */
export class NoCallerError extends AuthplaneError {
  readonly code = 'no_caller';

  /** Default message: that no guarded handler is running. */
  constructor(
    message = 'there is no caller here: no guarded handler is running',
    options?: AuthplaneErrorOptions,
  ) {
    super(message, options);
  }
}

/** More than one credential, or an `Authorization` header outside the grammar of RFC 6750 §2.1. */
export class MalformedCredentialsError extends AuthplaneError {
  readonly code = 'malformed_credentials';
}

/** The token is authentic but its `exp` has passed by more than the clock skew. */
export class TokenExpiredError extends AuthplaneError {
  readonly code = 'token_expired';
}

/** The signature does not verify, or no trusted key can have made it. */
export class InvalidSignatureError extends AuthplaneError {
  readonly code = 'invalid_signature';
}

/** The token has more characters than the option `maxTokenLength` allows. It is not looked into. */
export class TokenTooLongError extends AuthplaneError {
  readonly code = 'token_too_long';
}

/**
 * How a claim, a header member or the whole breaks its rule:
 *
 * - `missing`: it is not there
 * - `type`: it is not of the JSON type that it must have
 * - `mismatch`: it is well-formed and another one than is wanted here
 * - `expired`: its time is over
 * - `not_yet`: its time has not come; clocks that differ look like this
 * - `too_long`: more characters, entries or seconds than are taken
 * - `malformed`: it is outside its grammar, or must not be there at all
 */
export type ClaimRule =
  'missing' | 'type' | 'mismatch' | 'expired' | 'not_yet' | 'too_long' | 'malformed';

/** Options of {@link InvalidClaimsError} and {@link InvalidDPoPProofError}. */
export interface ClaimErrorOptions extends AuthplaneErrorOptions {
  /** The claim or header member that broke the rule. Default: none, it was the whole. */
  readonly claim?: string | undefined;
  /** How. Default `malformed`. */
  readonly rule?: ClaimRule | undefined;
}

/** A header or claim rule of RFC 9068 does not hold. */
export class InvalidClaimsError extends AuthplaneError {
  readonly code = 'invalid_claims';
  /** The claim, or the member of the header, for example `aud` or `typ`; `undefined` for the whole. */
  readonly claim: string | undefined;
  /** How it is broken. */
  readonly rule: ClaimRule;

  /** Without `options.rule` the rule is `malformed`. */
  constructor(message: string, options?: ClaimErrorOptions) {
    super(message, options);
    this.claim = options?.claim;
    this.rule = options?.rule ?? 'malformed';
  }
}

/** Options of {@link InsufficientScopeError}. */
export interface InsufficientScopeErrorOptions extends AuthplaneErrorOptions {
  /** See {@link InsufficientScopeError.grantedScopes}. Default: unknown. */
  readonly grantedScopes?: readonly string[] | undefined;
}

/** The token is valid and lacks a scope that the operation needs (RFC 6750 §3.1). */
export class InsufficientScopeError extends AuthplaneError {
  readonly code = 'insufficient_scope';
  /** All scopes the operation needs, base scopes included; not only the missing ones. */
  readonly requiredScopes: readonly string[];
  /** What the token has, as it says so; for logs. The message, which may reach clients, is without. */
  readonly grantedScopes: readonly string[] | undefined;

  /** Takes all scopes the operation needs. Copies them, and those of the options. */
  constructor(requiredScopes: readonly string[], options?: InsufficientScopeErrorOptions) {
    super(`the operation needs the scopes: ${requiredScopes.join(' ')}`, options);
    const { grantedScopes } = options ?? {};
    this.requiredScopes = Object.freeze([...requiredScopes]);
    this.grantedScopes = grantedScopes && Object.freeze([...grantedScopes]);
  }
}

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

/** A scope rule refuses this caller, and no scope would change that. */
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

/** Options of {@link TokenRevokedError}. */
export interface TokenRevokedErrorOptions extends AuthplaneErrorOptions {
  /** See {@link TokenRevokedError.hint}. Default none. */
  readonly hint?: string;
}

/** The authorization server or the application's own check says the token is no longer good. */
export class TokenRevokedError extends AuthplaneError {
  readonly code = 'token_revoked';
  /** Why it may be a mistake in the set-up and not the token; the message ends with it. */
  readonly hint: string | undefined;

  /** A hint becomes the end of the message. */
  constructor(message: string, options?: TokenRevokedErrorOptions) {
    const hint = options?.hint;
    super(hint === undefined ? message : `${message}; ${hint}`, options);
    this.hint = hint;
  }
}

// ---- DPoP (RFC 9449) -----------------------------------------------------------------------------

/** A sender-constraint failure. Its subclasses name the rule. */
export class DPoPError extends AuthplaneError {
  readonly code: AuthplaneErrorCode = 'dpop_error';
}

/** A bound token arrived without a proof (RFC 9449 §7.1). */
export class DPoPProofMissingError extends DPoPError {
  override readonly code = 'dpop_proof_missing';
}

/** The proof fails a check of RFC 9449 §4.3. */
export class InvalidDPoPProofError extends DPoPError {
  override readonly code = 'invalid_dpop_proof';
  /** The claim, the member of the header or of its `jwk`: `htu`, `jwk`, `kty`; `undefined` for the whole. */
  readonly claim: string | undefined;
  /** How it is broken. */
  readonly rule: ClaimRule;

  /** Without `options.rule` the rule is `malformed`. */
  constructor(message: string, options?: ClaimErrorOptions) {
    super(message, options);
    this.claim = options?.claim;
    this.rule = options?.rule ?? 'malformed';
  }
}

/** More than one `DPoP` header line (RFC 9449 §4.3 #1). */
export class DPoPMultipleProofsError extends DPoPError {
  override readonly code = 'dpop_multiple_proofs';
}

/** The proof was used before (RFC 9449 §11.1). */
export class DPoPReplayDetectedError extends DPoPError {
  override readonly code = 'dpop_replay_detected';
}

/** Scheme, token binding and proof key do not belong together (RFC 9449 §7.1, §7.2). */
export class DPoPBindingMismatchError extends DPoPError {
  override readonly code = 'dpop_binding_mismatch';
}

/** The proof is signed by another key than the one the token is bound to (RFC 9449 §4.3 #12). */
export class DPoPKeyMismatchError extends DPoPBindingMismatchError {}

/** A bound token or a proof at a resource that has DPoP switched off. */
export class DPoPNotSupportedError extends DPoPError {
  override readonly code = 'dpop_not_supported';
}

/** The resource wants a fresh nonce in the proof (RFC 9449 §9). */
export class DPoPNonceRequiredError extends DPoPError {
  override readonly code = 'dpop_nonce_required';
}

// ---- the authorization server is away or answers nonsense ------------------------------------------

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

// ---- set-up --------------------------------------------------------------------------------------

/**
 * A mistake in the options, in how the library is wired, or in a call that can never be right. The
 * first two are thrown at start.
 */
export class ConfigurationError extends AuthplaneError {
  readonly code = 'configuration_error';
  /** Each problem found, in one sentence; the message lists them all. */
  readonly problems: readonly string[];

  /** One problem or several, each a sentence that says what to change. */
  constructor(problems: string | readonly string[], options?: AuthplaneErrorOptions) {
    const list = typeof problems === 'string' ? [problems] : [...problems];
    super(
      list.length === 1
        ? `authplane-nestjs: ${list[0]}`
        : `authplane-nestjs: ${list.length} problems in the configuration:\n${list.map((p) => `  - ${p}`).join('\n')}`,
      options,
    );
    this.problems = Object.freeze(list);
  }
}

// ---- answers of the authorization server (RFC 6749 §5.2) -----------------------------------------

/** What an {@link OAuthError} tells of the answer (RFC 6749 §5.2). */
export interface OAuthErrorOptions extends AuthplaneErrorOptions {
  /** HTTP status of the authorization server's answer. */
  readonly statusCode: number;
  /** `error` as sent. */
  readonly error: string;
  /** `error_description`, made printable. Untrusted text: for logs, not for users. Default none. */
  readonly description?: string;
  /** `Retry-After` of the answer in seconds. Default: it had none. */
  readonly retryAfterSeconds?: number | undefined;
}

/** The authorization server refused an operation. */
export class OAuthError extends AuthplaneError {
  /** `error` where a specification names it, else `oauth_error`. */
  readonly code: OAuthErrorCode;
  /** `error` as the authorization server sent it; untrusted, made printable. */
  readonly error: string;
  /** HTTP status of its answer. */
  readonly statusCode: number;
  /** `error_description`, made printable. Untrusted: for logs, not for users. */
  readonly description: string | undefined;
  /** `Retry-After` of its answer, in seconds; `undefined` without one. */
  readonly retryAfterSeconds: number | undefined;

  /** `code` follows from `options.error`. */
  constructor(message: string, options: OAuthErrorOptions) {
    super(message, options);
    this.code = OAUTH_ERROR_CODES.find((code) => code === options.error) ?? 'oauth_error';
    this.error = options.error;
    this.statusCode = options.statusCode;
    this.description = options.description;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** This client could not be authenticated: look at `asCredentials` (RFC 6749 §5.2). */
export class InvalidClientError extends OAuthError {}
/** The subject token or grant is expired, revoked or another client's (RFC 6749 §5.2). */
export class InvalidGrantError extends OAuthError {}
/** This client may not use the grant, for example token exchange (RFC 6749 §5.2). */
export class UnauthorizedClientError extends OAuthError {}
/** The grant is switched off at the authorization server (RFC 6749 §5.2). */
export class UnsupportedGrantTypeError extends OAuthError {}
/** A scope that was asked for is unknown, or more than may be granted (RFC 6749 §5.2). */
export class InvalidScopeError extends OAuthError {}
/** The authorization server does not know the `resource` or `audience` (RFC 8693 §2.2.2). */
export class InvalidTargetError extends OAuthError {}
/** The authorization server, or its policy, denies this request (RFC 6749 §4.1.2.1). */
export class AccessDeniedError extends OAuthError {}
/** The authorization server met something it did not expect (RFC 6749 §4.1.2.1). */
export class ServerError extends OAuthError {}

/** Options of {@link ConsentRequiredError}. */
export interface ConsentRequiredErrorOptions extends OAuthErrorOptions {
  /** `consent_url` of the answer. Default: the server sent none. */
  readonly consentUrl?: string;
  /** `service_id` of the answer, or what was asked for. Default `unknown_service`. */
  readonly serviceId?: string;
  /** Why consent is needed. Default `consent_missing`. */
  readonly causeDetail?: string;
}

/** The user has to connect or re-consent at the authorization server first. */
export class ConsentRequiredError extends OAuthError {
  /** Where the user gives consent; absent when the authorization server sent none. */
  readonly consentUrl: string | undefined;
  /** The service the consent is for: as the server names it, else taken from what was asked for. */
  readonly serviceId: string;
  /** `consent_missing` or `scope_insufficient`. */
  readonly causeDetail: string;

  /** Members that are left out get their defaults. */
  constructor(message: string, options: ConsentRequiredErrorOptions) {
    super(message, options);
    this.consentUrl = options.consentUrl;
    this.serviceId = options.serviceId ?? 'unknown_service';
    this.causeDetail = options.causeDetail ?? 'consent_missing';
  }

  /** One line for a log: the message, the service and why. Clients get neither. */
  describe(): string {
    return `${this.message} (${this.serviceId}: ${this.causeDetail})`;
  }
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
