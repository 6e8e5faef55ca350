import type { KeyObject } from 'node:crypto';
import { node } from '../platform/node.js';
import { algorithmRule, isSameAlgorithm } from '../lib/algorithms.js';
import { isCanonicalBase64url } from '../jws/compact-jws.js';
import { sha256 } from '../lib/digest.js';
import type { ClaimRule } from '../errors/token-errors.js';
import { InvalidDPoPProofError } from '../errors/dpop-errors.js';
import { Generations } from '../lib/generations.js';
import { isWeakRsaModulus } from '../lib/rsa-strength.js';
import { isJsonObject, member } from '../lib/members.js';
import { ownCopy } from '../lib/text.js';

/** Algorithms a proof may be signed with, unless the resource says otherwise. */
export const DEFAULT_PROOF_ALGORITHMS: readonly string[] = ['ES256', 'EdDSA', 'PS256', 'RS256'];

/** Every algorithm whose keys {@link readProofJwk} accepts. */
export const SUPPORTED_PROOF_ALGORITHMS: readonly string[] = [
  ...DEFAULT_PROOF_ALGORITHMS,
  'Ed25519',
];

/** The members that make a key, in the order of RFC 7638 §3. */
const KEY_MEMBERS = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
} as const;
const CURVES = { EC: 'P-256', OKP: 'Ed25519', RSA: undefined } as const;
/** Members that say something about a key and are no part of it (RFC 7517 §4, WebCrypto). */
const DESCRIPTIVE_MEMBERS = ['alg', 'use', 'key_ops', 'kid', 'ext'];
/** 32 bytes: a coordinate of P-256, a key of Ed25519. */
const COORDINATE_LENGTH = 43;
const RSA_EXPONENT = 'AQAB'; // 65537

/** The public key of a proof, checked and not yet imported. */
export interface ProofJwk {
  readonly alg: string;
  /** SHA-256 thumbprint (RFC 7638). */
  readonly jkt: string;
  /** The members that make the key and no others. */
  readonly jwk: Readonly<Record<string, string>>;
}

/** A key that has signed a proof for a token bound to it. */
export interface ProofKey {
  readonly alg: string;
  readonly jkt: string;
  readonly key: KeyObject;
}

/**
 * RFC 9449 §4.2: a public key of the kind `alg` needs. EC P-256, Ed25519, or RSA of 2048 to 4096
 * bits with the exponent 65537, so that one verification stays cheap.
 *
 * @throws InvalidDPoPProofError
 */
export function readProofJwk(jwk: unknown, alg: string): ProofJwk {
  if (!isJsonObject(jwk)) {
    throw new InvalidDPoPProofError('the proof header has no jwk object (RFC 9449 §4.2)', {
      claim: 'jwk',
      rule: jwk === undefined ? 'missing' : 'type',
    });
  }
  const kty = algorithmRule(alg)?.kty;
  if (kty === undefined || member(jwk, 'kty') !== kty) {
    throw unfitKeyError(
      'kty',
      'mismatch',
      'the jwk of the proof is not of the kty its algorithm needs',
    );
  }
  requirePublicMembers(jwk, KEY_MEMBERS[kty]);
  requireSignatureUse(jwk, alg);
  const members = Object.fromEntries(
    KEY_MEMBERS[kty].map((name) => [name, requiredText(jwk, name)] as const),
  );
  if (members['crv'] !== CURVES[kty]) {
    throw unfitKeyError('crv', 'mismatch', 'the curve of the jwk is not accepted');
  }
  if (kty === 'RSA') requireRsaSize(members);
  else requireCoordinates(members);
  return { alg, jkt: thumbprint(members), jwk: members };
}

