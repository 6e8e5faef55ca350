import {
  AuthplaneError,
  type AuthplaneErrorCode,
  type AuthplaneErrorOptions,
} from './authplane-error.js';

/**
 * A mistake in the options, in how the library is wired, or in a call that can never be right. The
 * first two are thrown at start.
 */
export class ConfigurationError extends AuthplaneError {
  readonly code: AuthplaneErrorCode = 'configuration_error';
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

/**
 * The inbound access token was asked for, or was to be exchanged, and the caller has shown none: an API
 * key or a session of the application, or nothing at all. Nothing is sent. Answered with 403 where nobody
 * catches it: no token would help this call, and asking for one would send its client away for good.
 */
export class NoAccessTokenError extends ConfigurationError {
  override readonly code = 'no_access_token';

  /** Default message: that there is nothing to exchange. */
  constructor(
    message = 'subject_token is required: the caller has shown no access token that could be exchanged',
    options?: AuthplaneErrorOptions,
  ) {
    super(message, options);
  }
}
