import { DEFAULT_ALGORITHMS, SUPPORTED_ALGORITHMS } from '../lib/algorithms.js';
import type { VerificationForm } from '../jws/jws-signature.js';
import {
  algorithmsProblem,
  count,
  hierarchyProblem,
  nested,
  oneOf,
  seconds,
} from '../lib/option-checks.js';
import type { ScopeHierarchy } from '../lib/scopes.js';
import type { Settings } from '../lib/settings.js';

/** Options of the memory of verified tokens. */
export interface VerifiedTokensOptions {
  /**
   * Most tokens that are remembered, for each resource and process; 0: none. About 600 bytes each. Default
   * 50 000.
   */
  readonly maxEntries?: number;
}

/** Which access tokens are good. */
export interface TokenOptions {
  /** Signature algorithms of access tokens; asymmetric only. Default ES256, RS256, PS256, EdDSA. */
  readonly allowedAlgorithms?: readonly string[];
  /** Tolerance for `exp`, `nbf` and `iat` in seconds, 0 to 120. Default 60. */
  readonly clockSkewSeconds?: number;
  /** Refuses tokens that expire later than so many seconds from now, 60 to 31 536 000. Default no limit. */
  readonly maxTokenLifetimeSeconds?: number;
  /** Longer access tokens are refused unread (`TokenTooLongError`): characters, 1024 to 131 072. Default 16 384. */
  readonly maxTokenLength?: number;
  /**
   * Where signatures of tokens and proofs are checked: `'sync'` on the main thread, which is quickest by itself;
   * `'pool'` on the thread pool of the process, which leaves the main thread to other requests. Default
   * `'auto'`: on the pool what takes longer than handing it over, where there is more than one core.
   */
  readonly verification?: VerificationForm;
  /** How many tokens that were found good are remembered. Default `{ maxEntries: 50_000 }`. */
  readonly verifiedTokens?: VerifiedTokensOptions;
  /** Scopes that imply others; honoured wherever scopes are compared. Default none. */
  readonly scopeHierarchy?: ScopeHierarchy;
}

/** {@link TokenOptions} with their defaults. */
export interface ResolvedToken {
  readonly allowedAlgorithms: readonly string[];
  readonly clockSkewSeconds: number;
  /** `Infinity`: no limit. */
  readonly maxTokenLifetimeSeconds: number;
  readonly maxTokenLength: number;
  readonly verification: VerificationForm;
  readonly verifiedTokens: VerifiedTokensOptions;
  readonly scopeHierarchy: ScopeHierarchy | undefined;
}

export const TOKEN_SETTINGS: Settings<ResolvedToken> = {
  allowedAlgorithms: {
    check: algorithmsProblem(SUPPORTED_ALGORITHMS),
    byDefault: DEFAULT_ALGORITHMS,
  },
  clockSkewSeconds: { check: seconds(0, 120), byDefault: 60 },
  maxTokenLifetimeSeconds: { check: seconds(60, 31_536_000), byDefault: Infinity },
  maxTokenLength: { check: count(1024, 131_072), byDefault: 16_384 },
  verification: { check: oneOf('auto', 'sync', 'pool'), byDefault: 'auto' },
  verifiedTokens: { check: nested({ maxEntries: count(0, 10_000_000) }), byDefault: {} },
  scopeHierarchy: { check: hierarchyProblem, byDefault: undefined },
};
