import type { ConsentPolicy } from '../../core/calls/consent-url.js';
import { ConsentRequiredError } from '../../core/errors/oauth-errors.js';
import type { McpCall } from '../../mcp/answers/call.js';
import { failureAnswer } from '../../mcp/answers/failure-answer.js';
import { RpcError, UnknownOperationError, UpstreamError } from './gateway-errors.js';
import {
  errorAnswer,
  INTERNAL_ERROR,
  INVALID_PARAMS,
  type RequestId,
  resultAnswer,
  type RpcAnswer,
} from './json-rpc-answer.js';

interface FailureRow {
  readonly status: number;
  readonly says: (upstream: string) => string;
}

/** The one table from what an upstream did to what a client hears; never in the upstream's words. */
const FAILURES: Readonly<Record<UpstreamError['code'], FailureRow>> = {
  upstream_busy: { status: 503, says: (name) => `${name} is busy` },
  upstream_unavailable: { status: 503, says: (name) => `${name} is not available` },
  upstream_failed: { status: 502, says: (name) => `${name} gave no answer that can be used` },
  upstream_timeout: { status: 504, says: (name) => `${name} did not answer in time` },
  upstream_refused: { status: 502, says: (name) => `${name} refused the gateway` },
  upstream_rate_limited: { status: 429, says: (name) => `${name} takes no more calls for now` },
};

/** In words, for a result or an event that says so. */
export function sentenceFor({ code, upstream, retryAfterSeconds }: UpstreamError): string {
  const sentence = FAILURES[code].says(upstream);
  return retryAfterSeconds === undefined
    ? sentence
    : `${sentence}; try again in ${retryAfterSeconds} seconds`;
}

/** Of the call that failed. */
export interface FailedCall {
  readonly id: RequestId;
  readonly call: McpCall;
  readonly consent: ConsentPolicy;
}

/**
 * What a failure is answered with before a byte of the answer was sent.
 *
 * @returns `undefined` for what the application's filters answer: a missing scope, a token that has
 * ended, an authorization server that is away, and every mistake.
 */
export function gatewayAnswer(
  error: unknown,
  { id, call, consent }: FailedCall,
): RpcAnswer | undefined {
  if (error instanceof RpcError) return errorAnswer(id, error.rpc, error.status);
  if (error instanceof UnknownOperationError) {
    return errorAnswer(id, { code: INVALID_PARAMS, message: error.message });
  }
  if (error instanceof UpstreamError) return upstreamAnswer(error, id);
  return error instanceof ConsentRequiredError
    ? consentAnswer(error, { id, call, consent })
    : undefined;
}

function upstreamAnswer(error: UpstreamError, id: RequestId): RpcAnswer {
  const { code, upstream, retryAfterSeconds } = error;
  const { status, says } = FAILURES[code];
  const data = {
    upstream,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(code === 'upstream_refused' ? { error: code } : {}),
  };
  const message = says(upstream);
  return errorAnswer(
    id,
    { code: INTERNAL_ERROR, message, data },
    status,
    retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) },
  );
}

function consentAnswer(error: ConsentRequiredError, { id, call, consent }: FailedCall): RpcAnswer {
  const answer = failureAnswer(error, call, consent);
  if (answer.kind === 'result') return resultAnswer(id, answer.result);
  const { code, message } = answer;
  return errorAnswer(id, { code, message, ...('data' in answer ? { data: answer.data } : {}) });
}
