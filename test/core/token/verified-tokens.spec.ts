import { beforeAll, describe, expect, it } from 'vitest';
import { exactScopes } from '../../../src/core/lib/scopes.js';
import { VerifiedClaims } from '../../../src/core/token/verified-claims.js';
import { RememberedToken, VerifiedTokens } from '../../../src/core/token/verified-tokens.js';
import { type SigningKey, signingKey } from '../../support/tokens/keys-and-tokens.js';

let key: SigningKey;

beforeAll(() => {
  key = signingKey('ES256', 'k');
});

function verified(jti: string, length = 600): RememberedToken {
  const texts = { issuer: 'i', sub: 's', clientId: 'c', jti, kid: 'k', agentId: '' };
  const lists = { audience: [], scopes: [], agentChain: [] };
  const times = { expiresAt: 2, issuedAt: 1, notBefore: 0 };
  const claims = { ...texts, ...lists, ...times, act: undefined, raw: {} };
  const { kid, alg, publicKey } = key;
  const token = {
    claims: new VerifiedClaims(claims, exactScopes),
    key: { kid, alg, key: publicKey, kty: 'EC', crv: 'P-256', material: '' },
  };
  return new RememberedToken(token, length, 0);
}

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
const tokenOf = (jti: string, signature: string) =>
  `${encoded({ alg: 'ES256' })}.${encoded({ jti })}.${signature}`;

function fill(tokens: VerifiedTokens, count: number, name: string): void {
  for (let i = 0; i < count; i++) tokens.set(`${name}-${i}`, verified(name));
}

describe('VerifiedTokens', () => {
  it('serves what was put in, by its key', () => {
    const tokens = new VerifiedTokens();
    const value = verified('a');
    tokens.set(tokens.keyOf('hash'), value);
    expect(tokens.get(tokens.keyOf('hash'))).toBe(value);
    expect(tokens.get(tokens.keyOf('other'))).toBeUndefined();
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

  it('hardening: T08: forgetting one spelling of a signature forgets the others', () => {
    const tokens = new VerifiedTokens();
    const values = { a: verified('a'), twin: verified('a'), b: verified('b') };
    for (const [key, value] of Object.entries(values)) tokens.set(key, value);
    tokens.forget(tokenOf('a', 'another'));
    expect([tokens.get('a'), tokens.get('twin')]).toEqual([undefined, undefined]);
    expect(tokens.get('b')).toBe(values.b);
    const isLongAgo = ({ since }: RememberedToken) => since < -1000;
    expect([values.a, values.twin, values.b].map(isLongAgo)).toEqual([true, true, false]);
  });

  it.each(['', 'opaque', 'a.b.c', tokenOf('unknown', 's')])('forgets nothing for %j', (token) => {
    const tokens = new VerifiedTokens();
    tokens.set('a', verified('a'));
    tokens.forget(token);
    expect(tokens.size).toBe(1);
  });

  it('3.1 #4: 12.4: resources share the room and no token; forgetting one is for all of them', () => {
    const tokens = new VerifiedTokens();
    const [a, b] = [tokens.sharedWith('https://a.example'), tokens.sharedWith('https://b.example')];
    const keys = [a, b, tokens].map((memory) => memory.keyOf('h.c.s'));
    expect(new Set(keys).size).toBe(3);
    a.set(a.keyOf('h.c.s'), verified('a'));
    b.set(b.keyOf('h.c.s'), verified('a'));
    expect([a.size, b.size, tokens.size]).toEqual([2, 2, 2]);
    a.forget(tokenOf('a', 's'));
    expect(tokens.size).toBe(0);
  });

  it('13.4: T59: remembers 50,000 unless the option says otherwise, and never more', () => {
    const tokens = new VerifiedTokens();
    fill(tokens, 50_100, 'x');
    expect(tokens.size).toBe(50_000);
    const few = new VerifiedTokens({ maxEntries: 3 });
    fill(few, 10, 'x');
    expect(few.size).toBe(3);
    const none = new VerifiedTokens({ maxEntries: 0 });
    fill(none, 10, 'x');
    expect(none.size).toBe(0);
  });

  it('13.4: so many tokens as it may remember can come in turn for ever', () => {
    const tokens = new VerifiedTokens({ maxEntries: 1000 });
    fill(tokens, 1000, 'x');
    for (let i = 0; i < 3000; i++) expect(tokens.get(`x-${i % 1000}`)).toBeDefined();
  });

  it('10.11d: 3.1 #8: are bounded by what they weigh, too', () => {
    const tokens = new VerifiedTokens({ maxEntries: 1000 });
    for (let i = 0; i < 1000; i++) tokens.set(`long-${i}`, verified('a', 16_000));
    expect(tokens.size).toBe(100); // 1600 characters each
    expect(tokens.get('long-999')).toBeDefined();
  });

  it('one in use survives any number of others', () => {
    const tokens = new VerifiedTokens({ maxEntries: 100 });
    const value = verified('used');
    tokens.set('used', value);
    for (let round = 0; round < 20; round++) {
      fill(tokens, 60, `x${round}`);
      expect(tokens.get('used')).toBe(value);
    }
  });

  it('T56: keeps no token text', () => {
    const tokens = new VerifiedTokens();
    tokens.set(tokens.keyOf('hash'), verified('canary'));
    expect(JSON.stringify(tokens) + String(tokens)).not.toContain('canary');
  });
});
