import { consentUrlProblem } from '../../core/calls/consent-url.js';
import type { AuthplaneError } from '../../core/errors/authplane-error.js';
import { logText } from '../../core/errors/log-text.js';
import { PackageLogger } from '../../nest/log/package-logger.js';
import { SparseWarnings } from '../../nest/log/refusal-log.js';
import { isConsentRequired } from './consent.js';
import type { ConsentOptions } from './consent-flow.js';
import type { McpCall } from './call.js';

const logger = new PackageLogger('AuthplaneMcp');
// Of the process: stateless servers are made anew for each request.
const warnings = new SparseWarnings(logger);

/** For operators: what the answer to the client keeps to itself. */
export function logFailure(error: AuthplaneError, call: McpCall, options: ConsentOptions): void {
  logger.debug(`${call.method}: ${error.code}: ${logText(error)}`);
  const problem = pageProblem(error, options);
  if (problem === undefined) return;
  warnings.warn(
    'consent_url',
    `the authorization server's consent_url is not shown to users: ${problem}`,
  );
}

function pageProblem(error: AuthplaneError, options: ConsentOptions): string | undefined {
  return isConsentRequired(error) && error.consentUrl !== undefined
    ? consentUrlProblem(error.consentUrl, options)
    : undefined;
}
