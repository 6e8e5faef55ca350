import { CallbackError } from '../../core/errors/request-errors.js';
import { within } from '../../core/lib/deadline.js';

const DEADLINE_MS = 5000;

/**
 * What a function of the application says about a request. Nobody waits for it longer than 5 seconds, and
 * nobody learns from an answer what it threw.
 *
 * @throws CallbackError when it fails or is too late, and whatever of its own errors `passes`.
 */
export async function askApplication<T>(
  name: string,
  ask: () => T | Promise<T>,
  passes: (error: unknown) => boolean = () => false,
): Promise<T> {
  const timeoutError = () => new CallbackError(`${name} gave no answer within ${DEADLINE_MS} ms`);
  try {
    return await within(DEADLINE_MS, ask, timeoutError);
  } catch (error) {
    if (passes(error) || error instanceof CallbackError) throw error;
    throw new CallbackError(`${name} failed`, { cause: error });
  }
}
