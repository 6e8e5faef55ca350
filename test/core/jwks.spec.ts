import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  AuthorizationServerUnavailableError,
  type AuthplaneError,
  InvalidSignatureError,
  JWKSFetchError,
} from '../../src/core/errors.js';
import { rsaSigningKey, type SigningKey, signingKey } from './fixtures/keys-and-tokens.js';
import { type Answer, json, LoopbackAuthorizationServer, raw } from './fixtures/loopback-server.js';
import { expectRefusal } from './fixtures/refusals.js';
import {
  trustingResource,
  type TrustingResource,
  type TrustingResourceOptions,
} from './fixtures/trusting-resource.js';

let good: SigningKey;
let other: SigningKey;
let rsa: SigningKey;
let ed: SigningKey;
let setup: TrustingResource | undefined;
let reports: AuthplaneError[];

beforeAll(() => {
  good = signingKey('ES256', 'good');
  other = signingKey('ES256', 'other');
  rsa = signingKey('RS256', 'rsa');
  ed = signingKey('EdDSA', 'ed');
});

afterEach(async () => {
  await setup?.close();
  setup = undefined;
});

async function trust(keys: readonly unknown[], options: TrustingResourceOptions = {}) {
  reports = [];
  const client = {
    onBackgroundFailure: (error: AuthplaneError) => reports.push(error),
    ...options.client,
  };
  setup = await trustingResource(keys, { ...options, client });
  return setup;
}

/** Whether a token of this key is accepted; anything but a refused signature fails the test. */
async function isTrusted(trusting: TrustingResource, key: SigningKey, alg = key.alg) {
  try {
    await trusting.resource.verify(trusting.mint(key, { header: { alg } }));
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidSignatureError);
    return false;
  }
}

describe('selection of a key', () => {
  it('RFC 7515 §4.1.4: takes the key that kid names, also among keys of one type', async () => {
    const trusting = await trust([other.jwk, good.jwk, rsa.jwk, ed.jwk]);
    for (const key of [good, other, rsa, ed]) expect(await isTrusted(trusting, key)).toBe(true);
    const misnamed = trusting.mint(good, { header: { kid: 'other' } });
    await expectRefusal(trusting.resource.verify(misnamed), InvalidSignatureError, /not verify/);
  });

  it('RFC 7517 §4.4: a key without alg verifies every algorithm of its type', async () => {
    const { alg, ...unrestricted } = rsa.jwk;
    expect(alg).toBe('RS256');
    const trusting = await trust([unrestricted]);
    expect(await isTrusted(trusting, rsa, 'RS256')).toBe(true);
    expect(await isTrusted(trusting, rsa, 'PS256')).toBe(true);
  });

  it('RFC 7517 §4.4: a key with alg verifies no other algorithm of its type', async () => {
    const trusting = await trust([rsa.jwk]);
    expect(await isTrusted(trusting, rsa, 'RS256')).toBe(true);
    expect(await isTrusted(trusting, rsa, 'PS256')).toBe(false);
  });

  it('RFC 7518 §3.4: a curve serves its own algorithm only', async () => {
    const p384 = signingKey('ES384', 'p384');
    const { alg, ...unrestricted } = p384.jwk;
    expect(alg).toBe('ES384');
    const trusting = await trust([unrestricted, good.jwk], {
      resource: { allowedAlgorithms: ['ES256', 'ES384'] },
    });
    expect(await isTrusted(trusting, p384, 'ES384')).toBe(true);
    expect(await isTrusted(trusting, p384, 'ES256')).toBe(false);
  });

  it.each<[string, Record<string, unknown>, boolean]>([
    ['use sig', { use: 'sig' }, true],
    ['no use', { use: undefined }, true],
    ['use enc', { use: 'enc' }, false],
    ['use as a list', { use: ['sig'] }, false],
    ['use null', { use: null }, false],
    ['key_ops verify', { key_ops: ['verify'] }, true],
    ['key_ops verify among others', { key_ops: ['sign', 'verify'] }, true],
    ['key_ops sign', { key_ops: ['sign'] }, false],
    ['key_ops empty', { key_ops: [] }, false],
    ['key_ops as text', { key_ops: 'verify' }, false],
    ['key_ops null', { key_ops: null }, false],
  ])('RFC 7517 §4.2, §4.3: a key with %s', async (_, members, trusted) => {
    const trusting = await trust([good.jwk, { ...other.jwk, ...members }]);
    expect(await isTrusted(trusting, other)).toBe(trusted);
    expect(await isTrusted(trusting, good)).toBe(true);
  });

  it('T10: no kid reaches a built-in member', async () => {
    const trusting = await trust([good.jwk]);
    for (const kid of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const token = trusting.mint(good, { header: { kid } });
      await expectRefusal(trusting.resource.verify(token), InvalidSignatureError, /no key/);
    }
  });

  it('T10: a key may be named like a built-in member', async () => {
    const proto = signingKey('ES256', '__proto__');
    expect(await isTrusted(await trust([proto.jwk]), proto)).toBe(true);
  });

  it('two keys with one kid that both fit are ambiguous, and neither is used', async () => {
    const twin = signingKey('ES256', 'good');
    const trusting = await trust([good.jwk, twin.jwk, other.jwk]);
    expect(await isTrusted(trusting, good)).toBe(false);
    expect(await isTrusted(trusting, twin)).toBe(false);
    expect(await isTrusted(trusting, other)).toBe(true);
  });

  it('hardening: one key listed twice is one key', async () => {
    const trusting = await trust([good.jwk, other.jwk, { ...good.jwk }]);
    expect(await isTrusted(trusting, good)).toBe(true);
    trusting.clock.advance(400); // the set is read again
    expect(await isTrusted(trusting, good)).toBe(true);
  });

  it('RFC 7517 §4.5: two keys of different types may share a kid', async () => {
    const sameName = signingKey('RS256', 'good');
    const trusting = await trust([good.jwk, sameName.jwk]);
    expect(await isTrusted(trusting, good)).toBe(true);
    expect(await isTrusted(trusting, sameName)).toBe(true);
  });
});

