import { setTimeout as delay } from 'node:timers/promises';
import { AuthplaneError, type AuthplaneErrorOptions } from '../../core/errors/authplane-error.js';
import type { ConsentPolicy } from '../../core/calls/consent-url.js';
import { consentKey, isConsentRequired } from './consent.js';
import type { McpCall } from './call.js';

/** Options of everything here that answers MCP calls. */
export interface ConsentOptions extends ConsentPolicy {
  /**
   * Pauses in milliseconds before the operation is tried again after the user agreed to open the
   * page. Default 250, 500, 1000, 2000; then the user is asked again.
   */
  readonly retryDelaysMs?: readonly number[] | undefined;
}

/** The user refused to open the consent page, or closed the question. */
export class ConsentRefusedError extends AuthplaneError {
  readonly code = 'consent_refused';
  /** What the user did (MCP, Elicitation). */
  readonly action: 'decline' | 'cancel';

  /** `decline`: the user said no; `cancel`: the question was closed. */
  constructor(action: 'decline' | 'cancel', options?: AuthplaneErrorOptions) {
    super(
      action === 'decline' ? 'the user declined consent' : 'the user dismissed the question',
      options,
    );
    this.action = action;
  }
}

const RETRY_DELAYS_MS = [250, 500, 1000, 2000];

/**
 * Runs the operation of a call. On a retry of the 2026-07-28 era the user's answer counts first: a
 * refusal ends it, and after an acceptance the operation is tried several times, because the answer
 * says only that the page was opened. A client that was asked again at once would use up its rounds
 * within milliseconds.
 *
 * @throws ConsentRefusedError without running the operation.
 */
export async function runWithConsent<T>(
  { responses, signal }: McpCall,
  operation: () => T | Promise<T>,
  { retryDelaysMs = RETRY_DELAYS_MS }: Pick<ConsentOptions, 'retryDelaysMs'>,
): Promise<T> {
  if (responses.refusal !== undefined) throw new ConsentRefusedError(responses.refusal);
  for (const pause of retryDelaysMs) {
    try {
      return await operation();
    } catch (error) {
      const isAnswered =
        isConsentRequired(error) && responses.accepted.has(consentKey(error.serviceId));
      if (!isAnswered) throw error;
    }
    await delay(pause, undefined, signal === undefined ? {} : { signal });
  }
  return operation();
}
