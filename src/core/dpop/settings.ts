import type { Clock } from '../lib/clock.js';
import type { DPoPNonceOptions, DPoPNonces } from './nonce.js';
import type { DPoPReplayStore } from './replay-store.js';

/** DPoP on requests to this resource (RFC 9449 §7). */
export interface InboundDPoPOptions {
  /** Takes only tokens that are bound to a key. Default `false`: bearer tokens too. */
  readonly required?: boolean;
  /**
   * Memory of used proofs, shared by all processes that serve the resource. Default: the memory of
   * this process, which is not enough for several.
   */
  readonly replayStore?: DPoPReplayStore;
  /** How old a proof may be by its `iat`, in seconds, 1 to 3600. Default 300. */
  readonly maxProofAgeSeconds?: number;
  /** Tolerance for `iat` and `exp` of a proof in seconds, 0 to 120. Default 30. */
  readonly clockSkewSeconds?: number;
  /** Default ES256, EdDSA, PS256, RS256. */
  readonly allowedProofAlgorithms?: readonly string[];
  /**
   * Asks for a nonce in every proof (RFC 9449 §9). `true`: with a random secret, good for a single
   * process; several need a shared `secret` of at least 32 bytes. Default `false`.
   */
  readonly nonce?: boolean | DPoPNonceOptions;
  /** Path that a proxy in front takes off, such as `/api`: clients sign the public URL. Default none. */
  readonly publicPathPrefix?: string;
  /** Refuses an `htu` with query or fragment instead of leaving it out. Default `false`. */
  readonly strictHtu?: boolean;
}

/** {@link InboundDPoPOptions} with their defaults. */
export interface ResolvedInboundDPoP {
  readonly required: boolean;
  /** `undefined`: the memory of this process. */
  readonly replayStore: DPoPReplayStore | undefined;
  readonly maxProofAgeSeconds: number;
  readonly clockSkewSeconds: number;
  readonly allowedProofAlgorithms: readonly string[];
  /** A function, which prints no secret, unlike what it was made of. */
  readonly nonce: ((clock: Clock) => DPoPNonces) | undefined;
  /** Nonces are used, and no other process can make them. */
  readonly hasRandomNonceSecret: boolean;
  readonly publicPathPrefix: string;
  readonly strictHtu: boolean;
}
