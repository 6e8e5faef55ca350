import { afterEach, describe, expect, it, vi } from 'vitest';
import { CallbackError, CredentialRefusedError } from '../../support/tokens/errors.js';
import { askApplication } from '../../../src/nest/callers/callback.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

afterEach(() => vi.useRealTimers());

describe('what a function of the application says', () => {
  it.each<[string, () => unknown]>([
    ['at once', () => 7],
    ['later', async () => 7],
  ])('is passed on, %s', async (_, ask) => {
    expect(await askApplication('user', ask)).toBe(7);
  });

  it.each<[string, (error: unknown) => () => unknown]>([
    [
      'at once',
      (error) => () => {
        throw error;
      },
    ],
    ['later', (error) => () => Promise.reject(error)],
  ])(
    'what it throws, %s, is the cause of an error that names it and says no more',
    async (_, that) => {
      for (const cause of [new Error('postgres://me:pa55word@db'), 'text', undefined]) {
        const asked = askApplication('user', that(cause));
        await expect(asked).rejects.toMatchObject({
          code: 'callback_failed',
          message: 'user failed',
        });
        await expect(asked).rejects.toHaveProperty('cause', cause);
      }
    },
  );

  it('errors that are meant pass as they are', async () => {
    const refused = new CredentialRefusedError('not yours');
    const passes = (error: unknown) => error instanceof CredentialRefusedError;
    const rejected = () => Promise.reject(refused);
    await expect(askApplication('otherCredentials', rejected, passes)).rejects.toBe(refused);
    await expect(askApplication('otherCredentials', rejected)).rejects.toHaveProperty(
      'cause',
      refused,
    );
  });

  it('an error of its own kind is not wrapped once more', async () => {
    const inner = new CallbackError('load failed');
    await expect(askApplication('user', () => Promise.reject(inner))).rejects.toBe(inner);
  });
});

describe('nobody waits longer than 5 seconds', () => {
  unhandledRejections(); // there are none at its end

  it('and what comes, or fails, later is dropped', async () => {
    vi.useFakeTimers();
    let fail: (error: Error) => void = () => undefined;
    const asked = askApplication('user', () => new Promise((_, reject) => void (fail = reject)));
    const late = expect(asked).rejects.toThrow(
      new CallbackError('user gave no answer within 5000 ms'),
    );
    await vi.advanceTimersByTimeAsync(5001);
    await late;
    fail(new Error('too late'));
  });

  it('an answer just in time counts', async () => {
    vi.useFakeTimers();
    const asked = askApplication('user', () => new Promise((done) => setTimeout(done, 4900, 7)));
    await vi.advanceTimersByTimeAsync(4901);
    expect(await asked).toBe(7);
  });
});
