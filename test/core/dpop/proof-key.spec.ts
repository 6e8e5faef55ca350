import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { calculateJwkThumbprint } from 'jose';
import {
  DEFAULT_PROOF_ALGORITHMS,
  importProofKey,
  ProofKeys,
  readProofJwk,
  SUPPORTED_PROOF_ALGORITHMS,
} from '../../../src/core/dpop/proof-key.js';
import { InvalidDPoPProofError } from '../../../src/core/errors/dpop-errors.js';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicJwk = ({ publicKey }: typeof ec): JsonWebKey => publicKey.export({ format: 'jwk' });

function thrownFor(jwk: unknown, alg = 'ES256'): InvalidDPoPProofError {
  try {
    readProofJwk(jwk, alg);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidDPoPProofError);
    return error as InvalidDPoPProofError;
  }
  throw new Error('it was accepted');
}

describe('RFC 9449 §4.2: the key of a proof', () => {
  it.each([
    ['ES256', ec],
    ['EdDSA', ed],
    ['Ed25519', ed],
    ['PS256', rsa],
    ['RS256', rsa],
  ])(
    'RFC 7638: %s has the thumbprint that others compute, and can be imported',
    async (alg, pair) => {
      const read = readProofJwk({ ...publicJwk(pair), kid: 'any', use: 'sig', alg }, alg);
      expect(read.jkt).toBe(await calculateJwkThumbprint(publicJwk(pair)));
      expect(importProofKey(read).equals(pair.publicKey)).toBe(true);
      expect(read.jwk).not.toHaveProperty('kid');
    },
  );

  it.each<[string, unknown, string, string]>([
    ['none', undefined, 'jwk', 'missing'],
    ['a text', 'key', 'jwk', 'type'],
    ['of another type', publicJwk(rsa), 'kty', 'mismatch'],
    ['on another curve', { ...publicJwk(ec), crv: 'P-384' }, 'crv', 'mismatch'],
    ['with a short coordinate', { ...publicJwk(ec), x: 'AA' }, 'x', 'malformed'],
  ])('%s is refused', (_name, jwk, claim, rule) => {
    expect(thrownFor(jwk)).toMatchObject({ claim, rule });
  });

  it('a private key is refused, and not repeated', () => {
    const jwk = ec.privateKey.export({ format: 'jwk' });
    expect(thrownFor(jwk).message).not.toContain(jwk.d);
  });

  it('RSA keys of a size or exponent that costs or protects too little are refused', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    expect(thrownFor(publicJwk(weak), 'PS256')).toMatchObject({ claim: 'n' });
    expect(thrownFor({ ...publicJwk(rsa), e: 'Aw' }, 'PS256')).toMatchObject({ claim: 'e' });
  });

  it('a point off the curve cannot be imported', () => {
    const { x } = publicJwk(ec);
    const read = readProofJwk({ ...publicJwk(ec), y: x }, 'ES256');
    expect(() => importProofKey(read)).toThrow(InvalidDPoPProofError);
  });

  it('of the algorithms, those by default are supported', () => {
    for (const alg of DEFAULT_PROOF_ALGORITHMS) expect(SUPPORTED_PROOF_ALGORITHMS).toContain(alg);
  });
});

describe('the memory of proof keys', () => {
  it('knows a header again, and keeps none that is long', () => {
    const keys = new ProofKeys();
    const { jkt } = readProofJwk(publicJwk(ec), 'ES256');
    const key = { alg: 'ES256', jkt, key: ec.publicKey };
    keys.remember('header', key);
    keys.remember('h'.repeat(2049), key);
    expect(keys.get('header')).toBe(key);
    expect(keys.get('h'.repeat(2049))).toBeUndefined();
  });
});
