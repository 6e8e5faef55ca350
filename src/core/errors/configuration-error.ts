import { AuthplaneError, type AuthplaneErrorOptions } from './authplane-error.js';

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
