import type { KeyObject, SignKeyObjectInput } from 'node:crypto';
import { node } from '../platform/node.js';

/**
 * A compact JWS (RFC 7515 §7.1) over these claims, signed on the thread pool.
 *
 * @param key private, and one for `header.alg`: who has read it has checked that.
 */
export async function signedJws(
  header: { readonly alg: string } & Readonly<Record<string, unknown>>,
  claims: Readonly<Record<string, unknown>>,
  key: KeyObject,
): Promise<string> {
  const input = `${encoded(header)}.${encoded(claims)}`;
  const { alg } = header;
  const signature = await signatureOf(Buffer.from(input), digestOf(alg), withOptions(key, alg));
  return `${input}.${signature.toString('base64url')}`;
}

function signatureOf(
  input: Buffer,
  digest: string | null,
  key: KeyObject | SignKeyObjectInput,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    node.crypto.sign(digest, input, key, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** RFC 7518 §3.1; Ed25519 hashes by itself (RFC 8037 §3.1). */
function digestOf(alg: string): string | null {
  return alg.startsWith('Ed') ? null : `sha${alg.slice(2)}`;
}

function withOptions(key: KeyObject, alg: string): KeyObject | SignKeyObjectInput {
  switch (alg.slice(0, 2)) {
    case 'ES':
      return { key, dsaEncoding: 'ieee-p1363' };
    case 'PS':
      return {
        key,
        padding: node.crypto.constants.RSA_PKCS1_PSS_PADDING,
        saltLength: Number(alg.slice(2)) / 8,
      };
    default:
      return key;
  }
}
