import { HttpException } from '@nestjs/common';
import type { Challenge } from '../../core/challenge.js';
import type { AuthplaneError } from '../../core/errors/authplane-error.js';
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
  /** @param sentence what the body says, in words. */
  constructor(error: AuthplaneError, sentence: string, { status, body }: Challenge) {
    super({ ...body }, status);
    this.message = sentence;
    const hidden = { enumerable: false, configurable: true, writable: true };
    Object.defineProperty(this, 'cause', { ...hidden, value: error });
    Object.defineProperty(this, STANDS_FOR, { ...hidden, value: error });
    for (const [name, value] of Object.entries(error)) {
      if (!KEPT_BACK.has(name) && !(name in this)) {
        Object.defineProperty(this, name, { ...hidden, value });
      }
    }
  }
}

/** The answer to an error, without a stack of its own: where it was refused, its `cause` has. */
export function httpRefusal(
  error: AuthplaneError,
  sentence: string,
  challenge: Challenge,
): AuthplaneHttpException {
  const { stackTraceLimit } = Error;
  Reflect.set(Error, 'stackTraceLimit', 0); // where that may not be changed it has one
  try {
    return new AuthplaneHttpException(error, sentence, challenge);
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  }
}
