import { Logger } from '@nestjs/common';
import { consentUrlProblem } from '../core/consent-url.js';
import type { AuthplaneError } from '../core/errors.js';
import { isConsentRequired } from './consent.js';
import type { ConsentOptions } from './consent-flow.js';
import type { McpCall } from './mcp-call.js';

/** A mistake in the configuration is worth a line, a flood of them is not. */
const WARNING_PAUSE_MS = 60_000;

const logger = new Logger('AuthplaneMcp');
// Of the process: stateless servers are made anew for each request.
let warnedAt = -Infinity;

/** For operators: what the answer to the client keeps to itself. */
export function logFailure(error: AuthplaneError, call: McpCall, options: ConsentOptions): void {
  logger.debug(`${call.method}: ${error.code}: ${error.message}`);
  const problem = pageProblem(error, options);
  const now = performance.now();
  if (problem === undefined || now - warnedAt < WARNING_PAUSE_MS) return;
  warnedAt = now;
  logger.warn(`the authorization server's consent_url is not shown to users: ${problem}`);
}

function pageProblem(error: AuthplaneError, options: ConsentOptions): string | undefined {
  return isConsentRequired(error) && error.consentUrl !== undefined
    ? consentUrlProblem(error.consentUrl, options)
    : undefined;
}
