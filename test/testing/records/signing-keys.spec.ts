import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { randomId, SigningKeys } from '../../../src/testing/records/signing-keys.js';

const kidsOf = (keys: SigningKeys) => keys.jwks().keys.map(({ kid }) => kid);

describe('SigningKeys', () => {
  it.each([
    ['ES256', { kty: 'EC', crv: 'P-256' }],
    ['RS256', { kty: 'RSA' }],
  ] as const)('%s: publishes the public half', async (alg, members) => {
    const keys = await SigningKeys.create(alg);
    const [jwk] = keys.jwks().keys;
    expect(jwk).toMatchObject({ ...members, alg, use: 'sig', kid: keys.current.kid });
    expect(jwk).not.toHaveProperty('d');
    const found = keys.find(keys.current.kid);
    expect(found?.equals(createPublicKey(keys.current.privateKey))).toBe(true);
    expect([keys.find('unknown'), keys.find(undefined)]).toEqual([undefined, undefined]);
  });

  it('a rotation keeps one previous key', async () => {
    const keys = await SigningKeys.create('ES256');
    const first = keys.current.kid;
    await keys.rotate();
    const second = keys.current.kid;
    expect(kidsOf(keys)).toEqual([second, first]);
    expect(keys.find(first)).toBeDefined();
    await keys.rotate();
    expect(kidsOf(keys)).toEqual([keys.current.kid, second]);
    expect(keys.find(first)).toBeUndefined();
  });

  it('or none, and publishes the new one now or later', async () => {
    const keys = await SigningKeys.create('ES256');
    const first = keys.current.kid;
    await keys.rotate({ keepPrevious: false, publish: false });
    expect(kidsOf(keys)).toEqual([first]);
    expect(keys.find(first)).toBeUndefined();
    keys.publish();
    expect(kidsOf(keys)).toEqual([keys.current.kid]);
  });

  it('what is handed out is nobody’s way to change the key set', async () => {
    const keys = await SigningKeys.create('ES256');
    Object.assign(keys.jwks().keys[0] ?? {}, { kid: 'changed' });
    expect(kidsOf(keys)).toEqual([keys.current.kid]);
  });
});

it('randomId: 22 characters, never the same', () => {
  expect(randomId()).toMatch(/^[\w-]{22}$/);
  expect(randomId()).not.toBe(randomId());
});
