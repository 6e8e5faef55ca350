import { AsyncLocalStorage } from 'node:async_hooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SUPPORTED_ALGORITHMS } from '../../../src/core/lib/algorithms.js';
import type { AuthplaneError } from '../../../src/core/errors/authplane-error.js';
import {
  InvalidClaimsError,
  InvalidSignatureError,
  TokenTooLongError,
  TokenExpiredError,
} from '../../../src/core/errors/token-errors.js';
import type { AuthplaneResource } from '../../../src/core/resource.js';
import type { VerifiedClaims } from '../../../src/core/token/verified-claims.js';
import {
  base64url,
  highSTwin,
  type Members,
  mintHmac,
  mintRaw,
  NOW,
  RESOURCE,
  type SigningKey,
  signatureOf,
  signingKey,
  toSigningKey,
  validClaims,
  validHeader,
} from '../../support/tokens/keys-and-tokens.js';
import { workOf } from '../../support/hostile/work-of.js';
import { json, LoopbackAuthorizationServer } from '../../support/servers/loopback-server.js';
import { expectRefusal, refusalOf } from '../../support/tokens/refusals.js';
import { trustingResource, type TrustingResource } from '../../support/tokens/trusting-resource.js';

const SKEW = 60;

let ec: SigningKey;
let rsa: SigningKey;
let ed: SigningKey;
let trusting: TrustingResource;
let resource: AuthplaneResource;

beforeAll(async () => {
  ec = signingKey('ES256', 'ec');
  rsa = signingKey('RS256', 'rsa');
  ed = signingKey('EdDSA', 'ed');
  trusting = await trustingResource([ec.jwk, rsa.jwk, ed.jwk]);
  resource = trusting.resource;
});

afterAll(() => trusting.close());

const claimsText = (changes: Members = {}) =>
  JSON.stringify(validClaims({ iss: trusting.server.issuer, ...changes }));
const headerText = (changes: Members = {}) => JSON.stringify(validHeader(ec, changes));

const withHeader = (header: Members): Promise<VerifiedClaims> =>
  resource.verify(trusting.mint(ec, { header }));
const withClaims = (claims: Members): Promise<VerifiedClaims> =>
  resource.verify(trusting.mint(ec, { claims }));
/** Signed claims of any text: `member` is added behind the valid ones, whose like is left out. */
const withClaimText = (name: string, value: string): Promise<VerifiedClaims> => {
  const others = claimsText({ [name]: undefined }).slice(1);
  return resource.verify(mintRaw(ec, headerText(), `{"${name}":${value},${others}`));
};

describe('a valid token', () => {
  it.each<[string, () => SigningKey]>([
    ['ES256', () => ec],
    ['RS256', () => rsa],
    ['EdDSA', () => ed],
  ])('RFC 9068 §4: %s is accepted', async (_, key) => {
    const claims = await resource.verify(trusting.mint(key()));
    expect(claims).toMatchObject({
      issuer: trusting.server.issuer,
      sub: 'user-1',
      clientId: 'client-1',
      audience: [RESOURCE],
      expiresAt: NOW + 600,
      issuedAt: NOW - 10,
      notBefore: 0,
      jti: 'token-1',
      kid: key().kid,
      scopes: ['tools/query', 'tools/list'],
      agentId: '',
      agentChain: [],
      act: undefined,
      dpopProof: undefined,
    });
  });

  it.each(SUPPORTED_ALGORITHMS)(
    'RFC 7518 §3.1: %s is accepted where it is allowed',
    async (alg) => {
      const key = signingKey(alg, 'only');
      const mine = await trustingResource([key.jwk], { resource: { allowedAlgorithms: [alg] } });
      await expect(mine.resource.verify(mine.mint(key))).resolves.toMatchObject({ sub: 'user-1' });
      await mine.close();
    },
  );

  it.each([
    ['EdDSA', 'Ed25519'],
    ['Ed25519', 'EdDSA'],
  ])(
    '10.14: RFC 9864 §2.2: key and token may name one algorithm differently: %s and %s',
    async (ofKey, ofToken) => {
      const key = signingKey(ofKey, 'only');
      const mine = await trustingResource([key.jwk]);
      const token = mine.mint(key, { header: { alg: ofToken } });
      await expect(mine.resource.verify(token)).resolves.toMatchObject({ sub: 'user-1' });
      await mine.close();
    },
  );

  it('10.14: a second name lets nobody in: other keys, other signatures, other lists', async () => {
    for (const alg of ['Ed25519', 'EdDSA']) {
      await expectRefusal(withHeader({ alg }), InvalidSignatureError, /no key/);
      const [header, claims] = trusting.mint(ed, { header: { alg } }).split('.');
      const [, , foreign] = trusting
        .mint(signingKey('EdDSA', 'ed'), { header: { alg } })
        .split('.');
      const forged = resource.verify(`${header}.${claims}.${foreign}`);
      await expectRefusal(forged, InvalidSignatureError, /does not verify/);
      const mine = await trustingResource([ed.jwk], { resource: { allowedAlgorithms: ['ES256'] } });
      const token = mine.mint(ed, { header: { alg } });
      await expectRefusal(mine.resource.verify(token), InvalidClaimsError, /alg that is not/);
      await mine.close();
    }
    await expectRefusal(withHeader({ alg: 'Ed448' }), InvalidClaimsError, /alg that is not/);
  });

  it('optional claims are handed on', async () => {
    const claims = await withClaims({
      nbf: NOW - 5,
      agent_id: 'research-agent',
      agent_chain: ['root', 'research-agent'],
      act: { sub: 'svc', actor_type: 'service', act: { sub: 'earlier' } },
      custom: { deep: [1, { a: 'b' }] },
    });
    expect(claims).toMatchObject({
      notBefore: NOW - 5,
      agentId: 'research-agent',
      agentChain: ['root', 'research-agent'],
      act: { sub: 'svc', actor_type: 'service', act: { sub: 'earlier' } },
    });
    expect(claims.raw['custom']).toEqual({ deep: [1, { a: 'b' }] });
  });
});

