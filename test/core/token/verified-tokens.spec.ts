import { beforeAll, describe, expect, it } from '@jest/globals';
import type { VerifiedAccessToken } from '../../../src/core/token/access-token.js';
import { exactScopes } from '../../../src/core/lib/scopes.js';
import { VerifiedClaims } from '../../../src/core/token/verified-claims.js';
import { VerifiedTokens } from '../../../src/core/token/verified-tokens.js';
import { type SigningKey, signingKey } from '../../support/tokens/keys-and-tokens.js';

const HEADER = Buffer.from('{"alg":"ES256"}').toString('base64url');

let key: SigningKey;

beforeAll(() => {
  key = signingKey('ES256', 'k');
});

function verified(jti: string): VerifiedAccessToken {
  const texts = { issuer: 'i', sub: 's', clientId: 'c', jti, kid: 'k', agentId: '' };
  const lists = { audience: [], scopes: [], agentChain: [] };
  const times = { expiresAt: 2, issuedAt: 1, notBefore: 0 };
  const claims = { ...texts, ...lists, ...times, act: undefined, raw: {} };
  const { kid, alg, publicKey } = key;
  return {
    claims: new VerifiedClaims(claims, exactScopes),
    key: { kid, alg, key: publicKey, kty: 'EC', crv: 'P-256', material: '' },
  };
}

function fill(tokens: VerifiedTokens, count: number, name: string): void {
  const value = verified(name);
  for (let i = 0; i < count; i++) tokens.set(`${name}-${i}`, value);
}

describe('VerifiedTokens', () => {
  it('remembers a token by its whole text', () => {
    const tokens = new VerifiedTokens();
    const value = verified('a');
    tokens.set('h.c.s', value);
    expect(tokens.get('h.c.s')).toBe(value);
    for (const near of ['h.c.t', 'h.c.s ', 'H.c.s', 'h.c', '']) {
      expect(tokens.get(near)).toBeUndefined();
    }
  });

  it('T10: starts with nothing, also under names of built-in members', () => {
    const tokens = new VerifiedTokens();
    for (const name of ['__proto__', 'constructor', 'size', 'get']) {
      expect(tokens.get(name)).toBeUndefined();
    }
  });

  it('a later value replaces the earlier one', () => {
    const tokens = new VerifiedTokens();
    tokens.set('t', verified('a'));
    const later = verified('b');
    tokens.set('t', later);
    expect(tokens.get('t')).toBe(later);
  });

  it('forgets on demand, young and old entries alike', () => {
    const tokens = new VerifiedTokens();
    tokens.set('old', verified('a'));
    fill(tokens, 5000, 'x');
    tokens.set('young', verified('b'));
    tokens.delete('old');
    tokens.delete('young');
    tokens.delete('unknown');
    expect([tokens.get('old'), tokens.get('young')]).toEqual([undefined, undefined]);
  });

  it('hardening: T08: forgetting one spelling of a signature forgets the others', () => {
    const tokens = new VerifiedTokens();
    tokens.set(`${HEADER}.c.s`, verified('a'));
    tokens.set(`${HEADER}.c.second`, verified('a'));
    tokens.set(`${HEADER}.other.s`, verified('b'));
    tokens.forget(`${HEADER}.c.twin`);
    expect(tokens.get(`${HEADER}.c.s`)).toBeUndefined();
    expect(tokens.get(`${HEADER}.c.second`)).toBeUndefined();
    expect(tokens.get(`${HEADER}.other.s`)?.claims.jti).toBe('b');
  });

  it('12.4: resources share the room and no token; forgetting one is for all of them', () => {
    const tokens = new VerifiedTokens();
    const [a, b] = [tokens.sharedWith('https://a.example'), tokens.sharedWith('https://b.example')];
    const value = verified('a');
    a.set('h.c.s', value);
    expect([a.get('h.c.s'), b.get('h.c.s'), tokens.get('h.c.s')]).toEqual([
      value,
      undefined,
      undefined,
    ]);
    b.set('h.c.s', value);
    expect(tokens.size).toBe(2);
    tokens.forget('h.c.s');
    expect([a.get('h.c.s'), b.get('h.c.s'), tokens.size]).toEqual([undefined, undefined, 0]);
  });

  it('T59: 10,000 tokens later an unused one is gone', () => {
    const tokens = new VerifiedTokens();
    tokens.set('unused', verified('a'));
    fill(tokens, 10_000, 'x');
    expect(tokens.get('unused')).toBeUndefined();
  });

  it('10.11d: are bounded by what they weigh, too', () => {
    const tokens = new VerifiedTokens();
    const value = verified('a');
    const long = 'x'.repeat(16_000);
    for (let i = 0; i < 5000; i++) tokens.set(`${long}${i}`, value);
    expect(tokens.size).toBeLessThanOrEqual((16 * 1024 * 1024) / 16_000);
    expect(tokens.size).toBeGreaterThan(500);
    expect(tokens.get(`${long}4999`)).toBe(value);
  });

  it('the latest 5,000 are always there', () => {
    const tokens = new VerifiedTokens();
    fill(tokens, 12_345, 'x');
    for (let i = 12_345 - 5000; i < 12_345; i++) expect(tokens.get(`x-${i}`)).toBeDefined();
  });

  it('one in use survives any number of others', () => {
    const tokens = new VerifiedTokens();
    const value = verified('used');
    tokens.set('used', value);
    for (let round = 0; round < 20; round++) {
      fill(tokens, 2500, `x${round}`);
      expect(tokens.get('used')).toBe(value);
    }
  });

  it('T56: keeps no token text', () => {
    const tokens = new VerifiedTokens();
    tokens.set('canary-token', verified('a'));
    expect(JSON.stringify(tokens) + String(tokens)).not.toContain('canary');
  });
});
