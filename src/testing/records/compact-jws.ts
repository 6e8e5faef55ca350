import { constants, createHmac, createPublicKey, sign, type KeyObject } from 'node:crypto';

export type SignatureAlgorithm =
  'ES256' | 'ES384' | 'ES512' | 'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512' | 'EdDSA';

export interface SignatureKey {
  readonly alg: SignatureAlgorithm;
  readonly privateKey: KeyObject;
}

/**
 * A JWS in compact form, right or wrong. It is signed as `alg` of the key says, whatever the header
 * claims, with two exceptions: under `none` the signature is empty, and under `HS256` the public key
 * in PEM is the secret (the algorithm confusion of RFC 8725 §2.1).
 */
export function compactJws(header: object, claims: object, key: SignatureKey): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signature(header, input, key).toString('base64url')}`;
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function signature(header: object, input: string, key: SignatureKey): Buffer {
  const claimed: unknown = 'alg' in header ? header.alg : undefined;
  if (claimed === 'none') return Buffer.alloc(0);
  if (claimed !== 'HS256') return signWith(key, Buffer.from(input));
  const secret = createPublicKey(key.privateKey).export({ format: 'pem', type: 'spki' });
  return createHmac('sha256', secret).update(input).digest();
}

const PSS = {
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
};

/** In the encodings of RFC 7518 §3.3 to §3.5 and RFC 8037 §3.1. */
function signWith({ alg, privateKey }: SignatureKey, input: Buffer): Buffer {
  if (alg === 'EdDSA') return sign(null, input, privateKey);
  const hash = `sha${alg.slice(2)}`;
  const padding = alg.startsWith('PS') ? PSS : {};
  return sign(hash, input, { key: privateKey, dsaEncoding: 'ieee-p1363', ...padding });
}
