import { describe, expect, it } from '@jest/globals';
import {
  DPoPBindingMismatchError,
  DPoPNotSupportedError,
  type AuthplaneError,
} from '../../src/core/errors.js';
import { exactScopes } from '../../src/core/scopes.js';
import { type DPoPRequest, noSenderConstraint } from '../../src/core/sender-constraint.js';
import { VerifiedClaims } from '../../src/core/verified-claims.js';

function claims(raw: Record<string, unknown> = {}): VerifiedClaims {
  const texts = { issuer: 'i', sub: 's', clientId: 'c', jti: 'j', kid: 'k', agentId: '' };
  const lists = { audience: [], scopes: [], agentChain: [] };
  const times = { expiresAt: 2, issuedAt: 1, notBefore: 0 };
  return new VerifiedClaims({ ...texts, ...lists, ...times, act: undefined, raw }, exactScopes);
}

const request: DPoPRequest = { method: 'POST', url: '/mcp', proofs: [], scheme: 'Bearer' };

describe('noSenderConstraint', () => {
  it('lets a bearer token pass as it is', async () => {
    const given = claims();
    expect(await noSenderConstraint.check('t', given, request)).toBe(given);
  });

  it.each<[string, VerifiedClaims, Partial<DPoPRequest>, new (message: string) => AuthplaneError]>([
    ['a bound token', claims({ cnf: { jkt: 'x' } }), {}, DPoPNotSupportedError],
    ['a cnf of any shape', claims({ cnf: null }), {}, DPoPNotSupportedError],
    ['a proof', claims(), { proofs: ['p'] }, DPoPBindingMismatchError],
    ['the scheme DPoP', claims(), { scheme: 'DPoP' }, DPoPNotSupportedError],
  ])(
    'hardening: refuses %s by a rejection, and throws nothing',
    async (_name, given, more, kind) => {
      const check = noSenderConstraint.check('t', given, { ...request, ...more });
      await expect(check).rejects.toBeInstanceOf(kind);
    },
  );
});
