import type { ProofSigner } from './signer.js';
import { isNonce } from './nonce.js';

const NONCE_DEMAND = /\berror="?use_dpop_nonce\b/;

/** A request with a proof, and how its answers are read. */
export interface ProvenRequest<Answer> {
  /** Of the request: the nonces of its answers are for its origin. */
  readonly url: string;
  /** Makes the proofs. Default: none; then no nonce is of use. */
  readonly signer: ProofSigner | undefined;
  /** Sends it with a proof of its own; without `nonce` with the one last noted. */
  readonly send: (nonce?: string) => Promise<Answer>;
  /** The `DPoP-Nonce` header as it came, if there was one. */
  readonly nonceHeader: (answer: Answer) => string | null | undefined;
  /** Whether the answer asks for another proof, with its nonce, and there can be one. */
  readonly isDemand: (answer: Answer) => boolean;
  /** Lets go of an answer that nobody will read. Default: nothing to let go of. */
  readonly discard?: (answer: Answer) => Promise<void>;
}

/**
 * RFC 9449 §8, §9: notes the nonces of all answers for the next proofs, and meets a demand for one
 * once, with a new proof.
 */
export async function sentWithNonce<Answer>(request: ProvenRequest<Answer>): Promise<Answer> {
  const first = await request.send();
  const nonce = notedNonce(first, request);
  if (request.signer === undefined || nonce === undefined || !request.isDemand(first)) return first;
  await request.discard?.(first);
  const second = await request.send(nonce);
  notedNonce(second, request);
  return second;
}

function notedNonce<Answer>(
  answer: Answer,
  { nonceHeader, signer, url }: ProvenRequest<Answer>,
): string | undefined {
  const nonce = nonceHeader(answer) ?? undefined;
  if (nonce === undefined || !isNonce(nonce)) return undefined;
  signer?.noteNonce(url, nonce);
  return nonce;
}

/** Whether a resource refuses a bound token for want of its nonce (RFC 9449 §9). */
export function isNonceDemand(status: number | undefined, challenge: string | undefined): boolean {
  return status === 401 && NONCE_DEMAND.test(challenge ?? '');
}