describe('T01: alg none', () => {
  it.each(['none', 'None', 'NONE', 'nOnE', 'none ', ''])('"%s" with any signature', async (alg) => {
    const header = base64url(headerText({ alg }));
    const claims = base64url(claimsText());
    const signature = base64url(signatureOf(`${header}.${claims}`, ec.privateKey, 'ES256'));
    await expectRefusal(
      resource.verify(`${header}.${claims}.${signature}`),
      InvalidClaimsError,
      /alg/,
    );
    await expectRefusal(
      resource.verify(`${header}.${claims}.`),
      InvalidSignatureError,
      /three segments/,
    );
    await expectRefusal(
      resource.verify(`${header}.${claims}`),
      InvalidSignatureError,
      /three segments/,
    );
  });

  it('is refused before any key is looked for', async () => {
    const before = trusting.server.requests.length;
    await expectRefusal(withHeader({ alg: 'none', kid: 'unknown' }), InvalidClaimsError, /alg/);
    expect(trusting.server.requests).toHaveLength(before);
  });
});

describe('T02: HMAC keyed with the text of a public key', () => {
  const serialisations: [string, (key: SigningKey) => string | Buffer][] = [
    ['PEM (SPKI)', ({ publicKey }) => publicKey.export({ format: 'pem', type: 'spki' })],
    [
      'PEM without final newline',
      ({ publicKey }) => String(publicKey.export({ format: 'pem', type: 'spki' })).trimEnd(),
    ],
    ['DER (SPKI)', ({ publicKey }) => publicKey.export({ format: 'der', type: 'spki' })],
    ['JWK text', ({ jwk }) => JSON.stringify(jwk)],
    ['key set text', ({ jwk }) => JSON.stringify({ keys: [jwk] })],
    ['x or n as text', ({ jwk }) => String(jwk['x'] ?? jwk['n'])],
    ['x or n as bytes', ({ jwk }) => Buffer.from(String(jwk['x'] ?? jwk['n']), 'base64url')],
    ['nothing', () => ''],
  ];
  for (const alg of ['HS256', 'HS384', 'HS512']) {
    it.each(serialisations)(`${alg} with %s`, async (_, secret) => {
      for (const key of [ec, rsa, ed]) {
        const claims = validClaims({ iss: trusting.server.issuer });
        const token = mintHmac(validHeader(key, { alg }), claims, secret(key));
        await expectRefusal(resource.verify(token), InvalidClaimsError, /alg/);
      }
    });
  }

  it('is refused the same way when the key of the set has no alg', async () => {
    const { alg, ...jwk } = rsa.jwk;
    expect(alg).toBe('RS256');
    const open = await trustingResource([jwk], {
      resource: { allowedAlgorithms: SUPPORTED_ALGORITHMS },
    });
    const secret = rsa.publicKey.export({ format: 'pem', type: 'spki' });
    const claims = validClaims({ iss: open.server.issuer });
    const token = mintHmac(validHeader(rsa, { alg: 'HS256' }), claims, secret);
    await expectRefusal(open.resource.verify(token), InvalidClaimsError, /alg/);
    await open.close();
  });
});

describe('T03: key, header and allow-list have to agree on the algorithm', () => {
  const headerAlgorithms = [...SUPPORTED_ALGORITHMS, 'ES256K', 'HS256', 'none', 'es256'];
  const allowLists = [
    SUPPORTED_ALGORITHMS,
    ...SUPPORTED_ALGORITHMS.map((alg) => [alg] as readonly string[]),
  ];

  it('full cross product: accepted exactly when all three agree', async () => {
    const rsaPair = signingKey('RS256', 'k');
    const keys = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'].map((alg) => signingKey(alg, 'k'));
    for (const alg of SUPPORTED_ALGORITHMS.filter((name) => /^[RP]S/.test(name))) {
      keys.push(toSigningKey(rsaPair.privateKey, alg, 'k'));
    }
    // RFC 9864 §2.2: with keys of Ed25519 the two names mean the same.
    const plain = (alg: string) => (alg === 'Ed25519' ? 'EdDSA' : alg);
    let accepted = 0;
    for (const key of keys) {
      const mine = await trustingResource([key.jwk]);
      const tokens = headerAlgorithms.map((alg) => mine.mint(key, { header: { alg } }));
      for (const allowedAlgorithms of allowLists) {
        const guarded = mine.client.resource({ resource: RESOURCE, allowedAlgorithms });
        for (const [at, alg] of headerAlgorithms.entries()) {
          const outcome = await guarded.verify(String(tokens[at])).then(
            () => 'accepted',
            (error: AuthplaneError) => error.constructor.name,
          );
          const isAllowed = allowedAlgorithms.map(plain).includes(plain(alg));
          const agree = plain(alg) === plain(key.alg) && isAllowed;
          if (agree) accepted++;
          const expected = isAllowed ? 'InvalidSignatureError' : 'InvalidClaimsError';
          expect([key.alg, alg, allowedAlgorithms.length, outcome]).toEqual([
            key.alg,
            alg,
            allowedAlgorithms.length,
            agree ? 'accepted' : expected,
          ]);
        }
      }
      await mine.close();
    }
    const [ed25519Keys, names, lists] = [2, 2, 3];
    const others = (SUPPORTED_ALGORITHMS.length - names) * 2;
    expect(accepted).toBe(others + ed25519Keys * names * lists);
  });
});