describe('T40: keys that are dropped while the good ones stay', () => {
  const dropped: [string, () => unknown, RegExp][] = [
    ['a symmetric key', () => ({ kty: 'oct', kid: 'bad', k: 'c2VjcmV0' }), /member k/],
    ...['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].map(
      (name): [string, () => unknown, RegExp] => [
        `a key with the private member ${name}`,
        () => ({ ...other.jwk, [name]: 'AAAA' }),
        new RegExp(`member ${name}:`),
      ],
    ),
    ['a key without kid', () => ({ ...other.jwk, kid: undefined }), /no kid/],
    ['a key with an empty kid', () => ({ ...other.jwk, kid: '' }), /no kid/],
    ['a key with a numeric kid', () => ({ ...other.jwk, kid: 1 }), /no kid/],
    ['a key of an unknown type', () => ({ ...other.jwk, kty: 'AKP' }), /unknown kty/],
    ['a key without type', () => ({ ...other.jwk, kty: undefined }), /unknown kty/],
    ['a key of an unknown curve', () => ({ ...other.jwk, crv: 'secp256k1' }), /unknown curve/],
    ['an Ed448 key', () => ({ ...ed.jwk, crv: 'Ed448' }), /unknown curve/],
    ['a key agreement curve', () => ({ ...ed.jwk, crv: 'X25519' }), /unknown curve/],
    ['a point off the curve', () => ({ ...other.jwk, y: other.jwk['x'] }), /imported/],
    ['half a point', () => ({ ...other.jwk, y: undefined }), /imported/],
    ['a short Ed25519 key', () => ({ ...ed.jwk, x: 'AAAA' }), /imported/],
    ['null', () => null, /not an object/],
    ['text', () => 'key', /not an object/],
    ['a list', () => [], /not an object/],
    [
      'an RSA key of 1024 bits',
      () => rsaSigningKey('bad', { modulusLength: 1024 }).jwk,
      /2048 to 8192/,
    ],
    [
      'an RSA key of 2040 bits',
      () => rsaSigningKey('bad', { modulusLength: 2040 }).jwk,
      /2048 to 8192/,
    ],
    [
      'an RSA key beyond 8192 bits',
      () => ({ ...rsa.jwk, n: Buffer.alloc(1025, 0xff).toString('base64url') }),
      /2048 to 8192/,
    ],
    [
      'an RSA key with exponent 3',
      () => rsaSigningKey('bad', { publicExponent: 3 }).jwk,
      /exponent/,
    ],
    ['an RSA key with exponent 1', () => ({ ...rsa.jwk, e: 'AQ' }), /exponent/],
    ['an RSA key with an even exponent', () => ({ ...rsa.jwk, e: 'AQAC' }), /exponent/],
  ];

  it.each(dropped)('%s', async (_, bad, reason) => {
    const trusting = await trust([good.jwk, bad()]);
    expect(await isTrusted(trusting, good)).toBe(true);
    expect(reports).toHaveLength(1);
    expect(reports[0]).toBeInstanceOf(JWKSFetchError);
    expect(reports[0]?.message).toMatch(/key 1 /);
    expect(reports[0]?.message).toMatch(reason);
  });

  it.each(dropped)('a set of nothing but %s is refused, and so is the start', async (_, bad) => {
    await expectRefusal(trust([bad()]), JWKSFetchError, /no usable key/);
  });

  it('a sound set is reported about to nobody', async () => {
    await trust([good.jwk, other.jwk, rsa.jwk, ed.jwk]);
    expect(reports).toEqual([]);
  });

  it('a key that stays unusable is reported once, not at every reload', async () => {
    const trusting = await trust([good.jwk, { kty: 'oct', kid: 'bad', k: 'AAAA' }]);
    expect(await isTrusted(trusting, other)).toBe(false); // searches, and so reloads
    expect(trusting.server.jwksFetches).toBe(2);
    expect(reports).toHaveLength(1);
  });

  it('hardening: a callback that throws makes no good set a bad one', async () => {
    const onBackgroundFailure = (): never => {
      throw new Error('the logger is broken');
    };
    const keys = [good.jwk, { kty: 'oct', kid: 'bad', k: 'AAAA' }];
    expect(await isTrusted(await trust(keys, { client: { onBackgroundFailure } }), good)).toBe(
      true,
    );
  });

  it('the report quotes nothing of a private key', async () => {
    const d = 'cHJpdmF0ZS1rZXktbWF0ZXJpYWw';
    await trust([good.jwk, { ...other.jwk, d }]);
    expect(JSON.stringify(reports.map((error) => [error.message, error.stack]))).not.toContain(d);
  });

  const roca = rocaKey();
  (roca === undefined ? it.skip : it)(
    'CVE-2017-15361: the ROCA key of the Wycheproof set',
    async () => {
      const trusting = await trust([good.jwk, { ...roca, kid: 'roca' }]);
      expect(await isTrusted(trusting, good)).toBe(true);
      expect(reports[0]?.message).toMatch(/ROCA/);
    },
  );
});

