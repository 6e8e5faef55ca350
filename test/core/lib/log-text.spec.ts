import { describe, expect, it } from 'vitest';
import {
  InsufficientScopeError,
  TokenExpiredError,
} from '../../../src/core/errors/token-errors.js';
import { logText } from '../../../src/core/lib/log-text.js';

describe('logText', () => {
  it('says what a token has, which the message keeps to itself', () => {
    const error = new InsufficientScopeError(['a', 'b'], { grantedScopes: ['c', 'd'] });
    expect(error.message).toBe('the operation needs the scopes: a b');
    expect(error.grantedScopes).toEqual(['c', 'd']);
    expect(logText(error)).toBe('the operation needs the scopes: a b; the token has: c d');
    expect(logText(new InsufficientScopeError(['a'], { grantedScopes: [] }))).toContain(
      '; the token has: none',
    );
  });

  it('nothing in a scope breaks the line, and the line is bounded', () => {
    const text = logText(
      new InsufficientScopeError(['a'], { grantedScopes: ['x\ny\u001b', 'z'.repeat(5000)] }),
    );
    expect(text).toMatch(/^[ -~]{1,600}$/);
  });

  it('is the message where there is no more to say', () => {
    const error = new InsufficientScopeError(['a']);
    expect(error.grantedScopes).toBeUndefined();
    expect(logText(error)).toBe(error.message);
    expect(logText(new TokenExpiredError('late'))).toBe('late');
  });
});
