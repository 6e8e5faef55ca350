import type { KeyObject, VerifyKeyObjectInput } from 'node:crypto';
import { node } from '../platform/node.js';

/** How `node:crypto` is asked about signatures of one algorithm by one key (RFC 7518 §3.1). */
export interface SignatureScheme {
  readonly alg: string;
  /** `null` where the algorithm hashes by itself. */
  readonly digest: string | null;
  readonly key: KeyObject | VerifyKeyObjectInput;
  /** Bytes of each of the two numbers of an ECDSA signature; 0 for any other signature. */
  readonly coordinateLength: number;
  /** One check takes about as long as it takes to hand it to another thread. */
  readonly isQuick: boolean;
}

/** Bytes of a coordinate (RFC 7518 §3.4), and the curve as OpenSSL calls it. */
const ECDSA: ReadonlyMap<string, readonly [curve: string, bytes: number]> = new Map([
  ['ES256', ['prime256v1', 32]],
  ['ES384', ['secp384r1', 48]],
  ['ES512', ['secp521r1', 66]],
]);
const RSA = /^[RP]S(256|384|512)$/;
const SHORTEST_RSA = 2048; // RFC 7518 §3.3, §3.5
const QUICK_RSA = 2048;

/** A key is used with one algorithm, as good as always. */
const schemes = new WeakMap<KeyObject, SignatureScheme>();

/** `undefined` where the key makes no signatures of this algorithm. */
export function schemeFor(key: KeyObject, alg: string): SignatureScheme | undefined {
  const known = schemes.get(key);
  if (known?.alg === alg) return known;
  const scheme = key.type === 'public' ? newScheme(key, alg) : undefined;
  if (scheme !== undefined) schemes.set(key, scheme);
  return scheme;
}

function newScheme(key: KeyObject, alg: string): SignatureScheme | undefined {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return ecdsa(key, alg);
    case 'rsa':
      return rsa(key, alg);
    case 'ed25519':
      return alg === 'EdDSA' || alg === 'Ed25519'
        ? { alg, digest: null, key, coordinateLength: 0, isQuick: false }
        : undefined;
    default:
      return undefined;
  }
}

function ecdsa(key: KeyObject, alg: string): SignatureScheme | undefined {
  const [curve, coordinateLength = 0] = ECDSA.get(alg) ?? [];
  if (curve === undefined || key.asymmetricKeyDetails?.namedCurve !== curve) return undefined;
  const digest = `sha${alg.slice(2)}`;
  return { alg, digest, key, coordinateLength, isQuick: false };
}

function rsa(key: KeyObject, alg: string): SignatureScheme | undefined {
  const bits = RSA.exec(alg)?.[1];
  const { modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (bits === undefined || modulusLength < SHORTEST_RSA) return undefined;
  const scheme = { alg, digest: `sha${bits}`, coordinateLength: 0 };
  const isQuick = modulusLength <= QUICK_RSA;
  if (alg.startsWith('RS')) return { ...scheme, key, isQuick };
  const padding = node.crypto.constants.RSA_PKCS1_PSS_PADDING;
  return { ...scheme, key: { key, padding, saltLength: Number(bits) / 8 }, isQuick };
}
