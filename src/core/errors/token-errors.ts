import { AuthplaneError, type AuthplaneErrorOptions } from './authplane-error.js';

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

/**
 * For `otherCredentials` to throw: this request carries a credential of the application's own that is no
 * longer good, or never was. Answered with 401 and the challenge, so that OAuth clients can sign in.
 */
export class CredentialRefusedError extends AuthplaneError {
  readonly code = 'credential_refused';

  /** Default message: that the credential is not good. */
  constructor(
    message = 'the credential of the request is not good',
    options?: AuthplaneErrorOptions,
  ) {
    super(message, options);
  }
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
