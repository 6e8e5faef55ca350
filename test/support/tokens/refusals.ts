import { expect } from 'vitest';
import { AuthplaneError } from '../../../src/core/errors/authplane-error.js';

/** The typed error that the work ends with; anything else fails the test. */
export async function refusalOf(work: Promise<unknown> | (() => unknown)): Promise<AuthplaneError> {
  const outcome: unknown = await Promise.resolve()
    .then(() => (typeof work === 'function' ? work() : work))
    .then(
      () => 'accepted',
      (error: unknown) => error,
    );
  expect(outcome).toBeInstanceOf(AuthplaneError);
  return outcome as AuthplaneError; // the line above has checked it
}

/** Refused by the rung whose error has this class and whose message names this. */
export async function expectRefusal(
  work: Promise<unknown> | (() => unknown),
  kind: abstract new (...args: never) => AuthplaneError,
  message: RegExp,
): Promise<void> {
  const error = await refusalOf(work);
  expect(error.constructor.name).toBe(kind.name);
  expect(error.message).toMatch(message);
}
