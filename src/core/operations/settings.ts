import type { ProofSigner } from '../dpop/signer.js';
import {
  booleanProblem,
  type Check,
  count,
  nested,
  pauses,
  seconds,
  webOriginListProblem,
} from '../lib/option-checks.js';
import { checksOf, type Settings, withDefaults } from '../lib/settings.js';
import type { VerifiedClaims } from '../token/verified-claims.js';

/** What this server asks of the authorization server on its own behalf. */
export interface OperationsOptions {
  /**
   * Signs proofs for calls to the authorization server, so that issued tokens are bound to its key.
   * Default none.
   */
  readonly dpop?: ProofSigner;
  /** How much earlier than it expires a cached token is given up, in seconds. Default 30. */
  readonly cacheTtlBufferSeconds?: number;
  /** How long a token without `expires_in` is cached, in seconds. Default 3600. */
  readonly defaultTtlSeconds?: number;
  /** Most tokens in the cache. Default 10 000. */
  readonly cacheMaxEntries?: number;
  /** Failures in a row after which an endpoint is left alone. Default 5. */
  readonly circuitBreakerThreshold?: number;
  /** How long it is left alone, in seconds. Default 30. */
  readonly circuitBreakerCooldownSeconds?: number;
  /** The pages where users give consent, see `ConsentRequiredError`. Default `{}`. */
  readonly consent?: ConsentPageOptions;
}

/** Which consent pages are shown to users, and how patient we are with them. */
export interface ConsentPageOptions {
  /** Further origins of consent pages, such as `https://connect.example.com`. Default: the issuer's only. */
  readonly pageOrigins?: readonly string[];
  /**
   * Pauses in milliseconds before an operation is tried again after the user agreed to open the page.
   * Default 250, 500, 1000, 2000; then the user is asked again.
   */
  readonly retryDelaysMs?: readonly number[];
}

/** {@link OperationsOptions} with their defaults. */
export type ResolvedOperations = Required<Omit<OperationsOptions, 'dpop'>> &
  Pick<OperationsOptions, 'dpop'>;

const CONSENT_SETTINGS: Settings<ConsentPageOptions> = {
  pageOrigins: { check: webOriginListProblem },
  retryDelaysMs: { check: pauses(10, 30_000) },
};

/** Also for `withConsent`, which takes the same options. */
export const consentChecks = checksOf(CONSENT_SETTINGS);

const signerProblem: Check = (value) =>
  typeof (value as ProofSigner | null)?.proof === 'function' ? undefined : 'must be a DPoPSigner';

export const OPERATIONS_SETTINGS: Settings<ResolvedOperations> = {
  dpop: { check: signerProblem },
  cacheTtlBufferSeconds: { check: seconds(0, 3600), byDefault: 30 },
  defaultTtlSeconds: { check: seconds(0, 86_400), byDefault: 3600 },
  cacheMaxEntries: { check: count(1, 1_000_000), byDefault: 10_000 },
  circuitBreakerThreshold: { check: count(1, 1000), byDefault: 5 },
  circuitBreakerCooldownSeconds: { check: seconds(1, 3600), byDefault: 30 },
  consent: { check: nested(consentChecks), byDefault: {} },
};

/**
 * Who knows of revoked tokens: the authorization server (RFC 7662), or a function of yours that
 * answers `true` for a revoked one.
 */
export type RevocationChecker =
  'introspection' | ((claims: VerifiedClaims, token: string) => boolean | Promise<boolean>);

/** Whether verified tokens are asked about. */
export interface RevocationOptions {
  /**
   * Asks about every token whether it was revoked: `'introspection'` asks the authorization server
   * (RFC 7662), a function answers `true` for revoked within 5 seconds. Default: tokens live until
   * they expire.
   */
  readonly revocationChecker?: RevocationChecker;
  /** Refuse with 503 when nobody can tell whether a token was revoked. Default `true`. */
  readonly failClosed?: boolean;
}

/** {@link RevocationOptions} with their defaults. */
export interface ResolvedRevocation {
  readonly revocationChecker: RevocationChecker | undefined;
  readonly failClosed: boolean;
}

const checkerProblem: Check = (value) =>
  value === 'introspection' || typeof value === 'function'
    ? undefined
    : "must be 'introspection' or a function";

const REVOCATION_SETTINGS: Settings<ResolvedRevocation> = {
  revocationChecker: { check: checkerProblem, byDefault: undefined },
  failClosed: { check: booleanProblem, byDefault: true },
};

export const revocationChecks = checksOf(REVOCATION_SETTINGS);

/** `false` asks nobody, whatever `main` does. */
export function withRevocationDefaults(
  {
    revocationChecker,
    failClosed,
  }: Omit<RevocationOptions, 'revocationChecker'> & {
    readonly revocationChecker?: RevocationChecker | false;
  },
  main: Partial<ResolvedRevocation> = {},
): ResolvedRevocation {
  return revocationChecker === false
    ? { ...withDefaults(REVOCATION_SETTINGS, { failClosed }, main), revocationChecker: undefined }
    : withDefaults(REVOCATION_SETTINGS, { revocationChecker, failClosed }, main);
}
