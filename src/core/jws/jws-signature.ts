import type { KeyObject } from 'node:crypto';
import { node } from '../platform/node.js';
import type { Eventually } from '../lib/deadline.js';
import { ecdsaDer } from './ecdsa-der.js';
import { schemeFor, type SignatureScheme } from './signature-scheme.js';
import { ThreadPool } from './thread-pool.js';

/** Where signatures are checked: `sync` at once on the main thread, `pool` on another one. */
export type VerificationForm = 'auto' | 'sync' | 'pool';

/** `unfit key`: nothing was checked, because no signature of this algorithm can be of this key. */
export type SignatureVerdict = 'holds' | 'fails' | 'unfit key';

const pool = new ThreadPool();
let cores: number | undefined;

/**
 * RFC 7515 §5.2 with this algorithm and no other.
 *
 * @param jws whose grammar has been checked.
 */
export function signatureVerdict(
  jws: string,
  key: KeyObject,
  { alg, form = 'auto' }: { readonly alg: string; readonly form?: VerificationForm },
): Eventually<SignatureVerdict> {
  const scheme = schemeFor(key, alg);
  if (scheme === undefined) return 'unfit key';
  const end = jws.lastIndexOf('.');
  const input = Buffer.from(jws.slice(0, end), 'latin1');
  const signature = asNodeTakesIt(jws.slice(end + 1), scheme);
  if (signature === undefined) return 'fails';
  return isForPool(form, scheme)
    ? checkedOnPool(input, Buffer.from(signature), scheme)
    : checkedNow(input, signature, scheme);
}

/** Good until the next call. */
function asNodeTakesIt(signature: string, { coordinateLength }: SignatureScheme) {
  if (coordinateLength === 0) return Buffer.from(signature, 'base64url');
  return ecdsaDer(signature, coordinateLength);
}

/** Another thread takes longer by itself; it is worth it where it leaves the main thread more than it costs it. */
function isForPool(form: VerificationForm, { isQuick }: SignatureScheme): boolean {
  if (form !== 'auto') return form === 'pool';
  cores ??= node.os.availableParallelism();
  return !isQuick && cores > 1;
}

function checkedNow(input: Buffer, signature: Buffer, scheme: SignatureScheme): SignatureVerdict {
  try {
    return verdictOf(node.crypto.verify(scheme.digest, input, scheme.key, signature));
  } catch {
    return 'unfit key'; // whatever it is, nothing was verified
  }
}

function checkedOnPool(
  input: Buffer,
  signature: Buffer,
  { digest, key }: SignatureScheme,
): Promise<SignatureVerdict> {
  return new Promise((resolve) => {
    pool.run((done) => {
      try {
        node.crypto.verify(digest, input, key, signature, (error, holds) => {
          done();
          resolve(error === null ? verdictOf(holds) : 'unfit key');
        });
      } catch {
        done();
        resolve('unfit key');
      }
    });
  });
}

function verdictOf(holds: unknown): SignatureVerdict {
  return holds === true ? 'holds' : 'fails';
}