function rocaKey(): Record<string, unknown> | undefined {
  const path = '../shared/vectors/wycheproof/json_web_key_test.json';
  try {
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as {
      testGroups: { comment: string; public?: { keys: Record<string, unknown>[] } }[];
    };
    return testGroups.find(({ comment }) => comment === 'jws_rsa_roca_key')?.public?.keys[0];
  } catch {
    console.warn(`SKIPPED: ${path} is not there, the ROCA key of Wycheproof was not tried`);
    return undefined;
  }
}

describe('T40: answers that are no key set', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ ...other.jwk, kid: `k${index}` }));
  const refused: [string, () => Answer][] = [
    ['an empty body', () => raw('')],
    ['HTML', () => raw('<html></html>', { type: 'text/html' })],
    ['HTML that calls itself JSON', () => raw('<html></html>')],
    ['{}', () => json({})],
    ['[]', () => json([])],
    ['null', () => json(null)],
    ['an empty list of keys', () => json({ keys: [] })],
    ['keys as an object', () => json({ keys: { 0: other.jwk } })],
    ['a set without one usable key', () => json({ keys: [{ kty: 'oct', kid: 'a', k: 'AAAA' }] })],
    ['a set of 101 keys', () => json({ keys: many(101) })],
    ['a truncated set', () => raw(JSON.stringify({ keys: [other.jwk] }).slice(0, -3))],
    ['a set with a duplicate member', () => raw('{"keys":[],"keys":[]}')],
    ['status 204', () => raw('', { status: 204 })],
    ['status 304', () => raw('', { status: 304 })],
    ['status 404', () => json({ keys: [other.jwk] }, 404)],
    ['status 500 with a set', () => json({ keys: [other.jwk] }, 500)],
    ['status 203 with a set', () => json({ keys: [other.jwk] }, 203)],
    ['a redirect', () => raw('', { status: 302, headers: { location: '/elsewhere' } })],
  ];

  it.each(refused)('%s: the last good copy stays in use', async (_, answer) => {
    const trusting = await trust([good.jwk]);
    trusting.server.answers.set('/jwks', answer());
    trusting.server.answers.set('/elsewhere', json({ keys: [other.jwk] }));
    // The search for an unknown kid reads the set again; what it finds must not replace the good one.
    const unknown = trusting.resource.verify(trusting.mint(other));
    await expectRefusal(unknown, JWKSFetchError, /./);
    expect(trusting.server.jwksFetches).toBe(2);
    expect(trusting.server.fetchesOf('/elsewhere')).toBe(0);
    expect(await isTrusted(trusting, good)).toBe(true);
  });

  it.each(refused)('%s: no start with it', async (_, answer) => {
    const server = await LoopbackAuthorizationServer.start([good.jwk]);
    server.answers.set('/jwks', answer());
    const { AuthplaneClient } = await import('../../src/core/client.js');
    const start = AuthplaneClient.create({ issuer: server.issuer, devMode: true });
    await expectRefusal(start, JWKSFetchError, /./);
    await server.stop();
  });

  it('a set of 100 keys is taken', async () => {
    const trusting = await trust([...many(99), good.jwk]);
    expect(await isTrusted(trusting, good)).toBe(true);
  });
});

