/**
 * CVE-2017-15361 (ROCA): moduli of one family of chips are, modulo every small prime, a power of
 * 65537. A sound modulus passes this test by chance with a probability below 2^-27.
 */
const PRIMES = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

const fingerprints = PRIMES.map((prime) => ({
  prime: BigInt(prime),
  residues: powersOf65537(prime),
}));

/** @param n the modulus as base64url, from a key that has been imported. */
export function isWeakRsaModulus(n: string): boolean {
  const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`);
  return fingerprints.every(({ prime, residues }) => residues.has(Number(modulus % prime)));
}

function powersOf65537(prime: number): Set<number> {
  const residues = new Set<number>();
  for (let power = 1; !residues.has(power); power = (power * 65_537) % prime) residues.add(power);
  return residues;
}
