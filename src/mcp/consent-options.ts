import { ConfigurationError } from '../core/errors.js';
import type { ResolvedModuleOptions } from '../core/options.js';
import type { ConsentOptions } from './consent-flow.js';

const MAX_RETRIES = 10;
const MAX_PAUSE_MS = 30_000;

/** What the module's options say about consent. @throws ConfigurationError */
export function moduleConsentOptions({ client }: ResolvedModuleOptions): ConsentOptions {
  const { issuer, devMode, consent } = client;
  return checkedConsentOptions({ ...consent, issuer, devMode });
}

/**
 * Reads each member by name, so that an `AuthplaneClient` will do, whose members may be getters.
 *
 * @throws ConfigurationError: a misspelt origin would hide pages that are meant to be shown.
 */
export function checkedConsentOptions(options: ConsentOptions): ConsentOptions {
  const { issuer, devMode, allowedOrigins = [], retryDelaysMs } = options;
  const problems = [
    ...(URL.canParse(issuer) ? [] : ['issuer: must be a URL']),
    ...allowedOrigins
      .filter((origin) => !isOrigin(origin))
      .map(
        (origin) => `allowedOrigins: ${JSON.stringify(origin)} is no origin such as https://host`,
      ),
    ...(areRetryDelays(retryDelaysMs)
      ? []
      : [`retryDelaysMs: at most ${MAX_RETRIES} pauses of 0 to ${MAX_PAUSE_MS}`]),
  ];
  if (problems.length > 0) throw new ConfigurationError(problems);
  return { issuer, devMode, allowedOrigins, retryDelaysMs };
}

function isOrigin(value: string): boolean {
  return URL.canParse(value) && /^https?:/.test(value) && new URL(value).origin === value;
}

function areRetryDelays(pauses: readonly number[] | undefined): boolean {
  if (pauses === undefined) return true;
  return (
    pauses.length <= MAX_RETRIES && pauses.every((pause) => pause >= 0 && pause <= MAX_PAUSE_MS)
  );
}
