import type { KeyObject } from 'node:crypto';
import { compactVerify, errors as joseErrors } from 'jose';

/** Why nothing was verified. */
interface SignatureFailure {
  /** For the message, behind what does not verify. */
  readonly why: '' | ' (unfit key)';
  readonly cause: unknown;
}

/** RFC 7515 §5.2 with this algorithm and no other: `undefined` when the signature holds. */
export async function signatureFailure(
  jws: string,
  key: KeyObject,
  alg: string,
): Promise<SignatureFailure | undefined> {
  try {
    await compactVerify(jws, key, { algorithms: [alg] });
    return undefined;
  } catch (cause) {
    // jose throws a TypeError for a key it finds unfit; whatever it is, nothing was verified.
    const isMismatch = cause instanceof joseErrors.JWSSignatureVerificationFailed;
    return { why: isMismatch ? '' : ' (unfit key)', cause };
  }
}
