import { describe, expect, it } from 'vitest';
import { dpopProof, generateDPoPKey } from 'authplane-nestjs/testing';
import {
  DPoPBindingMismatchError,
  DPoPNotSupportedError,
} from '../../../src/core/errors/dpop-errors.js';
import type { AuthplaneError } from '../../../src/core/errors/authplane-error.js';
import { exactScopes } from '../../../src/core/lib/scopes.js';
import { type DPoPRequest, noSenderConstraint } from '../../../src/core/dpop/sender-constraint.js';
import { VerifiedClaims } from '../../../src/core/token/verified-claims.js';
import { RESOURCE, signingKey } from '../../support/tokens/keys-and-tokens.js';
import { trustingResource } from '../../support/tokens/trusting-resource.js';

function claims(raw: Record<string, unknown> = {}): VerifiedClaims {
  const texts = { issuer: 'i', sub: 's', clientId: 'c', jti: 'j', kid: 'k', agentId: '' };
  const lists = { audience: [], scopes: [], agentChain: [] };
  const times = { expiresAt: 2, issuedAt: 1, notBefore: 0 };
  return new VerifiedClaims({ ...texts, ...lists, ...times, act: undefined, raw }, exactScopes);
}

const request: DPoPRequest = { method: 'POST', url: '/mcp', proofs: [], scheme: 'Bearer' };

describe('noSenderConstraint', () => {
  it('lets a bearer token pass as it is, and at once', () => {
    const given = claims();
    expect(noSenderConstraint.check({ token: 't', claims: given }, request)).toEqual({
      claims: given,
    });
  });

  it.each<[string, VerifiedClaims, Partial<DPoPRequest>, new (message: string) => AuthplaneError]>([
    ['a bound token', claims({ cnf: { jkt: 'x' } }), {}, DPoPNotSupportedError],
    ['a cnf of any shape', claims({ cnf: null }), {}, DPoPNotSupportedError],
    ['a proof', claims(), { proofs: ['p'] }, DPoPBindingMismatchError],
    ['the scheme DPoP', claims(), { scheme: 'DPoP' }, DPoPNotSupportedError],
  ])('refuses %s', (_name, given, more, kind) => {
    expect(() =>
      noSenderConstraint.check({ token: 't', claims: given }, { ...request, ...more }),
    ).toThrow(kind);
  });
});

describe('10.14c: a request whose token could not be checked for a moment', () => {
  it('is as good when it comes again, proof included, and then never more', async () => {
    const key = signingKey('ES256', 'k');
    let isAway = true;
    const revocationChecker = () => {
      if (isAway) throw new Error('away');
      return false;
    };
    const options = { inboundDPoP: {}, revocationChecker };
    const trusting = await trustingResource([key.jwk], { resource: options });
    try {
      const proofKey = await generateDPoPKey();
      const cnf = { jkt: proofKey.thumbprint };
      const accessToken = trusting.mint(key, { claims: { cnf } });
      const iat = Math.floor(trusting.clock.now());
      const url = RESOURCE;
      const proof = dpopProof(proofKey, { method: 'POST', url, accessToken, claims: { iat } });
      const headers = ['Authorization', `DPoP ${accessToken}`, 'DPoP', proof];
      const outcome = () =>
        trusting.resource.authenticate({ method: 'POST', url: '/mcp', headers }).then(
          () => 'in',
          (error: AuthplaneError) => error.code,
        );
      expect(await outcome()).toBe('authorization_server_unavailable');
      isAway = false;
      expect(await outcome()).toBe('in');
      expect(await outcome()).toBe('dpop_replay_detected');
    } finally {
      await trusting.close();
    }
  });
});

describe('the URL that a proof is for', () => {
  it('is that of each request, whichever came before', async () => {
    const key = signingKey('ES256', 'k');
    const trusting = await trustingResource([key.jwk], { resource: { inboundDPoP: {} } });
    try {
      const proofKey = await generateDPoPKey();
      const cnf = { jkt: proofKey.thumbprint };
      const accessToken = trusting.mint(key, { claims: { cnf } });
      const iat = Math.floor(trusting.clock.now());
      const outcome = (url: string, htu: string) => {
        const proof = dpopProof(proofKey, {
          ...{ method: 'POST', url: RESOURCE, accessToken },
          claims: { iat, htu },
        });
        const headers = ['Authorization', `DPoP ${accessToken}`, 'DPoP', proof];
        return trusting.resource.authenticate({ method: 'POST', url, headers }).then(
          () => 'in',
          (error: AuthplaneError) => error.code,
        );
      };
      const other = new URL('/other', RESOURCE).href;
      expect(await outcome('', '')).toBe('invalid_dpop_proof'); // no path, and no request before
      expect(await outcome('/mcp', RESOURCE)).toBe('in');
      expect(await outcome('/mcp', RESOURCE)).toBe('in');
      expect(await outcome('/other', RESOURCE)).toBe('invalid_dpop_proof');
      expect(await outcome('/other', other)).toBe('in');
      expect(await outcome('/mcp', other)).toBe('invalid_dpop_proof');
      expect(await outcome('*', other)).toBe('invalid_dpop_proof');
      expect(await outcome('', '')).toBe('invalid_dpop_proof');
    } finally {
      await trusting.close();
    }
  });
});

describe('9.9g: the memory of used proofs', () => {
  it('is shared by all objects of one resource, and not with another resource', async () => {
    const key = signingKey('ES256', 'k');
    const inboundDPoP = {};
    const trusting = await trustingResource([key.jwk], { resource: { inboundDPoP } });
    const { client, clock, resource } = trusting;
    const other = 'https://api.example.com/other';
    try {
      const proofKey = await generateDPoPKey();
      const claims = { cnf: { jkt: proofKey.thumbprint }, aud: [RESOURCE, other] };
      const accessToken = trusting.mint(key, { claims });
      const iat = Math.floor(clock.now());
      const proof = dpopProof(proofKey, {
        ...{ method: 'POST', url: RESOURCE, accessToken },
        claims: { iat },
      });
      const headers = ['Authorization', `DPoP ${accessToken}`, 'DPoP', proof];
      const outcomeAt = (at: typeof resource) =>
        at.authenticate({ method: 'POST', url: '/mcp', headers }).then(
          () => 'in',
          (error: AuthplaneError) => error.code,
        );
      const twin = client.resource({ resource: RESOURCE, inboundDPoP });
      expect(await outcomeAt(resource)).toBe('in');
      expect(await outcomeAt(twin)).toBe('dpop_replay_detected');
      expect(await outcomeAt(client.resource({ resource: other, inboundDPoP }))).toBe('in');
    } finally {
      await trusting.close();
    }
  });
});
