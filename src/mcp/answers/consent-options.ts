import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { problemsOf } from '../../core/lib/option-checks.js';
import { consentChecks } from '../../core/operations/settings.js';
import type { ResolvedModuleOptions } from '../../core/options.js';
import type { ConsentOptions } from './consent-flow.js';

/** What the module's options say about consent. */
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
  const { issuer, devMode, pageOrigins, retryDelaysMs } = options;
  const formerName = 'allowedOrigins' in options ? { allowedOrigins: options.allowedOrigins } : {};
  const given = { pageOrigins, retryDelaysMs, ...formerName };
  const problems = [
    ...(URL.canParse(issuer) ? [] : ['issuer: must be a URL']),
    ...problemsOf(given, consentChecks, devMode === true),
  ];
  if (problems.length > 0) throw new ConfigurationError(problems);
  return { issuer, devMode, pageOrigins, retryDelaysMs };
}