describe('T04, T05, T06: headers that redirect trust or change what is signed', () => {
  let attacker: LoopbackAuthorizationServer;
  let attackersKey: SigningKey;

  beforeAll(async () => {
    attackersKey = signingKey('ES256', 'ec');
    attacker = await LoopbackAuthorizationServer.start([attackersKey.jwk]);
  });

  afterAll(() => attacker.stop());

  const refused: [string, () => Members][] = [
    ['jku', () => ({ jku: attacker.jwksUri })],
    ['x5u', () => ({ x5u: `${attacker.origin}/chain.pem` })],
    ['jwk', () => ({ jwk: attackersKey.jwk })],
    ['x5c', () => ({ x5c: ['MIIB'] })],
    ['crit', () => ({ crit: ['exp'] })],
    ['crit', () => ({ crit: ['b64'], b64: true })],
    ['crit', () => ({ crit: [] })],
    ['crit', () => ({ crit: null })],
    ['b64', () => ({ b64: true })],
    ['b64', () => ({ b64: false })],
    ['zip', () => ({ zip: 'DEF' })],
    ['cty', () => ({ cty: 'JWT' })],
    ['enc', () => ({ enc: 'A128GCM' })],
  ];

  it.each(refused)('%s is refused although our own key has signed it', async (name, header) => {
    await expectRefusal(withHeader(header()), InvalidClaimsError, new RegExp(`member ${name}\\b`));
  });

  it.each(refused)('%s brings no foreign key in, and nobody calls its URL', async (_, header) => {
    attacker.answers.set('/chain.pem', json({}));
    const token = trusting.mint(attackersKey, { header: header() });
    await refusalOf(resource.verify(token));
    expect(attacker.requests).toEqual([]);
  });

  it('other unknown headers are ignored (RFC 7515 §4)', async () => {
    await expect(withHeader({ x5t: 'abc', extra: 1 })).resolves.toMatchObject({ sub: 'user-1' });
  });

  it('a JWE of five parts and other part counts are refused', async () => {
    const token = trusting.mint(ec);
    const jwe = `${base64url('{"alg":"RSA-OAEP","enc":"A128GCM"}')}.AAAA.AAAA.AAAA.AAAA`;
    const [header = '', claims = '', signature = ''] = token.split('.');
    for (const text of [
      jwe,
      `${token}.AAAA`,
      `${token}.`,
      `.${token}`,
      `${header}..${signature}`,
      `${header}.${claims}`,
      '..',
      '.',
      '',
    ]) {
      await expectRefusal(resource.verify(text), InvalidSignatureError, /three segments/);
    }
  });

  it('the JSON serialisation is refused', async () => {
    const [header, payload, signature] = trusting.mint(ec).split('.');
    const flattened = JSON.stringify({ protected: header, payload, signature });
    await expectRefusal(resource.verify(flattened), InvalidSignatureError, /three segments/);
  });
});

describe('T07: signatures', () => {
  const withSignature = (change: (signature: Buffer) => Uint8Array) => {
    const [header = '', claims = '', signature = ''] = trusting.mint(ec).split('.');
    const changed = base64url(change(Buffer.from(signature, 'base64url')));
    return resource.verify(`${header}.${claims}.${changed}`);
  };

  it.each<[string, (signature: Buffer) => Uint8Array]>([
    ['all zero', () => Buffer.alloc(64)],
    ['r and s of one', () => Buffer.alloc(64).map((_, i) => (i % 32 === 31 ? 1 : 0))],
    ['one byte short', (signature) => signature.subarray(0, 63)],
    ['one byte long', (signature) => Buffer.concat([signature, Buffer.alloc(1)])],
    ['half of it', (signature) => signature.subarray(0, 32)],
    ['r and s swapped', (s) => Buffer.concat([s.subarray(32), s.subarray(0, 32)])],
    ['one bit flipped', (signature) => signature.map((byte, i) => (i === 40 ? byte ^ 1 : byte))],
    ['1 byte', () => Buffer.alloc(1)],
    ['4,000 bytes', () => Buffer.alloc(4000, 1)],
  ])('%s is refused', async (_, change) => {
    await expectRefusal(withSignature(change), InvalidSignatureError, /not verify/);
  });

  it('a DER signature is refused', async () => {
    const { sign } = await import('node:crypto');
    const [header = '', claims = ''] = trusting.mint(ec).split('.');
    const der = sign('sha256', Buffer.from(`${header}.${claims}`), ec.privateKey);
    const token = `${header}.${claims}.${base64url(der)}`;
    await expectRefusal(resource.verify(token), InvalidSignatureError, /not verify/);
  });

  it('a signature of other claims, of another key and of the swapped input is refused', async () => {
    const [header = '', claims = '', signature = ''] = trusting.mint(ec).split('.');
    const foreign = trusting.mint(signingKey('ES256', 'ec'));
    const [, otherClaims = ''] = trusting.mint(ec, { claims: { sub: 'admin' } }).split('.');
    const swapped = base64url(signatureOf(`${claims}.${header}`, ec.privateKey, 'ES256'));
    for (const token of [
      foreign,
      `${header}.${otherClaims}.${signature}`,
      `${header}.${claims}.${swapped}`,
    ]) {
      await expectRefusal(resource.verify(token), InvalidSignatureError, /not verify/);
    }
  });

  it('claims are not read before the signature has been verified', async () => {
    const foreign = mintRaw(signingKey('ES256', 'ec'), headerText(), 'not JSON at all');
    await expectRefusal(resource.verify(foreign), InvalidSignatureError, /not verify/);
  });
});

