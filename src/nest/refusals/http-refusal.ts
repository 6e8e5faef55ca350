import { HttpException } from '@nestjs/common';
import type { Challenge } from '../../core/challenge.js';
import type { AuthplaneError } from '../../core/errors/authplane-error.js';
import { withoutStack } from '../../core/errors/without-stack.js';
import { STANDS_FOR } from '../../core/errors/stands-for.js';

/** Of an error only for those who ask for it; a filter that prints an exception must not print them. */
const KEPT_BACK: ReadonlySet<string> = new Set([
  'cause',
  'description',
  'error',
  'message',
  'name',
  'stack',
  'statusCode',
]);

/**
 * An error of this package as the filters of the application get it: whatever they read of it (status,
 * response, message) is the public answer. The reason is the `cause`.
 *
 * `instanceof` finds the class of the reason, and its data are here, too: `requiredScopes`,
 * `consentUrl`, `code`, …; what the authorization server said is at the cause only.
 */
export class AuthplaneHttpException extends HttpException {
  readonly #reason: AuthplaneError;

  /** @param sentence what the body says, in words. */
  constructor(error: AuthplaneError, sentence: string, { status, body }: Challenge) {
    super({ ...body }, status);
    this.message = sentence;
    this.#reason = error;
    hide(this, 'cause', error);
    for (const name of Object.keys(error)) {
      if (!KEPT_BACK.has(name) && !(name in this)) hide(this, name, Reflect.get(error, name));
    }
  }

  /** Of the class, as is the next one: on each exception they would cost more than all of it. */
  get code(): AuthplaneError['code'] {
    return this.#reason.code;
  }

  get [STANDS_FOR](): AuthplaneError | undefined {
    return #reason in this ? this.#reason : undefined;
  }

  /** It has one: Nest would make one of the name of the class. */
  override initMessage(): void {
    this.message = '';
  }
}

function hide(target: object, name: string | symbol, value: unknown): void {
  Object.defineProperty(target, name, {
    enumerable: false,
    configurable: true,
    writable: true,
    value,
  });
}

/** The answer to an error, without a stack of its own. */
export function httpRefusal(
  error: AuthplaneError,
  sentence: string,
  challenge: Challenge,
): AuthplaneHttpException {
  return withoutStack(() => new AuthplaneHttpException(error, sentence, challenge));
}
