/** Keys, proofs and rules for the specs of `src/core/dpop*.ts`. */

import {
  createHash,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
} from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';

import { calculateJwkThumbprint } from 'jose';

import { checkReplay } from '../../../src/core/dpop/replay-store.js';
import { ProofKeys } from '../../../src/core/dpop/proof-key.js';
import {
  type CheckedDPoPProof,
  type DPoPProofRules,
  verifyDPoPProof,
} from '../../../src/core/dpop/proof.js';

export const NOW = 1_790_000_000;
export const URL_OF_REQUEST = 'https://api.example.com/mcp';
export const TOKEN = 'an.access.token';

export interface TestKey {
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly jwk: JsonWebKey;
  readonly jkt: string;
}

export async function testKey(alg: string): Promise<TestKey> {
  const { publicKey, privateKey } = keyPair(alg);
  const jwk = publicKey.export({ format: 'jwk' });
  return { alg, privateKey, jwk, jkt: await calculateJwkThumbprint(jwk) };
}

function keyPair(alg: string): { publicKey: KeyObject; privateKey: KeyObject } {
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  if (alg === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384' });
  if (alg === 'EdDSA' || alg === 'Ed25519') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

export function goodHeader(key: TestKey): Record<string, unknown> {
  return { typ: 'dpop+jwt', alg: key.alg, jwk: key.jwk };
}

export function goodClaims(): Record<string, unknown> {
  return { htm: 'POST', htu: URL_OF_REQUEST, jti: 'proof-1', iat: NOW, ath: hashOf(TOKEN) };
}

export interface Changes {
  /** Header members instead of the good ones; `undefined` leaves one out. */
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  /** Whole JSON texts, for what an object cannot say. */
  readonly headerText?: string;
  readonly claimsText?: string;
  /** Another spelling of the encoded claims; signed as it stands. */
  readonly respell?: (claims: string) => string;
}

/** A proof that holds for {@link goodRules}, apart from the changes; always with a good signature. */
export function proofOf(key: TestKey, changes: Changes = {}): string {
  const header =
    changes.headerText ?? JSON.stringify({ ...goodHeader(key), ...(changes.header ?? {}) });
  const claims =
    changes.claimsText ?? JSON.stringify({ ...goodClaims(), ...(changes.claims ?? {}) });
  const respell = changes.respell ?? ((text: string) => text);
  const input = `${encode(header)}.${respell(encode(claims))}`;
  return `${input}.${signatureOf(input, key)}`;
}

export function goodRules(key: TestKey, changes: Partial<DPoPProofRules> = {}): DPoPProofRules {
  return {
    method: 'POST',
    expectedHtu: URL_OF_REQUEST,
    accessTokenHash: hashOf(TOKEN),
    expectedJkt: key.jkt,
    allowedAlgorithms: ['ES256', 'EdDSA', 'PS256', 'RS256'],
    maxProofAgeSeconds: 300,
    clockSkewSeconds: 30,
    now: () => NOW,
    strictHtu: false,
    verification: 'auto',
    keys: new ProofKeys(),
    ...changes,
  };
}

/** As a promise, whatever the form of verification. */
export async function verifiedProof(
  proof: string,
  rules: DPoPProofRules,
): Promise<CheckedDPoPProof> {
  return verifyDPoPProof(proof, rules);
}

/** As a promise, whatever the store. */
export async function replayChecked(...asked: Parameters<typeof checkReplay>): Promise<void> {
  return checkReplay(...asked);
}

export function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

export function decodePart(jws: string, index: number): Record<string, unknown> {
  return JSON.parse(Buffer.from(jws.split('.')[index] ?? '', 'base64url').toString());
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** Acceptance data outside of the project; `undefined`, loudly, when it is not there. */
export function sharedVectors(path: string): unknown {
  const file = `../shared/vectors/${path}`; // from the root of the project
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  console.warn(`SKIPPED: ${path} is not in ../shared/vectors`);
  return undefined;
}

function signatureOf(input: string, { alg, privateKey }: TestKey): string {
  const data = Buffer.from(input);
  if (alg === 'EdDSA' || alg === 'Ed25519')
    return sign(null, data, privateKey).toString('base64url');
  const padding = alg.startsWith('PS') ? { padding: 6, saltLength: 32 } : {};
  return sign('sha256', data, {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
    ...padding,
  }).toString('base64url');
}
