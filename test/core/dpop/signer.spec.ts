import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';
import { calculateJwkThumbprint } from 'jose';

import { DPoPSigner, type DPoPSignerAlgorithm } from '../../../src/core/dpop/signer.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import {
  decodePart,
  goodRules,
  hashOf,
  NOW,
  TOKEN,
  testKey,
  URL_OF_REQUEST,
  verifiedProof,
} from '../../support/tokens/dpop-proofs.js';

const ALGORITHMS: DPoPSignerAlgorithm[] = ['ES256', 'EdDSA', 'PS256', 'RS256'];
const clock = { now: () => NOW + 0.9, elapsed: () => 0 };
const request = { method: 'POST', url: URL_OF_REQUEST };

async function expectAccepted(signer: DPoPSigner, proof: string): Promise<void> {
  const key = { ...(await testKey('ES256')), jkt: signer.thumbprint };
  const { proof: verified } = await verifiedProof(proof, goodRules(key, { strictHtu: true }));
  expect(verified.jkt).toBe(signer.thumbprint);
}

describe('DPoPSigner.generate', () => {
  it.each(ALGORITHMS)('makes %s proofs that our own verifier accepts', async (algorithm) => {
    const signer = await DPoPSigner.generate({ algorithm, clock });
    expect(signer.algorithm).toBe(algorithm);
    await expectAccepted(signer, await signer.proof({ ...request, accessToken: TOKEN }));
  });

  it('rfc9449-dpop-provider-must-build-dpop-jwt-header: typ, alg, public jwk and nothing else', async () => {
    const signer = await DPoPSigner.generate();
    const header = decodePart(await signer.proof(request), 0);
    expect(header).toEqual({
      typ: 'dpop+jwt',
      alg: 'ES256',
      jwk: { kty: 'EC', crv: 'P-256', x: expect.any(String), y: expect.any(String) },
    });
    expect(await calculateJwkThumbprint(header['jwk'] as object)).toBe(signer.thumbprint);
  });

  it('refuses another algorithm', async () => {
    for (const algorithm of ['HS256', 'none', 'ES384']) {
      const generated = DPoPSigner.generate({ algorithm: algorithm as DPoPSignerAlgorithm });
      await expect(generated).rejects.toBeInstanceOf(ConfigurationError);
    }
  });
});

describe('DPoPSigner.fromPem', () => {
  it.each(ALGORITHMS)('takes a key for %s', async (algorithm) => {
    const { privateKey, jkt } = await testKey(algorithm);
    const pem = String(privateKey.export({ format: 'pem', type: 'pkcs8' }));
    const signer = DPoPSigner.fromPem(pem, { algorithm, clock });
    expect(signer.thumbprint).toBe(jkt);
    await expectAccepted(signer, await signer.proof({ ...request, accessToken: TOKEN }));
  });

  it('finds the algorithm itself, in the older forms of PEM, too', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = String(privateKey.export({ format: 'pem', type: 'sec1' }));
    expect(DPoPSigner.fromPem(pem).algorithm).toBe('ES256');
  });

  it('refuses public, encrypted and other keys, and quotes none', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const encrypted = { cipher: 'aes-256-cbc', passphrase: 'secret' };
    const other = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    const form = { format: 'pem', type: 'pkcs8' } as const;
    const good = String(privateKey.export(form));
    const wrong = [
      '',
      'no key',
      good.replace(/\n[^-]{20}/, '\n'),
      String(publicKey.export({ format: 'pem', type: 'spki' })),
      String(privateKey.export({ ...form, ...encrypted })),
      String(other.export(form)),
    ];
    for (const pem of wrong) {
      const error = thrownBy(() => DPoPSigner.fromPem(pem));
      expect(error).toBeInstanceOf(ConfigurationError);
      const shown = inspect(error, { depth: 9 });
      for (const line of pem.split('\n').slice(1, -2)) expect(shown).not.toContain(line);
    }
    const notItsKind = thrownBy(() => DPoPSigner.fromPem(good, { algorithm: 'RS256' }));
    expect(notItsKind).toBeInstanceOf(ConfigurationError);
  });
});

