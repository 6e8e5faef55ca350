import { type AuthplaneErrorOptions, AuthplaneError } from './authplane-error.js';
import { type OAuthErrorCode, oauthErrorCode } from './oauth-error-codes.js';

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
    this.code = oauthErrorCode(options.error);
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
