import { createHash, createPublicKey } from 'node:crypto';
import { calculateJwkThumbprint, compactVerify } from 'jose';
import { dpopProof, generateDPoPKey } from 'authplane-nestjs/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DPoPKey } from '../../src/testing/dpop-proof.js';
import { claimsOf, headerOf } from '../support/servers/stand-in.js';

describe('generateDPoPKey', () => {
  it.each([
    ['ES256', { kty: 'EC', crv: 'P-256' }],
    ['ES384', { kty: 'EC', crv: 'P-384' }],
    ['ES512', { kty: 'EC', crv: 'P-521' }],
    ['EdDSA', { kty: 'OKP', crv: 'Ed25519' }],
    ['PS256', { kty: 'RSA' }],
  ] as const)('%s: a key, its public half and its thumbprint', async (algorithm, members) => {
    const key = await generateDPoPKey({ algorithm });
    expect(key.publicJwk).toMatchObject(members);
    expect(key.publicJwk).not.toHaveProperty('d');
    expect(key.thumbprint).toBe(await calculateJwkThumbprint(key.publicJwk));
    expect(key.algorithm).toBe(algorithm);
  });

  it('is ES256 by default, and RSA of another size on request', async () => {
    expect((await generateDPoPKey()).algorithm).toBe('ES256');
    const { privateKey } = await generateDPoPKey({ algorithm: 'RS256', modulusLength: 1024 });
    expect(privateKey.asymmetricKeyDetails?.modulusLength).toBe(1024);
  });
});

describe('RFC 9449 §4.2: dpopProof', () => {
  const url = 'https://api.example.com/mcp?a=b#c';
  let key: DPoPKey;
  beforeAll(async () => {
    key = await generateDPoPKey();
  });

  it('is signed by the key, and for this request', async () => {
    const proof = dpopProof(key, { method: 'POST', url });
    await compactVerify(proof, createPublicKey(key.privateKey));
    expect(headerOf(proof)).toEqual({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicJwk });
    const claims = claimsOf(proof);
    expect(claims).toEqual({
      ...{ jti: expect.any(String), htm: 'POST', htu: 'https://api.example.com/mcp' },
      iat: expect.any(Number),
    });
    expect(Math.abs(Number(claims['iat']) - Date.now() / 1000)).toBeLessThan(5);
    expect(claimsOf(dpopProof(key, { method: 'POST', url }))['jti']).not.toBe(claims['jti']);
  });

  it('names a token by its hash, and a nonce', () => {
    const ath = createHash('sha256').update('token').digest('base64url');
    const given = { method: 'GET', url: new URL(url), accessToken: 'token', nonce: 'n' };
    expect(claimsOf(dpopProof(key, given))).toMatchObject({ ath, nonce: 'n' });
  });

  it('is wrong where a test says so', () => {
    const claims = { htm: undefined, iat: 'x' };
    const proof = dpopProof(key, { method: 'GET', url, claims, header: { alg: 'none' } });
    expect(claimsOf(proof)).not.toHaveProperty('htm');
    expect(claimsOf(proof)).toMatchObject({ iat: 'x' });
    expect(proof).toMatch(/\.$/);
  });
});