describe('reloads', () => {
  it('an unchanged key keeps its import, so tokens stay remembered', async () => {
    const trusting = await trust([good.jwk]);
    const token = trusting.mint(good);
    const claims = await trusting.resource.verify(token);
    trusting.server.keys = [{ ...good.jwk }, rsa.jwk];
    expect(await isTrusted(trusting, rsa)).toBe(true);
    expect(trusting.server.jwksFetches).toBe(2);
    expect(await trusting.resource.verify(token)).toBe(claims);
  });

  it('T42: a removed key verifies no longer, not even remembered tokens', async () => {
    const trusting = await trust([good.jwk, other.jwk]);
    const token = trusting.mint(other);
    await trusting.resource.verify(token);
    trusting.server.keys = [good.jwk];
    expect(await isTrusted(trusting, ed)).toBe(false); // an unknown kid: the set is read again
    await expectRefusal(trusting.resource.verify(token), InvalidSignatureError, /no key/);
    expect(await isTrusted(trusting, good)).toBe(true);
  });

  it('T42: a kid that is given to another key takes remembered tokens of the old one with it', async () => {
    const trusting = await trust([good.jwk]);
    const token = trusting.mint(good);
    await trusting.resource.verify(token);
    const successor = signingKey('ES256', 'good');
    trusting.server.keys = [successor.jwk];
    expect(await isTrusted(trusting, ed)).toBe(false);
    await expectRefusal(trusting.resource.verify(token), InvalidSignatureError, /not verify/);
    expect(await isTrusted(trusting, successor)).toBe(true);
  });

  it('T42: a restriction that appears on a key counts from then on', async () => {
    const { alg, ...unrestricted } = rsa.jwk;
    expect(alg).toBe('RS256');
    const trusting = await trust([unrestricted, good.jwk]);
    const token = trusting.mint(rsa, { header: { alg: 'PS256' } });
    await trusting.resource.verify(token);
    trusting.server.keys = [rsa.jwk, good.jwk];
    expect(await isTrusted(trusting, ed)).toBe(false);
    await expectRefusal(trusting.resource.verify(token), InvalidSignatureError, /no key/);
  });

  it('P02: Cache-Control and Expires of the server change nothing', async () => {
    const trusting = await trust([good.jwk]);
    const headers = { 'cache-control': 'no-store, max-age=0', expires: '0' };
    trusting.server.answers.set('/jwks', raw(JSON.stringify({ keys: [good.jwk] }), { headers }));
    for (let i = 0; i < 20; i++) {
      await trusting.resource.verify(trusting.mint(good, { claims: { jti: `t${i}` } }));
    }
    expect(trusting.server.jwksFetches).toBe(1);
  });

  it('a moved jwks_uri is followed when a kid is unknown', async () => {
    const trusting = await trust([good.jwk]);
    trusting.clock.advance(61); // metadata younger than that is believed
    const { server } = trusting;
    server.answers.set('/jwks', json({ error: 'gone' }, 410));
    server.answers.set('/moved', json({ keys: [other.jwk] }));
    const moved = { ...server.metadata(), jwks_uri: `${server.origin}/moved` };
    server.answers.set(server.metadataPath, json(moved));
    expect(await isTrusted(trusting, other)).toBe(true);
    expect(server.fetchesOf('/moved')).toBe(1);
    expect(server.jwksFetches).toBe(1);
    expect(await isTrusted(trusting, good)).toBe(false);
  });

  it('T39: a metadata document of another issuer moves nothing', async () => {
    const trusting = await trust([good.jwk]);
    trusting.clock.advance(61);
    const { server } = trusting;
    server.answers.set('/evil', json({ keys: [other.jwk] }));
    const evil = { issuer: 'https://evil.example', jwks_uri: `${server.origin}/evil` };
    server.answers.set(server.metadataPath, json(evil));
    expect(await isTrusted(trusting, other)).toBe(false);
    expect(server.fetchesOf('/evil')).toBe(0);
    expect(await isTrusted(trusting, good)).toBe(true);
  });
});

