import { expect, test } from 'vitest';
import { callerKeyOf } from '../../../src/gateway/options/gateway-caller.js';
import type { VerifiedClaims } from '../../../src/core/token/verified-claims.js';

const claims = {
  ...{ issuer: 'https://as.example', sub: 'ann', clientId: 'agent', jti: '1', scopes: ['a'] },
};
const keyOf = (more: object, token = 'a-token') =>
  callerKeyOf({ claims: { ...claims, ...more } as unknown as VerifiedClaims, token });

test('a caller stays the same when the token is renewed, and is nobody else', () => {
  const own = keyOf({});
  expect(keyOf({ jti: '2', scopes: [] }, 'another-token')).toBe(own);
  const others = [{ sub: 'bob' }, { clientId: 'other' }, { issuer: 'https://other.example' }];
  const shifted = { sub: 'an', clientId: 'nagent' };
  expect(new Set([own, ...[...others, shifted].map((one) => keyOf(one))]).size).toBe(5);
  expect(own).not.toContain('a-token');
});