/** @throws InvalidDPoPProofError when the members are no key, such as a point off the curve. */
export function importProofKey({ jwk }: ProofJwk): KeyObject {
  try {
    return node.crypto.createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch (cause) {
    throw new InvalidDPoPProofError('the jwk of the proof cannot be imported', {
      claim: 'jwk',
      rule: 'malformed',
      cause,
    });
  }
}

const MAX_KEYS = 10_000;
/** Above an RSA key of 4096 bits with all descriptive members. */
const MAX_HEADER_LENGTH = 2048;

/**
 * Memory of proof keys by the encoded header that carries them, which is the same in all proofs of
 * one client: reading, thumbprint and import are paid once.
 *
 * Only a header whose key was the one a token is bound to, and whose signature held, gets in.
 * Bounded, see `Generations`.
 */
export class ProofKeys {
  readonly #keys = new Generations<ProofKey>(MAX_KEYS / 2);

  get(header: string): ProofKey | undefined {
    return this.#keys.get(header);
  }

  remember(header: string, key: ProofKey): void {
    if (header.length > MAX_HEADER_LENGTH || this.#keys.isYoung(header)) return;
    this.#keys.set(ownCopy(header), key);
  }

  /** Keys in memory; one that moved to the young generation counts twice. */
  get size(): number {
    return this.#keys.size;
  }
}

/** An allow-list, because new private members (`oth`, `k`, …) must not slip through. */
function requirePublicMembers(jwk: Record<string, unknown>, keyMembers: readonly string[]): void {
  const allowed = [...keyMembers, ...DESCRIPTIVE_MEMBERS];
  if (!Object.keys(jwk).every((name) => allowed.includes(name))) {
    throw unfitKeyError(
      'jwk',
      'malformed',
      'the jwk of the proof has a private member, or one that no public key has (RFC 9449 §4.3 #7)',
    );
  }
}

/** RFC 7517 §4.2 to §4.4. */
function requireSignatureUse(jwk: Record<string, unknown>, alg: string): void {
  const [use, operations, restriction] = ['use', 'key_ops', 'alg'].map((name) => member(jwk, name));
  if (use !== undefined && use !== 'sig') {
    throw unfitKeyError('use', 'mismatch', 'the jwk of the proof is not for signatures (use)');
  }
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw unfitKeyError(
      'key_ops',
      'mismatch',
      'the jwk of the proof is not for verification (key_ops)',
    );
  }
  if (restriction !== undefined && !isSameAlgorithm(restriction, alg)) {
    throw unfitKeyError('alg', 'mismatch', 'the jwk of the proof is for another algorithm (alg)');
  }
}

function requiredText(jwk: Record<string, unknown>, name: string): string {
  const value = member(jwk, name);
  if (typeof value === 'string' && value !== '') return value;
  const rule = value === undefined ? 'missing' : value === '' ? 'malformed' : 'type';
  throw unfitKeyError(name, rule, `the jwk of the proof has no string ${name}`);
}

function requireCoordinates({ x = '', y }: Record<string, string>): void {
  for (const [name, value] of Object.entries(y === undefined ? { x } : { x, y })) {
    if (value.length !== COORDINATE_LENGTH || !isCanonicalBase64url(value)) {
      throw unfitKeyError(
        name,
        'malformed',
        'a coordinate of the jwk is not 32 bytes of base64url',
      );
    }
  }
}

/** Before the import: measuring a huge key must not cost more than looking at it. */
function requireRsaSize({ n = '', e }: Record<string, string>): void {
  if (e !== RSA_EXPONENT) {
    throw unfitKeyError('e', 'mismatch', 'the RSA exponent of the jwk is not 65537');
  }
  const bytes = Buffer.from(n, 'base64url');
  const bits = bytes.length * 8 - Math.clz32(bytes[0] ?? 0) + 24;
  if (!isCanonicalBase64url(n) || bytes[0] === 0 || bits < 2048 || bits > 4096) {
    const rule = bits > 4096 ? 'too_long' : 'malformed';
    throw unfitKeyError('n', rule, 'the jwk is not an RSA key of 2048 to 4096 bits');
  }
  if (isWeakRsaModulus(n)) {
    throw unfitKeyError('n', 'malformed', 'the RSA modulus of the jwk is weak (ROCA)');
  }
}

function unfitKeyError(claim: string, rule: ClaimRule, problem: string): InvalidDPoPProofError {
  return new InvalidDPoPProofError(problem, { claim, rule });
}

/** RFC 7638 §3. The members are checked, sorted and of a charset that JSON never escapes. */
function thumbprint(members: Readonly<Record<string, string>>): string {
  return sha256(JSON.stringify(members));
}