describe('unknown kids', () => {
  it('G5: 1,000 concurrent tokens of a freshly rotated key cost one fetch, and none is refused', async () => {
    const trusting = await trust([good.jwk]);
    trusting.server.keys = [good.jwk, other.jwk];
    const tokens = Array.from({ length: 1000 }, (_, i) =>
      trusting.mint(other, { claims: { jti: `t${i}` } }),
    );
    const results = await Promise.allSettled(
      tokens.map((token) => trusting.resource.verify(token)),
    );
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(trusting.server.jwksFetches).toBe(2); // one at the start
  });

  it('G5: the same when the metadata has to be read again first', async () => {
    const trusting = await trust([good.jwk]);
    trusting.clock.advance(61);
    trusting.server.keys = [good.jwk, other.jwk];
    const tokens = Array.from({ length: 1000 }, (_, i) =>
      trusting.mint(other, { claims: { jti: `t${i}` } }),
    );
    const results = await Promise.allSettled(
      tokens.map((token) => trusting.resource.verify(token)),
    );
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(trusting.server.jwksFetches).toBe(2);
    expect(trusting.server.metadataFetches).toBe(2);
  });

  it('F08: a key published while a load is under way is found by one more fetch', async () => {
    const trusting = await trust([good.jwk]);
    const { server } = trusting;
    const late: (() => void)[] = [];
    server.answers.set('/jwks', (response) => {
      late.push(() => {
        json({ keys: [good.jwk] })(response, response.req);
      });
    });
    const first = isTrusted(trusting, ed); // starts a load that will bring the old set
    await waitUntil(() => late.length === 1);
    const rotated = Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        trusting.resource.verify(trusting.mint(other, { claims: { jti: `t${i}` } })),
      ),
    );
    server.answers.set('/jwks', json({ keys: [good.jwk, other.jwk] }));
    late[0]?.();
    expect(await first).toBe(false);
    expect(await rotated).toHaveLength(50);
    expect(server.jwksFetches).toBe(3);
  });

  it('T41: 10,000 distinct unknown kids cost at most 6 fetches, and good tokens pass meanwhile', async () => {
    const trusting = await trust([good.jwk]);
    const token = trusting.mint(other);
    const [, claims = '', signature = ''] = token.split('.');
    let refused = 0;
    for (let round = 0; round < 100; round++) {
      const flood = Array.from({ length: 100 }, (_, i) => {
        const header = JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: `u${round}-${i}` });
        const forged = `${Buffer.from(header).toString('base64url')}.${claims}.${signature}`;
        return expectRefusal(trusting.resource.verify(forged), InvalidSignatureError, /no key/);
      });
      const jti = `during-${round}`;
      await trusting.resource.verify(trusting.mint(good, { claims: { jti } }));
      refused += (await Promise.all(flood)).length;
    }
    expect(refused).toBe(10_000);
    expect(trusting.server.jwksFetches).toBeLessThanOrEqual(6);
    expect(trusting.server.metadataFetches).toBeLessThanOrEqual(2);
  });

  it('F09: under a flood a new key is accepted within one interval', async () => {
    const trusting = await trust([good.jwk]);
    const flood = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const kid = `flood-${trusting.clock.elapsed()}-${i}`;
        await expectRefusal(
          trusting.resource.verify(trusting.mint(good, { header: { kid } })),
          InvalidSignatureError,
          /no key/,
        );
      }
    };
    await flood(10); // the early tries are spent
    trusting.server.keys = [good.jwk, other.jwk];
    expect(await isTrusted(trusting, other)).toBe(false);
    const before = trusting.server.jwksFetches;
    trusting.clock.advance(5);
    await flood(10);
    expect(await isTrusted(trusting, other)).toBe(true);
    expect(trusting.server.jwksFetches).toBe(before + 1);
  });

  it('T41: two early tries, then one after 5 s, 15 s, 45 s and every 60 s', async () => {
    const trusting = await trust([good.jwk]);
    const fetchesOfFlood = async () => {
      const before = trusting.server.jwksFetches;
      for (let i = 0; i < 10; i++) {
        const header = { kid: `flood-${trusting.clock.elapsed()}-${i}` };
        await trusting.resource.verify(trusting.mint(good, { header })).catch(() => undefined);
      }
      return trusting.server.jwksFetches - before;
    };
    expect(await fetchesOfFlood()).toBe(2);
    for (const pause of [5, 15, 45, 60, 60]) {
      trusting.clock.advance(pause - 0.1);
      expect(await fetchesOfFlood()).toBe(0);
      trusting.clock.advance(0.1);
      expect(await fetchesOfFlood()).toBe(1);
      expect(await fetchesOfFlood()).toBe(0);
    }
  });

  it('G5: genuine rotations never use the budget up', async () => {
    const trusting = await trust([good.jwk]);
    for (let rotation = 0; rotation < 10; rotation++) {
      const fresh = signingKey('ES256', `rotated-${rotation}`);
      trusting.server.keys = [fresh.jwk];
      const before = trusting.server.jwksFetches;
      expect(await isTrusted(trusting, fresh)).toBe(true);
      expect(trusting.server.jwksFetches).toBe(before + 1);
    }
  });

  it('F29: all who wait for a search that fails get the same typed error', async () => {
    const trusting = await trust([good.jwk]);
    await trusting.server.stop();
    const errors = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        trusting.resource
          .verify(trusting.mint(other, { claims: { jti: `t${i}` } }))
          .catch((error: unknown) => error),
      ),
    );
    expect(errors[0]).toBeInstanceOf(JWKSFetchError);
    expect(new Set(errors).size).toBe(1);
    expect(await isTrusted(trusting, good)).toBe(true);
  });
});

