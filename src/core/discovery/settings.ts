import type { AuthplaneError } from '../errors/authplane-error.js';
import { functionProblem, issuerProblem, oneOf, seconds } from '../lib/option-checks.js';
import { checksOf, type Settings, withDefaults } from '../lib/settings.js';

/** Which authorization server it is, and how its documents are kept. */
export interface DiscoveryOptions {
  /** The issuer exactly as the authorization server announces it; compared byte for byte. */
  readonly issuer: string;
  /** Oldest age of the key set in seconds; it is read again at 60 to 80 % of that. Default 300. */
  readonly jwksRefreshSeconds?: number;
  /** The same for the metadata (RFC 8414). Default 3600. */
  readonly metadataRefreshSeconds?: number;
  /**
   * How many seconds past its refresh age a document is still used while the authorization server
   * is away. Default 3600; 0 refuses stale documents. Afterwards requests get 503.
   */
  readonly maxStaleSeconds?: number;
  /**
   * What an *unreachable* authorization server means at start. `'lazy'` (default in Nest) starts,
   * answers 503 and retries in the background; `'eager'` (default of `AuthplaneClient.create`)
   * fails. A *wrong* one, with another issuer or without keys, fails in both.
   */
  readonly startup?: 'lazy' | 'eager';
  /**
   * Told of failures that no caller sees: a background reload that failed. What it throws is dropped.
   * Default: nobody is told; the Nest module logs them in any case.
   */
  readonly onBackgroundFailure?: (error: AuthplaneError) => void;
}

/** {@link DiscoveryOptions} with their defaults. */
export type ResolvedDiscovery = Required<DiscoveryOptions>;

const SETTINGS: Settings<Omit<ResolvedDiscovery, 'issuer'>> = {
  jwksRefreshSeconds: { check: seconds(1, 86_400), byDefault: 300 },
  metadataRefreshSeconds: { check: seconds(1, 86_400), byDefault: 3600 },
  maxStaleSeconds: { check: seconds(0, 604_800), byDefault: 3600 },
  startup: { check: oneOf('lazy', 'eager'), byDefault: 'eager' },
  onBackgroundFailure: { check: functionProblem, byDefault: () => undefined },
};

/** The issuer has no default: without one there is nobody to trust. */
export const discoveryChecks = { issuer: issuerProblem, ...checksOf(SETTINGS) };

/** @param defaults where they are others than those of a client by itself. */
export function withDiscoveryDefaults(
  options: DiscoveryOptions,
  defaults: Pick<DiscoveryOptions, 'startup'> = {},
): ResolvedDiscovery {
  const settled = withDefaults(SETTINGS, options, defaults);
  return {
    ...settled,
    issuer: options.issuer,
    onBackgroundFailure: harmless(settled.onBackgroundFailure),
  };
}

type Listener = ResolvedDiscovery['onBackgroundFailure'];

/** Tells the application; what its callback throws, at once or later, is nobody's failure. */
function harmless(tell: Listener): Listener {
  const told = async (error: AuthplaneError): Promise<void> => tell(error);
  return (error) => void told(error).catch(() => undefined);
}