describe('DPoPSigner.fromJwk', () => {
  it.each(ALGORITHMS)('takes a key for %s', async (algorithm) => {
    const { privateKey, jkt } = await testKey(algorithm);
    const signer = DPoPSigner.fromJwk(privateKey.export({ format: 'jwk' }), { algorithm, clock });
    expect(signer.thumbprint).toBe(jkt);
    await expectAccepted(signer, await signer.proof({ ...request, accessToken: TOKEN }));
  });

  it('finds the algorithm itself', async () => {
    const jwkOf = async (alg: string) => (await testKey(alg)).privateKey.export({ format: 'jwk' });
    const rsa = await jwkOf('RS256');
    const keys = [await jwkOf('ES256'), await jwkOf('EdDSA'), rsa, { ...rsa, alg: 'RS256' }];
    const algorithms = keys.map((jwk) => DPoPSigner.fromJwk(jwk).algorithm);
    expect(algorithms).toEqual(['ES256', 'EdDSA', 'PS256', 'RS256']);
  });

  it('refuses what is no private key of an accepted kind, without quoting it', async () => {
    const es256 = await testKey('ES256');
    const mine = es256.privateKey.export({ format: 'jwk' });
    const another = (await testKey('ES256')).privateKey.export({ format: 'jwk' });
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const p384 = (await testKey('ES384')).privateKey;
    const wrong = [
      es256.jwk,
      {},
      { kty: 'oct', k: 'c2VjcmV0' },
      weak.export({ format: 'jwk' }),
      p384.export({ format: 'jwk' }),
      generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' }),
      { ...mine, x: String(another.x), y: String(another.y) },
      { ...mine, x: String(another.x) },
    ];
    for (const jwk of wrong) {
      const error = thrownBy(() => DPoPSigner.fromJwk(jwk));
      expect(error).toBeInstanceOf(ConfigurationError);
      if (jwk.d !== undefined) expect(inspect(error, { depth: 9 })).not.toContain(jwk.d);
    }
    const rsaAlgorithm = thrownBy(() => DPoPSigner.fromJwk(mine, { algorithm: 'RS256' }));
    expect(rsaAlgorithm).toBeInstanceOf(ConfigurationError);
  });
});

describe('DPoPSigner.proof', () => {
  it('rfc9449-generated-dpop-proof-should-include-exp: exp after iat', async () => {
    const signer = await DPoPSigner.generate({ clock });
    const claims = decodePart(await signer.proof(request), 1);
    expect(claims).toEqual({
      htm: 'POST',
      htu: URL_OF_REQUEST,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      iat: NOW,
      exp: NOW + 60,
    });
  });

  it('RFC 9449 §4.2: every proof has its own jti', async () => {
    const signer = await DPoPSigner.generate();
    const proofs = await Promise.all(Array.from({ length: 50 }, () => signer.proof(request)));
    expect(new Set(proofs.map((proof) => decodePart(proof, 1)['jti'])).size).toBe(50);
  });

  it.each([
    ['https://api.example.com/mcp?a=b#c', 'https://api.example.com/mcp'],
    ['https://API.example.com:443', 'https://api.example.com/'],
    ['http://user:secret@localhost:3000/x/', 'http://localhost:3000/x/'],
    ['https://[::1]:8443/', 'https://[::1]:8443/'],
  ])(
    'RFC 9449 §4.2: htu of %s is what a client sends, without query and fragment',
    async (url, htu) => {
      const signer = await DPoPSigner.generate();
      expect(decodePart(await signer.proof({ method: 'GET', url }), 1)['htu']).toBe(htu);
    },
  );

  it('refuses what is no http URL', async () => {
    const signer = await DPoPSigner.generate();
    for (const url of ['', '/token', 'ftp://h/', 'urn:x', 'https://']) {
      const proof = signer.proof({ method: 'GET', url });
      await expect(proof).rejects.toBeInstanceOf(ConfigurationError);
    }
  });

  it('RFC 9449 §4.2: ath with an access token, nonce when given', async () => {
    const signer = await DPoPSigner.generate();
    const proof = await signer.proof({ ...request, accessToken: TOKEN, nonce: 'n-1' });
    expect(decodePart(proof, 1)).toMatchObject({ ath: hashOf(TOKEN), nonce: 'n-1' });
  });
});