describe('T08: one token, one spelling', () => {
  it('spare bits at the end of a segment are refused', async () => {
    const token = trusting.mint(ec); // a P-256 signature of 64 bytes leaves four spare bits
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(token.at(-1) ?? '');
    for (let spare = 1; spare < 16; spare++) {
      const twin = token.slice(0, -1) + (alphabet[last + spare] ?? '');
      expect(Buffer.from(twin.split('.')[2] ?? '', 'base64url')).toEqual(
        Buffer.from(token.split('.')[2] ?? '', 'base64url'),
      );
      await expectRefusal(resource.verify(twin), InvalidSignatureError, /canonical/);
    }
  });

  it.each<[string, (segment: string) => string]>([
    ['padding', (segment) => `${segment}==`],
    ['one padding character', (segment) => `${segment}=`],
    ['a blank behind', (segment) => `${segment} `],
    ['a blank before', (segment) => ` ${segment}`],
    ['a blank inside', (segment) => `${segment.slice(0, 4)} ${segment.slice(4)}`],
    ['a line end', (segment) => `${segment}\n`],
    ['a carriage return', (segment) => `${segment}\r\n`],
    ['a tab', (segment) => `${segment}\t`],
    ['NUL', (segment) => `${segment}\0`],
    ['a character outside the alphabet', (segment) => `${segment}*`],
    ['plain base64', (segment) => `${segment.slice(0, -1)}+`],
    ['non-ASCII', (segment) => `${segment}\u{ff21}`],
  ])('%s in any segment is refused', async (_, change) => {
    const segments = trusting.mint(ec).split('.');
    for (const at of segments.keys()) {
      const token = segments.map((text, i) => (i === at ? change(text) : text)).join('.');
      await expectRefusal(resource.verify(token), InvalidSignatureError, /canonical|opaque/);
    }
  });

  it('the high-s twin, which anybody can compute, is the same token to all who go by jti', async () => {
    const token = trusting.mint(ec, { claims: { jti: 'twin' } });
    const twin = highSTwin(token);
    expect(twin).not.toBe(token);
    const [first, second] = [await resource.verify(token), await resource.verify(twin)];
    expect([second.issuer, second.jti, second.raw]).toEqual([first.issuer, first.jti, first.raw]);
  });
});

describe('T09: duplicate members', () => {
  it.each([
    ['alg', '{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"ec"}'],
    ['kid', '{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"ec"}'],
    ['an escaped name', '{"alg":"ES256","typ":"at+jwt","kid":"ec","\\u006bid":"ec"}'],
    ['an unknown name', '{"alg":"ES256","typ":"at+jwt","kid":"ec","a":1,"a":1}'],
  ])('in the header: %s', async (_, header) => {
    const token = mintRaw(ec, header, claimsText());
    await expectRefusal(resource.verify(token), InvalidClaimsError, /header: a member is named/);
  });

  it.each(['sub', 'aud', 'exp', 'scope', 'unknown', '__proto__'])(
    'in the claims: %s',
    async (name) => {
      const twice = `{"${name}":1,${claimsText({ [name]: undefined }).slice(1, -1)},"${name}":1}`;
      await expectRefusal(
        resource.verify(mintRaw(ec, headerText(), twice)),
        InvalidClaimsError,
        /claims: a member is named twice/,
      );
    },
  );

  it('deep inside the claims', async () => {
    await expectRefusal(
      withClaimText('act', '{"sub":"a","sub":"b"}'),
      InvalidClaimsError,
      /claims: a member is named twice/,
    );
  });
});