describe('F02: the authorization server is away', () => {
  const ages = { jwksRefreshSeconds: 300, maxStaleSeconds: 600 };

  it('its keys are used until refresh age and stale limit have passed, then 503', async () => {
    const trusting = await trust([good.jwk], { client: ages });
    await trusting.server.stop();
    const claims = { exp: 1_900_000_000 };
    const remembered = trusting.mint(good, { claims });
    await trusting.resource.verify(remembered);
    for (const step of [299, 1, 599, 1]) {
      trusting.clock.advance(step);
      const jti = `after-${trusting.clock.elapsed()}`;
      await trusting.resource.verify(trusting.mint(good, { claims: { ...claims, jti } }));
      await trusting.resource.verify(remembered);
      expect(trusting.client.isReady).toBe(true);
    }
    trusting.clock.advance(1);
    expect(trusting.client.isReady).toBe(false);
    for (const token of [remembered, trusting.mint(good, { claims: { ...claims, jti: 'new' } })]) {
      await expectRefusal(trusting.resource.verify(token), JWKSFetchError, /./);
    }
  });

  it('maxStaleSeconds 0 refuses a set beyond its refresh age', async () => {
    const trusting = await trust([good.jwk], { client: { ...ages, maxStaleSeconds: 0 } });
    await trusting.server.stop();
    trusting.clock.advance(300);
    expect(await isTrusted(trusting, good)).toBe(true);
    trusting.clock.advance(1);
    const token = trusting.mint(good, { claims: { jti: 'later' } });
    const error = await trusting.resource.verify(token).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(AuthorizationServerUnavailableError);
  });

  it('F16: setting the machine clock makes no set old', async () => {
    const trusting = await trust([good.jwk], { client: ages });
    await trusting.server.stop();
    const now = trusting.clock.now() + 1_000_000;
    trusting.clock.setWall(now);
    const token = trusting.mint(good, { claims: { iat: now, exp: now + 60 } });
    expect((await trusting.resource.verify(token)).issuedAt).toBe(now);
    expect(trusting.server.jwksFetches).toBe(1);
  });

  it('when it is back, tokens are accepted again', async () => {
    const trusting = await trust([good.jwk], { client: ages });
    await trusting.server.stop();
    trusting.clock.advance(901);
    const token = trusting.mint(good, { claims: { exp: 1_900_000_000 } });
    await expectRefusal(trusting.resource.verify(token), JWKSFetchError, /./);
    await trusting.server.listen();
    trusting.clock.advance(31); // longer than any pause
    expect((await trusting.resource.verify(token)).sub).toBe('user-1');
  });
});

async function waitUntil(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
