import type { Clock } from '../lib/clock.js';
import {
  algorithmsProblem,
  booleanProblem,
  type Check,
  pathProblem,
  seconds,
  switchOr,
} from '../lib/option-checks.js';
import { checksOf, type Settings, withDefaults } from '../lib/settings.js';
import { type DPoPNonceOptions, DPoPNonces, NONCE_SETTINGS, randomNonceSecret } from './nonce.js';
import { DEFAULT_PROOF_ALGORITHMS, SUPPORTED_PROOF_ALGORITHMS } from './proof-key.js';
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
  readonly nonce: ((clock: Clock, resource: string) => DPoPNonces) | undefined;
  /** Nonces are used, and no other process can make them. */
  readonly hasRandomNonceSecret: boolean;
  readonly publicPathPrefix: string;
  readonly strictHtu: boolean;
}

/** What proofs ask of the store, whoever has written it. */
const replayStoreProblem: Check = (value) =>
  typeof (value as DPoPReplayStore | null)?.checkAndStore === 'function'
    ? undefined
    : 'must have a method checkAndStore';

type Settled = Omit<ResolvedInboundDPoP, 'nonce' | 'hasRandomNonceSecret'> & {
  readonly nonce: boolean | DPoPNonceOptions;
};

const SETTINGS: Settings<Settled> = {
  required: { check: booleanProblem, byDefault: false },
  replayStore: { check: replayStoreProblem, byDefault: undefined },
  maxProofAgeSeconds: { check: seconds(1, 3600), byDefault: 300 },
  clockSkewSeconds: { check: seconds(0, 120), byDefault: 30 },
  allowedProofAlgorithms: {
    check: algorithmsProblem(SUPPORTED_PROOF_ALGORITHMS),
    byDefault: DEFAULT_PROOF_ALGORITHMS,
  },
  nonce: { check: switchOr(checksOf(NONCE_SETTINGS)), byDefault: false },
  publicPathPrefix: { check: pathProblem, byDefault: '' },
  strictHtu: { check: booleanProblem, byDefault: false },
};

export const inboundDPoPChecks = checksOf(SETTINGS);

/**
 * @param options `undefined`: as `main`; `false`: off.
 * @param main of the main resource, whose members a further one has where it names none.
 */
export function withDPoPDefaults(
  options: InboundDPoPOptions | false | undefined,
  main?: ResolvedInboundDPoP,
): ResolvedInboundDPoP | undefined {
  if (options === false) return undefined;
  if (options === undefined) return main;
  const { nonce, ...settled } = withDefaults(SETTINGS, options, { ...main, nonce: undefined });
  const inherited = options.nonce === undefined ? main : undefined;
  return {
    ...settled,
    nonce: inherited === undefined ? noncesOf(nonce, settled.clockSkewSeconds) : inherited.nonce,
    hasRandomNonceSecret: inherited?.hasRandomNonceSecret ?? isRandomSecret(nonce),
  };
}

function noncesOf(
  nonce: boolean | DPoPNonceOptions,
  clockSkewSeconds: number,
): ResolvedInboundDPoP['nonce'] {
  if (nonce === false) return undefined;
  const given = nonce === true ? {} : nonce;
  const options = structuredClone({ ...given, secret: given.secret ?? randomNonceSecret() });
  return (clock, resource) => new DPoPNonces(options, { clockSkewSeconds, clock, resource });
}

function isRandomSecret(nonce: boolean | DPoPNonceOptions): boolean {
  return typeof nonce === 'boolean' ? nonce : nonce.secret === undefined;
}
