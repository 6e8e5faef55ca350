import { createHash, generateKeyPair, randomUUID, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

import { calculateJwkThumbprint, type JWK } from 'jose';

import { compactJws } from './records/compact-jws.js';

/** AuthPlane takes proofs under ES256, RS256 and PS256; the others are there to be refused. */
export type DPoPAlgorithm = 'ES256' | 'ES384' | 'ES512' | 'RS256' | 'PS256' | 'EdDSA';

/** Options of {@link generateDPoPKey}. */
export interface DPoPKeyOptions {
  /** Default `ES256`. */
  readonly algorithm?: DPoPAlgorithm;
  /** The size of an RSA key. Default 2048, the least that is accepted. */
  readonly modulusLength?: number;
}

/** A key of a client. Its private JWK is `privateKey.export({ format: 'jwk' })`. */
export interface DPoPKey {
  /** Signs the proofs. */
  readonly privateKey: KeyObject;
  /** Goes into the proofs. */
  readonly publicJwk: JWK;
  /** Of RFC 7638: the `cnf.jkt` of a token that is bound to this key. */
  readonly thumbprint: string;
  /** `alg` of the proofs. */
  readonly algorithm: DPoPAlgorithm;
}

/** What a proof is for, and what is to be wrong with it. */
export interface DPoPProofOptions {
  /** `htm`: the method of the request. */
  readonly method: string;
  /** `htu`: the URL of the request; query and fragment are left out. */
  readonly url: string | URL;
  /** Adds `ath`, the hash of this token (RFC 9449 §4.2). Default: no `ath`. */
  readonly accessToken?: string;
  /** `nonce`. Default: none. */
  readonly nonce?: string;
  /**
   * Replace claims, right or wrong; one that is `undefined` is left out. The `iat` is real time, also
   * where the server has another clock.
   */
  readonly claims?: Readonly<Record<string, unknown>>;
  /**
   * Replace header members, likewise. The proof is signed by the key all the same, unless `alg` is
   * `none` (no signature) or `HS256` (the public key in PEM as the secret).
   */
  readonly header?: Readonly<Record<string, unknown>>;
}

const generate = promisify(generateKeyPair);

/** Makes a key for {@link dpopProof}. */
export async function generateDPoPKey({
  algorithm = 'ES256',
  modulusLength = 2048,
}: DPoPKeyOptions = {}): Promise<DPoPKey> {
  const { privateKey, publicKey } = await generatePair(algorithm, modulusLength);
  const publicJwk = publicKey.export({ format: 'jwk' }) as JWK;
  return { privateKey, publicJwk, thumbprint: await calculateJwkThumbprint(publicJwk), algorithm };
}

/**
 * A DPoP proof (RFC 9449 §4.2) that is right until a claim or a header member is replaced.
 *
 * @example
 * const key = await generateDPoPKey();
 * const token = await server.issueToken({ aud: [url], cnf: { jkt: key.thumbprint } });
 * const proof = dpopProof(key, { method: 'POST', url, accessToken: token });
 * const late = dpopProof(key, { method: 'POST', url, accessToken: token, claims: { iat: 1 } });
 */
export function dpopProof(key: DPoPKey, options: DPoPProofOptions): string {
  const { method, url, accessToken, nonce } = options;
  const header = { typ: 'dpop+jwt', alg: key.algorithm, jwk: key.publicJwk, ...options.header };
  const claims = {
    jti: randomUUID(),
    htm: method,
    htu: String(url).replace(/[?#].*$/s, ''),
    iat: Math.floor(Date.now() / 1000),
    ...(accessToken !== undefined && { ath: sha256(accessToken) }),
    ...(nonce !== undefined && { nonce }),
    ...options.claims,
  };
  return compactJws(header, claims, { alg: key.algorithm, privateKey: key.privateKey });
}

async function generatePair(algorithm: DPoPAlgorithm, modulusLength: number) {
  if (algorithm === 'ES256') return generate('ec', { namedCurve: 'P-256' });
  if (algorithm === 'ES384') return generate('ec', { namedCurve: 'P-384' });
  if (algorithm === 'ES512') return generate('ec', { namedCurve: 'P-521' });
  if (algorithm === 'EdDSA') return generate('ed25519');
  return generate('rsa', { modulusLength });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