describe('DPoPSigner.noteNonce (RFC 9449 §8, §9)', () => {
  const nonceFor = async (signer: DPoPSigner, url: string) =>
    decodePart(await signer.proof({ method: 'POST', url }), 1)['nonce'];

  it('§8.2: one nonce per origin, the latest; a given one wins', async () => {
    const signer = await DPoPSigner.generate();
    signer.noteNonce('https://as.example/oauth/token', 'first');
    signer.noteNonce('https://as.example:443/other?x', 'second');
    signer.noteNonce('https://rs.example/mcp', 'of-rs');
    expect(await nonceFor(signer, 'https://AS.example/oauth/token')).toBe('second');
    expect(await nonceFor(signer, 'https://rs.example/')).toBe('of-rs');
    expect(await nonceFor(signer, 'https://as.example:8443/')).toBeUndefined();
    expect(await nonceFor(signer, 'http://as.example/')).toBeUndefined();
    const proof = await signer.proof({ method: 'POST', url: 'https://as.example/', nonce: 'mine' });
    expect(decodePart(proof, 1)['nonce']).toBe('mine');
  });

  it('§8.1: ignores what is no nonce', async () => {
    const signer = await DPoPSigner.generate();
    for (const bad of ['', 'a b', 'a"b', 'a\\b', 'ü', 'x\r\ny', 'x'.repeat(513)]) {
      signer.noteNonce('https://as.example/', bad);
    }
    expect(await nonceFor(signer, 'https://as.example/')).toBeUndefined();
  });

  it('remembers 100 origins', async () => {
    const signer = await DPoPSigner.generate();
    for (let i = 0; i < 101; i++) signer.noteNonce(`https://h${i}.example/`, `n${i}`);
    expect(await nonceFor(signer, 'https://h0.example/')).toBeUndefined();
    expect(await nonceFor(signer, 'https://h1.example/')).toBe('n1');
    signer.noteNonce('https://h1.example/', 'again');
    signer.noteNonce('https://h101.example/', 'n101');
    expect(await nonceFor(signer, 'https://h1.example/')).toBe('again');
    expect(await nonceFor(signer, 'https://h2.example/')).toBeUndefined();
  });
});

describe('secrets', () => {
  it.each(ALGORITHMS)('P39: no private member of a %s key is ever printed', async (algorithm) => {
    const { privateKey } = await testKey(algorithm);
    const jwk = privateKey.export({ format: 'jwk' });
    const signer = DPoPSigner.fromJwk(jwk, { algorithm });
    const proof = await signer.proof(request);
    const unknown: unknown = signer;
    const printed = [
      inspect(signer, { depth: 9, showHidden: true }),
      inspect({ options: { dpop: signer } }, { depth: 9 }),
      JSON.stringify(signer),
      String(unknown),
      JSON.stringify({ ...signer }),
      Buffer.from(proof.split('.')[0] ?? '', 'base64url').toString(),
    ].join();
    for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const) {
      if (jwk[name] !== undefined) expect(printed).not.toContain(jwk[name]);
    }
    expect(JSON.parse(JSON.stringify(signer))).toEqual({
      algorithm,
      thumbprint: signer.thumbprint,
    });
  });
});

function thrownBy(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}
