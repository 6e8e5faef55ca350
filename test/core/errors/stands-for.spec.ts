import { describe, expect, it } from 'vitest';
import * as errors from '../../support/tokens/errors.js';
import { originalOf, STANDS_FOR } from '../../../src/core/errors/stands-for.js';

class FrameworkException extends Error {
  readonly [STANDS_FOR]: unknown;

  constructor(original: unknown) {
    super('public');
    this[STANDS_FOR] = original;
  }
}

describe('9.17: an exception that stands for an error of this package', () => {
  const reason = new errors.DPoPKeyMismatchError('reason');
  const exception = new FrameworkException(reason);

  it.each([
    errors.AuthplaneError,
    errors.DPoPError,
    errors.DPoPBindingMismatchError,
    errors.DPoPKeyMismatchError,
    FrameworkException,
    Error,
  ])('is an instance of $name', (type) => {
    expect(exception).toBeInstanceOf(type);
  });

  it.each([errors.DPoPReplayDetectedError, errors.OAuthError, errors.TokenMissingError])(
    'is none of $name',
    (type) => {
      expect(exception).not.toBeInstanceOf(type);
    },
  );

  it('is told from what stands for nothing of ours', () => {
    const values = [new FrameworkException(new Error('x')), new FrameworkException(undefined)];
    for (const value of [...values, new Error('x'), {}, null, undefined, 'text', 1]) {
      expect(value instanceof errors.AuthplaneError).toBe(false);
    }
  });

  it('gives the original back; everything else is its own', () => {
    expect(originalOf(exception)).toBe(reason);
    expect(originalOf(reason)).toBe(reason);
    expect(originalOf('text')).toBe('text');
    expect(originalOf(null)).toBeNull();
  });
});
