import { describe, expect, it } from 'vitest';
import {
  algorithmRule,
  DEFAULT_ALGORITHMS,
  isAllowedAlgorithm,
  isKeyFor,
  isSameAlgorithm,
  SUPPORTED_ALGORITHMS,
} from '../../../src/core/lib/algorithms.js';

describe('signature algorithms', () => {
  it('are asymmetric only', () => {
    for (const alg of ['HS256', 'HS512', 'none', 'dir', 'ES256K', '', 'toString']) {
      expect(SUPPORTED_ALGORITHMS).not.toContain(alg);
      expect(algorithmRule(alg)).toBeUndefined();
    }
    for (const alg of DEFAULT_ALGORITHMS) expect(SUPPORTED_ALGORITHMS).toContain(alg);
  });

  it('RFC 9864 §2.2: EdDSA and Ed25519 are one, and nothing else is two', () => {
    expect(isSameAlgorithm('EdDSA', 'Ed25519')).toBe(true);
    expect(isSameAlgorithm('Ed25519', 'EdDSA')).toBe(true);
    expect(isAllowedAlgorithm('Ed25519', ['EdDSA'])).toBe(true);
    for (const other of ['PS256', 'rs256', 'RS384', undefined]) {
      expect(isSameAlgorithm(other, 'RS256')).toBe(false);
    }
    expect(isAllowedAlgorithm('RS256', [])).toBe(false);
  });

  it.each([
    ['EC', 'P-256', ['ES256']],
    ['EC', 'P-384', ['ES384']],
    ['EC', 'P-521', ['ES512']],
    ['EC', 'secp256k1', []],
    ['OKP', 'Ed25519', ['EdDSA', 'Ed25519']],
    ['OKP', 'X25519', []],
    ['RSA', undefined, ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['oct', undefined, []],
    [undefined, undefined, []],
  ])('RFC 7518 §3.1: a key of %p, %p makes %p', (kty, crv, made) => {
    expect(SUPPORTED_ALGORITHMS.filter((alg) => isKeyFor({ kty, crv }, alg))).toEqual(made);
  });
});
