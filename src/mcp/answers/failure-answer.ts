import { AuthorizationServerUnavailableError } from '../../core/errors/server-errors.js';
import { NoAccessTokenError } from '../../core/errors/configuration-error.js';
import { AuthplaneError } from '../../core/errors/authplane-error.js';
import { InsufficientScopeError, TokenMissingError } from '../../core/errors/token-errors.js';
import { OAuthError } from '../../core/errors/oauth-errors.js';
import {
  type ConsentAnswer,
  errorResult,
  isConsentRequired,
  stableElicitationId,
  type ToolErrorResult,
  toElicitation,
  URL_ELICITATION_REQUIRED,
} from './consent.js';
import { printable } from '../../core/lib/text.js';
import { JsonRpcError } from '../../nest/refusals/json-rpc-error.js';
import { ConsentRefusedError, type ConsentOptions } from './consent-flow.js';
import type { McpCall } from './call.js';

/** What a failed MCP operation is answered with. */
export type FailureAnswer =
  ConsentAnswer | { readonly kind: 'error'; readonly code: number; readonly message: string };

const INTERNAL_ERROR = -32603;
const MAX_SCOPES_LENGTH = 1000;

/** Operations whose result may ask for input (2026-07-28). */
const ASKING_METHODS = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** Whether this package answers the error; others are the application's. */
export function isOurs(error: unknown): error is AuthplaneError {
  return error instanceof AuthplaneError || isConsentRequired(error);
}

/**
 * The answer to an operation that failed with an error of this package. Says what the user or the
 * client can do, never what the error's message says: that is for operators.
 */
export function failureAnswer(
  error: AuthplaneError,
  call: McpCall,
  options: ConsentOptions,
): FailureAnswer {
  const answer = isConsentRequired(error) ? consentAnswer(error, call, options) : inWords(error);
  if (answer.kind === 'error') return answer;
  const { result } = answer;
  if ('isError' in result) return fitting(result, call);
  return ASKING_METHODS.has(call.method)
    ? answer
    : { kind: 'error', code: INTERNAL_ERROR, message: 'This operation needs consent first.' };
}

function consentAnswer(
  error: Parameters<typeof toElicitation>[0],
  { era, urlElicitation, caller, responses }: McpCall,
  options: ConsentOptions,
): ConsentAnswer {
  if (responses.refusal !== undefined) return inWords(new ConsentRefusedError(responses.refusal));
  const { issuer } = options;
  const { serviceId } = error;
  const elicitationId = caller && stableElicitationId({ issuer, ...caller, serviceId });
  return toElicitation(error, { ...options, era, urlElicitation, elicitationId });
}

/** Only tools have error results; prompts and resources fail as JSON-RPC errors. */
function fitting(result: ToolErrorResult, { method }: McpCall): FailureAnswer {
  return method === 'tools/call'
    ? { kind: 'result', result }
    : { kind: 'error', code: INTERNAL_ERROR, message: result.content[0]?.text ?? '' };
}

function inWords(error: AuthplaneError): {
  readonly kind: 'result';
  readonly result: ToolErrorResult;
} {
  return { kind: 'result', result: errorResult(failureText(error)) };
}

function failureText(error: AuthplaneError): string {
  if (error instanceof ConsentRefusedError) {
    return error.action === 'decline'
      ? 'You declined the consent that this operation needs. Nothing was done.'
      : 'You did not give the consent that this operation needs. Nothing was done.';
  }
  if (error instanceof InsufficientScopeError) {
    const scopes = printable(error.requiredScopes.join(' '), MAX_SCOPES_LENGTH);
    return `This operation needs an access token with these scopes: ${scopes}`;
  }
  if (error instanceof AuthorizationServerUnavailableError) {
    return 'The authorization server cannot be reached right now. Try again in a moment.';
  }
  if (error instanceof OAuthError && isOutage(error)) {
    const { retryAfterSeconds: seconds } = error;
    const when = seconds === undefined ? 'in a moment' : `in a moment (${seconds} seconds)`;
    return `The authorization server cannot answer right now. Try again ${when}.`;
  }
  if (error instanceof OAuthError) {
    return 'The authorization server refused access to the service behind this operation.';
  }
  if (error instanceof NoAccessTokenError) {
    return 'This operation needs an access token, and the caller has shown another credential.';
  }
  if (error instanceof TokenMissingError) return 'This operation needs an authenticated caller.';
  return 'This operation failed.';
}

/** It is busy, or failed itself: neither the user nor the client has been refused anything. */
function isOutage({ statusCode }: OAuthError): boolean {
  return statusCode === 429 || statusCode >= 500;
}

/** What SDK v1 and v2 put on the wire as they are. */
export function jsonRpcError(
  answer: Extract<FailureAnswer, { kind: 'error' }>,
  cause: unknown,
): JsonRpcError {
  const { code, message } = answer;
  const data = 'data' in answer ? answer.data : undefined;
  const brands = code === URL_ELICITATION_REQUIRED ? ['mcp.UrlElicitationRequiredError'] : [];
  const error = new JsonRpcError({ code, message, data, cause, brands });
  return Object.assign(error, data); // v2's class shows `elicitations`
}
