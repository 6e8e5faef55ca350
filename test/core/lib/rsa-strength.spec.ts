import { beforeAll, describe, expect, it } from 'vitest';
import { isWeakRsaModulus } from '../../../src/core/lib/rsa-strength.js';
import { rsaSigningKey } from '../../support/tokens/keys-and-tokens.js';

const PRIMES = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
const PRODUCT = PRIMES.reduce((product, prime) => product * BigInt(prime), 1n);

function base64urlOf(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
}

function powerOf65537(exponent: number): bigint {
  let power = 1n;
  for (let i = 0; i < exponent; i++) power = (power * 65_537n) % PRODUCT;
  return power;
}

/** 2048 bits with the ROCA fingerprint: a power of 65537 modulo every small prime. */
function fingerprinted(exponent: number): bigint {
  return (1n << 2047n) - ((1n << 2047n) % PRODUCT) + PRODUCT + powerOf65537(exponent);
}

/** A residue modulo the prime that no power of 65537 has. */
function foreignResidue(prime: number): bigint | undefined {
  const powers = new Set([1]);
  for (let i = 0, power = 1; i < prime; i++) powers.add((power = (power * 65_537) % prime));
  for (let residue = 1; residue < prime; residue++) {
    if (!powers.has(residue)) return BigInt(residue);
  }
  return undefined;
}

describe('CVE-2017-15361', () => {
  let fresh: string[];

  beforeAll(() => {
    fresh = Array.from({ length: 3 }, () => String(rsaSigningKey('k').jwk['n']));
  });

  it.each([0, 1, 2, 17, 1000])('a modulus with the fingerprint (65537^%i) is weak', (exponent) => {
    expect(isWeakRsaModulus(base64urlOf(fingerprinted(exponent)))).toBe(true);
  });

  it.each(PRIMES.filter((prime) => foreignResidue(prime) !== undefined))(
    'a modulus that breaks the pattern at %i alone is not',
    (prime) => {
      const others = PRODUCT / BigInt(prime);
      let modulus = fingerprinted(5);
      while (modulus % BigInt(prime) !== foreignResidue(prime)) modulus += others;
      expect(isWeakRsaModulus(base64urlOf(modulus))).toBe(false);
    },
  );

  it('fresh keys of a sound generator are not', () => {
    expect(fresh.some(isWeakRsaModulus)).toBe(false);
  });
});
