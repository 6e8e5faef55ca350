import { describe, expect, it } from 'vitest';
import { unverifiedClaim } from '../../../src/core/jws/unverified-claims.js';

const part = (text: string) => Buffer.from(text).toString('base64url');

describe('unverifiedClaim', () => {
  it('reads a claim of a JWT', () => {
    const token = `${part('{}')}.${part('{"exp":5,"cnf":{"jkt":"x"}}')}.sig`;
    expect(unverifiedClaim(token, 'exp')).toBe(5);
    expect(unverifiedClaim(token, 'cnf')).toEqual({ jkt: 'x' });
    expect(unverifiedClaim(token, 'nbf')).toBeUndefined();
  });

  it.each(['', 'opaque', 'a.b.c', `a.${part('5')}.c`, `a.${part('[1]')}.c`, `a.${part('null')}.c`])(
    'anything else has none: %p',
    (token) => {
      expect(unverifiedClaim(token, 'exp')).toBeUndefined();
    },
  );

  it('T10: built-in members are none', () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      expect(unverifiedClaim(`a.${part('{}')}.c`, name)).toBeUndefined();
    }
  });
});
