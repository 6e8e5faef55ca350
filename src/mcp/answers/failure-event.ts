import type { AuthplaneError } from '../../core/errors/authplane-error.js';
import { consentUrlProblem } from '../../core/calls/consent-url.js';
import { runningEvents } from '../../nest/log/event-log.js';
import type { McpCall } from './call.js';
import { isConsentRequired } from './consent.js';
import type { ConsentOptions } from './consent-flow.js';

/** For operators: what the answer to the client keeps to itself. */
export function tellFailure(error: AuthplaneError, call: McpCall, options: ConsentOptions): void {
  runningEvents().emit({
    type: 'operation_failed',
    method: call.method,
    error,
    pageProblem: pageProblem(error, options),
  });
}

function pageProblem(error: AuthplaneError, options: ConsentOptions): string | undefined {
  return isConsentRequired(error) && error.consentUrl !== undefined
    ? consentUrlProblem(error.consentUrl, options)
    : undefined;
}