describe('T10: names of built-in members', () => {
  it.each(['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id'])(
    'no required claim %s is taken from __proto__',
    async (name) => {
      const all = validClaims({ iss: trusting.server.issuer });
      const proto = JSON.stringify({ [name]: all[name] });
      const text = `{"__proto__":${proto},${claimsText({ [name]: undefined }).slice(1)}`;
      await expectRefusal(
        resource.verify(mintRaw(ec, headerText(), text)),
        InvalidClaimsError,
        new RegExp(`claim ${name} is missing`),
      );
    },
  );

  it.each(['alg', 'typ', 'kid'])('no header %s is taken from __proto__', async (name) => {
    const proto = JSON.stringify({ [name]: validHeader(ec)[name] });
    const text = `{"__proto__":${proto},${headerText({ [name]: undefined }).slice(1)}`;
    await expectRefusal(
      resource.verify(mintRaw(ec, text, claimsText())),
      InvalidClaimsError,
      new RegExp(name),
    );
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'])(
    '%s is text like any other as sub, client_id, scope and agent',
    async (name) => {
      const claims = await withClaims({
        sub: name,
        client_id: name,
        scope: name,
        agent_id: name,
        agent_chain: [name],
      });
      expect(claims.sub).toBe(name);
      expect(claims.scopes).toEqual([name]);
      expect(claims.hasScope(name)).toBe(true);
      expect(claims.hasScope('tools/query')).toBe(false);
    },
  );

  it.each(['__proto__', 'constructor', 'toString'])(
    'a claim named %s pollutes nothing',
    async (name) => {
      const claims = await withClaimText(name, '{"polluted":true}');
      expect(({} as Members)['polluted']).toBeUndefined();
      expect(Object.hasOwn(claims.raw, name)).toBe(true);
      expect(claims.sub).toBe('user-1');
    },
  );

  it.each(['__proto__', 'constructor', 'toString'])('as alg or typ %s is refused', async (name) => {
    await expectRefusal(withHeader({ alg: name }), InvalidClaimsError, /alg/);
    await expectRefusal(withHeader({ typ: name }), InvalidClaimsError, /typ/);
  });
});

const UNREADABLE: readonly unknown[] = [InvalidSignatureError, TokenTooLongError];

describe('T11, G15: oversize', () => {
  const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const hostile: [string, () => string][] = [
    ['1 MB of one segment', () => 'A'.repeat(1_048_576)],
    ['1 MB of claims', () => `AAAA.${'A'.repeat(1_048_576)}.AAAA`],
    ['8 million dots', () => '.'.repeat(8_000_000)],
    ['8 million characters outside ASCII', () => '\u{ff0e}'.repeat(8_000_000)],
    ['a header of depth 100,000', () => mintRaw(ec, deep(100_000), claimsText())],
    ['claims of depth 100,000', () => mintRaw(ec, headerText(), deep(100_000))],
    ['one character too many', () => 'A'.repeat(8193)],
  ];

  it.each(hostile)('%s is refused before it is read', async (_, make) => {
    const token = make();
    let refusal: AuthplaneError | undefined;
    const { characters } = await workOf(async () => {
      refusal = await refusalOf(resource.verify(token));
    });
    expect(UNREADABLE).toContain(refusal?.constructor);
    expect(characters).toBeLessThan(100_000);
  });

  it.each([33, 500, 2900])('depth %i within the length limit is refused', async (depth) => {
    await expectRefusal(
      resource.verify(mintRaw(ec, deep(depth), '{}')),
      InvalidClaimsError,
      /header: nested/,
    );
    await expectRefusal(
      withClaimText('x', deep(depth)),
      InvalidClaimsError,
      /claims: nested too deeply/,
    );
  });

  it('none of it is a RangeError under AsyncLocalStorage either', async () => {
    await new AsyncLocalStorage<number>().run(1, async () => {
      for (const [, make] of hostile) {
        expect(UNREADABLE).toContain((await refusalOf(resource.verify(make()))).constructor);
      }
      await expectRefusal(withClaimText('x', deep(2900)), InvalidClaimsError, /nested too deeply/);
    });
  });

  it('a token of exactly the limit is accepted, one character more is not', async () => {
    const ofLength = (length: number) => {
      for (let filler = 0; filler < 16_384; filler++) {
        const token = trusting.mint(ec, { claims: { filler: 'x'.repeat(11_700 + filler) } });
        if (token.length >= length) return token;
      }
      throw new Error('not reached');
    };
    const long = ofLength(16_383);
    expect([16_383, 16_384]).toContain(long.length);
    await expect(resource.verify(long)).resolves.toMatchObject({ sub: 'user-1' });
    const tooLong = ofLength(16_385);
    await expectRefusal(resource.verify(tooLong), TokenTooLongError, /longer than 16384/);
  });
});

describe('the header', () => {
  it.each(['at+jwt', 'application/at+jwt', 'AT+JWT', 'At+Jwt', 'Application/AT+JWT'])(
    'RFC 9068 §2.1, RFC 2045 §5.1: typ %s is accepted',
    async (typ) => {
      await expect(withHeader({ typ })).resolves.toMatchObject({ sub: 'user-1' });
    },
  );

  it.each([
    'JWT',
    'jwt',
    'dpop+jwt',
    'application/jwt',
    'token-introspection+jwt',
    'at+jwt ',
    ' at+jwt',
    'at jwt',
    'xat+jwt',
    'text/at+jwt',
    'application/application/at+jwt',
    'at+jwt;v=1',
    '',
    1,
    null,
    ['at+jwt'],
    undefined,
  ])('RFC 9068 §4: typ %p is refused', async (typ) => {
    await expectRefusal(withHeader({ typ }), InvalidClaimsError, /typ/);
  });

  it.each([undefined, '', 1, null, ['ec'], { ec: 1 }, 'k'.repeat(257)])(
    'kid %p is refused',
    async (kid) => {
      await expectRefusal(withHeader({ kid }), InvalidClaimsError, /kid/);
    },
  );

  it.each([' ec', 'ec ', 'EC', 'e', 'ecc'])('kid "%s" is not taken for "ec"', async (kid) => {
    const own = await trustingResource([ec.jwk]); // looks for each, which is rationed
    const refused = own.resource.verify(own.mint(ec, { header: { kid } }));
    await expectRefusal(refused, InvalidSignatureError, /no key/);
    await own.close();
  });

  it.each([undefined, '', 1, null, ['ES256'], 'es256', 'ES256 ', 'E'.repeat(257)])(
    'alg %p is refused',
    async (alg) => {
      await expectRefusal(withHeader({ alg }), InvalidClaimsError, /alg/);
    },
  );

  it.each([
    ['a list', '[]', /not a JSON object/],
    ['null', 'null', /not a JSON object/],
    ['text', '"x"', /not a JSON object/],
    ['no JSON', '{', /not valid JSON/],
    ['trailing data', '{}{}', /not valid JSON/],
    ['NaN', '{"alg":NaN}', /not valid JSON/],
    ['a BOM', '\ufeff{"alg":"ES256"}', /not valid JSON/],
    ['bad UTF-8', Buffer.from([0x22, 0xff, 0x22]), /UTF-8/],
  ])('%s as header or claims is refused', async (_, text, message) => {
    const asHeader = resource.verify(mintRaw(ec, text, claimsText()));
    await expectRefusal(asHeader, InvalidClaimsError, message);
    const asClaims = resource.verify(mintRaw(ec, headerText(), text));
    await expectRefusal(asClaims, InvalidClaimsError, message);
  });
});

describe('T12: times', () => {
  const wrong: [string, string][] = [
    ['text', `"${NOW}"`],
    ['1e400', '1e400'],
    ['-1e400', '-1e400'],
    ['1e15', '1e15'],
    ['100,000,000,000', '100000000000'],
    ['negative', '-1'],
    ['true', 'true'],
    ['null', 'null'],
    ['a list', `[${NOW}]`],
    ['an object', '{}'],
    ['empty text', '""'],
  ];

  it('10.14: RFC 7519 §2: fractions of seconds are dates, to the last of them', async () => {
    const times = { iat: NOW - 0.25, nbf: NOW - 0.5, exp: NOW + 10.5 };
    const mine = await trustingResource([ec.jwk]);
    const token = mine.mint(ec, { claims: times });
    expect(await mine.resource.verify(token)).toMatchObject({ expiresAt: NOW + 10.5 });
    mine.clock.advance(10.4 + SKEW);
    await mine.resource.verify(token);
    mine.clock.advance(0.11);
    await expectRefusal(mine.resource.verify(token), TokenExpiredError, /expired/);
    await mine.close();
    for (const claims of [{ iat: NOW + SKEW + 0.5 }, { nbf: NOW + SKEW + 0.5 }]) {
      await expectRefusal(withClaims(claims), InvalidClaimsError, /now is/);
    }
  });

  for (const name of ['exp', 'iat', 'nbf']) {
    it.each(wrong)(`${name} as %s is refused`, async (_, value) => {
      const problem = new RegExp(`claim ${name} must be a number of seconds`);
      await expectRefusal(withClaimText(name, value), InvalidClaimsError, problem);
    });
  }

  it.each(['exp', 'iat'])('RFC 9068 §2.2: %s missing is refused', async (name) => {
    const problem = new RegExp(`claim ${name} is missing`);
    await expectRefusal(withClaims({ [name]: undefined }), InvalidClaimsError, problem);
  });

  it('a whole number in another notation is one', async () => {
    await expect(withClaimText('exp', '1.9e9')).resolves.toMatchObject({
      expiresAt: 1_900_000_000,
    });
    await expect(withClaimText('nbf', '0')).resolves.toMatchObject({ notBefore: 0 });
    const latest = withClaimText('exp', '99999999999');
    await expect(latest).resolves.toMatchObject({ expiresAt: 99_999_999_999 });
  });

  it('RFC 7519 §4.1.4: exp swept around the edge: accepted until exp + skew, not at it', async () => {
    for (let past = SKEW - 5; past <= SKEW + 5; past++) {
      const verdict = withClaims({ exp: NOW - past, iat: NOW - 600 });
      if (past < SKEW) await expect(verdict).resolves.toMatchObject({ expiresAt: NOW - past });
      else await expectRefusal(verdict, TokenExpiredError, /expired/);
    }
  });

  it('RFC 7519 §4.1.5: nbf swept around the edge: accepted from nbf - skew on', async () => {
    for (let ahead = SKEW - 5; ahead <= SKEW + 5; ahead++) {
      const verdict = withClaims({ nbf: NOW + ahead });
      if (ahead <= SKEW) await expect(verdict).resolves.toMatchObject({ notBefore: NOW + ahead });
      else await expectRefusal(verdict, InvalidClaimsError, /^nbf /);
    }
  });

  it('RFC 7519 §4.1.6: iat swept around the edge: accepted from iat - skew on', async () => {
    for (let ahead = SKEW - 5; ahead <= SKEW + 5; ahead++) {
      const verdict = withClaims({ iat: NOW + ahead });
      if (ahead <= SKEW) await expect(verdict).resolves.toMatchObject({ issuedAt: NOW + ahead });
      else await expectRefusal(verdict, InvalidClaimsError, /^iat /);
    }
  });

  it('exp may be no further ahead than maxTokenLifetimeSeconds, and without it as far as it likes', async () => {
    const options = { resource: RESOURCE, clockSkewSeconds: 0, maxTokenLifetimeSeconds: 900 };
    const guarded = trusting.client.resource(options);
    const verify = (exp: number) => guarded.verify(trusting.mint(ec, { claims: { exp } }));
    await expect(verify(NOW + 900)).resolves.toBeDefined();
    await expectRefusal(verify(NOW + 901), InvalidClaimsError, /^exp .* more than 900 seconds/);
    await expect(withClaims({ exp: NOW + 99_999_999 })).resolves.toBeDefined();
  });

  it.each([0, 30, 120])('the edges follow clockSkewSeconds %i', async (clockSkewSeconds) => {
    const guarded = trusting.client.resource({ resource: RESOURCE, clockSkewSeconds });
    const verify = (claims: Members) => guarded.verify(trusting.mint(ec, { claims }));
    const edge = clockSkewSeconds;
    await expect(verify({ exp: NOW - edge + 1 })).resolves.toBeDefined();
    await expectRefusal(verify({ exp: NOW - edge }), TokenExpiredError, /expired/);
    await expect(verify({ nbf: NOW + edge })).resolves.toBeDefined();
    await expectRefusal(verify({ nbf: NOW + edge + 1 }), InvalidClaimsError, /^nbf /);
    await expect(verify({ iat: NOW + edge })).resolves.toBeDefined();
    await expectRefusal(verify({ iat: NOW + edge + 1 }), InvalidClaimsError, /^iat /);
  });
});

describe('T13: the audience', () => {
  const host = 'https://api.example.com';
  const foreign: [string, unknown][] = [
    ['a prefix', 'https://api.example.com/mc'],
    ['the host', host],
    ['the host with slash', `${host}/`],
    ['a suffix', `${RESOURCE}p`],
    ['a path below', `${RESOURCE}/admin`],
    ['a final slash', `${RESOURCE}/`],
    ['a query', `${RESOURCE}?a=b`],
    ['a fragment', `${RESOURCE}#`],
    ['another case of the host', 'https://API.example.com/mcp'],
    ['another case of the path', 'https://api.example.com/MCP'],
    ['another scheme', 'http://api.example.com/mcp'],
    ['the default port', 'https://api.example.com:443/mcp'],
    ['another port', 'https://api.example.com:8443/mcp'],
    ['a dot segment', 'https://api.example.com/./mcp'],
    ['an escape', 'https://api.example.com/%6dcp'],
    ['a blank', `${RESOURCE} `],
    ['two in one text', `${RESOURCE} ${RESOURCE}`],
    ['a comma list', `${RESOURCE},${RESOURCE}`],
    ['a trailing dot', 'https://api.example.com./mcp'],
    ['user info', 'https://a@api.example.com/mcp'],
    ['NUL', `${RESOURCE}\0`],
    ['a list of foreign ones', [`${RESOURCE}/`, host]],
  ];

  it.each(foreign)('%s is not the resource', async (_, aud) => {
    await expectRefusal(withClaims({ aud }), InvalidClaimsError, /does not contain the resource/);
  });

  const malformed: [string, unknown][] = [
    ['an object', { [RESOURCE]: true }],
    ['a nested list', [[RESOURCE]]],
    ['a number', 1],
    ['null', null],
    ['true', true],
    ['empty text', ''],
    ['a list with a number beside the resource', [RESOURCE, 1]],
    ['a list with null beside the resource', [RESOURCE, null]],
    ['a list with empty text beside the resource', [RESOURCE, '']],
    ['a list with an object beside the resource', [RESOURCE, {}]],
    ['a list with a lone surrogate beside the resource', [RESOURCE, '\ud800']],
    ['a list with a giant beside the resource', [RESOURCE, 'x'.repeat(1025)]],
  ];

  it.each(malformed)('RFC 7519 §4.1.3: %s is malformed', async (_, aud) => {
    await expectRefusal(withClaims({ aud }), InvalidClaimsError, /aud must be a string or a list/);
  });

  it.each([[undefined], [[]]])('%p is missing', async (aud) => {
    await expectRefusal(withClaims({ aud }), InvalidClaimsError, /aud is missing/);
  });

  it('one of several is enough', async () => {
    const aud = ['https://other.example', RESOURCE];
    await expect(withClaims({ aud })).resolves.toMatchObject({ audience: aud });
    await expect(withClaims({ aud: [RESOURCE] })).resolves.toMatchObject({ audience: [RESOURCE] });
  });

  it('a resource with a final slash takes tokens with it and no others', async () => {
    const slashed = trusting.client.resource({ resource: `${RESOURCE}/` });
    const token = (aud: string) => slashed.verify(trusting.mint(ec, { claims: { aud } }));
    await expect(token(`${RESOURCE}/`)).resolves.toBeDefined();
    await expectRefusal(token(RESOURCE), InvalidClaimsError, /does not contain/);
  });

  it('the issuer as audience gets a hint of its own', async () => {
    const aud = trusting.server.issuer;
    await expectRefusal(withClaims({ aud }), InvalidClaimsError, /asked for no resource/);
  });
});

describe('T15: the issuer', () => {
  it.each<[string, (issuer: string) => unknown]>([
    ['another one', () => 'https://evil.example'],
    ['a final slash', (issuer) => `${issuer}/`],
    ['a prefix', (issuer) => issuer.slice(0, -1)],
    ['a suffix', (issuer) => `${issuer}0`],
    ['a path', (issuer) => `${issuer}/tenant`],
    ['another case', (issuer) => issuer.toUpperCase()],
    ['a blank', (issuer) => `${issuer} `],
    ['the resource', () => RESOURCE],
  ])('%s is not the configured one', async (_, change) => {
    const iss = change(trusting.server.issuer);
    await expectRefusal(withClaims({ iss }), InvalidClaimsError, /not the configured issuer/);
  });

  it.each<[string, (issuer: string) => unknown]>([
    ['a list', (issuer) => [issuer]],
    ['an object', (issuer) => ({ [issuer]: 1 })],
    ['null', () => null],
    ['empty text', () => ''],
  ])('%s is malformed', async (_, change) => {
    const iss = change(trusting.server.issuer);
    await expectRefusal(withClaims({ iss }), InvalidClaimsError, /claim iss must be/);
  });
});

describe('T16: text claims', () => {
  const wrong: [string, unknown][] = [
    ['a number', 1],
    ['zero', 0],
    ['true', true],
    ['null', null],
    ['a list', ['a']],
    ['an object', { a: 1 }],
    ['empty text', ''],
    ['1,025 characters', 'x'.repeat(1025)],
    ['a lone high surrogate', 'a\ud800'],
    ['a lone low surrogate', '\udc00a'],
    ['surrogates in the wrong order', '\udc00\ud800'],
  ];
  for (const name of ['sub', 'client_id', 'jti', 'agent_id']) {
    it.each(wrong)(`${name} as %s is refused`, async (_, value) => {
      const problem = new RegExp(`claim ${name} must be a well-formed string`);
      await expectRefusal(withClaims({ [name]: value }), InvalidClaimsError, problem);
    });

    it(`${name} may be 1,024 characters of any script`, async () => {
      const text = `${'ж'.repeat(1020)}a\u{1f600}z`;
      await expect(withClaims({ [name]: text })).resolves.toBeDefined();
    });
  }

  it.each(['iss', 'sub', 'client_id', 'jti'])('RFC 9068 §2.2: %s is required', async (name) => {
    const problem = new RegExp(`claim ${name} is missing`);
    await expectRefusal(withClaims({ [name]: undefined }), InvalidClaimsError, problem);
  });

  it.each<[string, unknown]>([
    ['a number', 1],
    ['a list', ['tools/query']],
    ['an object', {}],
    ['null', null],
    ['true', true],
  ])('scope as %s is refused', async (_, scope) => {
    await expectRefusal(withClaims({ scope }), InvalidClaimsError, /claim scope must be a string/);
  });

  it.each<[string, unknown]>([
    ['text', 'a'],
    ['an object', {}],
    ['null', null],
    ['a list with a number', ['a', 1]],
    ['a list with empty text', ['']],
    ['a nested list', [['a']]],
    ['65 entries', Array.from({ length: 65 }, () => 'a')],
  ])('agent_chain as %s is refused', async (_, chain) => {
    await expectRefusal(withClaims({ agent_chain: chain }), InvalidClaimsError, /agent_chain/);
  });

  it('agent_chain may have 64 entries', async () => {
    const chain = Array.from({ length: 64 }, (_, i) => `a${i}`);
    await expect(withClaims({ agent_chain: chain })).resolves.toMatchObject({ agentChain: chain });
  });

  it.each<[string, unknown]>([
    ['text', 'svc'],
    ['a list', [{ sub: 'svc' }]],
    ['null', null],
    ['an object with a numeric sub', { sub: 1 }],
    ['an object with an empty sub', { sub: '' }],
    ['an object with an actor_type that is no text', { sub: 'a', actor_type: 1 }],
    ['an object with a broken inner act', { sub: 'a', act: 'b' }],
    ['an object with a broken act further in', { sub: 'a', act: { sub: 'b', act: { sub: 1 } } }],
  ])('RFC 8693 §4.1: act as %s is refused', async (_, act) => {
    await expectRefusal(withClaims({ act }), InvalidClaimsError, /claim act/);
  });
});

describe('T17: scopes are separated by U+0020 and nothing else', () => {
  it.each([
    ['a no-break space', '\u00a0'],
    ['an em space', '\u2003'],
    ['a tab', '\t'],
    ['a line feed', '\n'],
    ['a line separator', '\u2028'],
    ['an ideographic space', '\u3000'],
    ['a zero width space', '\u200b'],
    ['a comma', ','],
    ['NUL', '\0'],
  ])('%s is part of a name that nothing equals', async (_, separator) => {
    const claims = await withClaims({ scope: `tools/query${separator}admin` });
    expect(claims.scopes).toEqual([`tools/query${separator}admin`]);
    expect(claims.hasScope('admin')).toBe(false);
    expect(claims.hasScope('tools/query')).toBe(false);
  });

  it('case and Unicode form matter', async () => {
    const claims = await withClaims({ scope: 'Admin caf\u00e9' });
    expect(claims.hasScope('admin')).toBe(false);
    expect(claims.hasScope('cafe\u0301')).toBe(false);
  });

  it('repeated blanks and repeated names count once', async () => {
    expect((await withClaims({ scope: '  a  b a ' })).scopes).toEqual(['a', 'b']);
  });

  it.each([undefined, '', ' '])('scope %p grants nothing', async (scope) => {
    expect((await withClaims({ scope })).scopes).toEqual([]);
  });
});

describe('what a refusal says', () => {
  it('T37, T56: neither the token nor a value of its header is quoted', async () => {
    const canary = 'canary\u2028\r\n"\u{1f600}';
    const tokens = [
      trusting.mint(ec, { header: { kid: canary } }),
      trusting.mint(ec, { header: { typ: canary } }),
      trusting.mint(ec, { header: { alg: canary } }),
      trusting.mint(ec, { claims: { sub: ['canary'] } }),
      mintRaw(ec, headerText(), '{"canary'),
      `canary.${trusting.mint(ec)}`,
    ];
    for (const token of tokens) {
      const { message } = await refusalOf(resource.verify(token));
      expect(message).not.toContain('canary');
      expect(message).not.toContain(token.slice(0, 40));
    }
  });

  it('T37: a foreign issuer and audience are shown to operators bounded and on one line', async () => {
    const hostile = `https://x/\r\n\u0000\u009b\u2028\u202e${'y'.repeat(900)}`;
    for (const claims of [{ iss: hostile }, { aud: [hostile, hostile, hostile, hostile] }]) {
      const { message } = await refusalOf(withClaims(claims));
      expect(message).toMatch(/^[\x20-\x7e]+$/);
      expect(message.length).toBeLessThan(1500);
    }
  });
});
