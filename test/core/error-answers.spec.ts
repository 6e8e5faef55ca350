import { describe, expect, it } from 'vitest';
import { ANSWERED_ERRORS, answerFor, DESCRIPTIONS } from '../../src/core/error-answers.js';
import { OAuthError } from '../../src/core/errors/oauth-errors.js';
import { DPoPKeyMismatchError, DPoPProofMissingError } from '../../src/core/errors/dpop-errors.js';

describe('the answer for an error', () => {
  it.each([429, 502, 503, 504])('an authorization server that said %d is away', (statusCode) => {
    const error = new OAuthError('x', { statusCode, error: 'slow_down' });
    expect(answerFor(error)).toMatchObject({ status: 503, challenged: 'none' });
  });

  it.each([
    [new OAuthError('x', { statusCode: 400, error: 'x' })],
    [new Error('x')],
    ['x'],
    [null],
  ])('what no caller can do anything about is 500: %p', (error) => {
    expect(answerFor(error)).toMatchObject({ status: 500, error: 'internal_error' });
  });

  it('the first class that fits decides', () => {
    expect(answerFor(new DPoPKeyMismatchError('x')).error).toBe('invalid_dpop_proof');
    expect(answerFor(new DPoPProofMissingError('x')).error).toBe('invalid_token');
  });

  it('no class stands behind one that it extends: it would never be found', () => {
    ANSWERED_ERRORS.forEach((kind, at) => {
      const before = ANSWERED_ERRORS.slice(0, at);
      expect(before.filter((other) => kind.prototype instanceof other)).toEqual([]);
    });
  });

  it('no description says more than the code', () => {
    for (const text of Object.values(DESCRIPTIONS)) expect(text).toMatch(/^[A-Z][\w ,-]{10,100}$/);
  });
});
