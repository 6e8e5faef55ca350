import { AuthplaneError } from '../../core/errors/authplane-error.js';
import { InsufficientScopeError, TokenExpiredError } from '../../core/errors/token-errors.js';
import type { ConsentPolicy } from '../../core/calls/consent-url.js';
import type { McpCall } from '../../mcp/answers/call.js';
import { consentResponses, errorResult, hasUrlElicitation } from '../../mcp/answers/consent.js';
import { failureAnswer } from '../../mcp/answers/failure-answer.js';
import { sentenceFor } from '../wire/gateway-answer.js';
import { RpcError, UnknownOperationError, UpstreamError } from '../wire/gateway-errors.js';
import {
  INTERNAL_ERROR,
  INVALID_PARAMS,
  type RequestId,
  type RpcErrorObject,
} from '../wire/json-rpc-answer.js';

/** The call that failed, of a client in a session. */
export interface FailedSessionCall {
  readonly id: RequestId;
  readonly method: string;
  /** As declared in `initialize`. */
  readonly capabilities: unknown;
  readonly caller: { readonly subject: string; readonly clientId: string };
  readonly consent: ConsentPolicy;
  /** Headers are sent already, so that no status can say it. */
  readonly hasBegun: boolean;
}

const RESOURCE_NOT_FOUND = -32002;

/**
 * A failure in the words of the 2025 revisions, whose clients read results and no statuses.
 *
 * @returns `undefined` for what the application's filters answer while they can.
 */
export function legacyFailure(error: unknown, failed: FailedSessionCall): object | undefined {
  const { id, method, hasBegun } = failed;
  if (error instanceof RpcError) return { jsonrpc: '2.0', id, error: error.rpc };
  if (error instanceof UnknownOperationError) return rpcError(id, unknownOperation(error, method));
  if (error instanceof UpstreamError) return upstreamFailure(error, failed);
  const isAboutAccess =
    error instanceof InsufficientScopeError || error instanceof TokenExpiredError;
  if (!(error instanceof AuthplaneError) || (isAboutAccess && !hasBegun)) {
    const internal = { code: INTERNAL_ERROR, message: 'Internal error' };
    return hasBegun ? rpcError(id, internal) : undefined;
  }
  if (error.code === 'configuration_error' || error.code === 'session_not_found') return undefined;
  const answer = failureAnswer(error, callOf(failed), failed.consent);
  if (answer.kind === 'result') return { jsonrpc: '2.0', id, result: answer.result };
  const { code, message } = answer;
  return rpcError(id, { code, message, ...('data' in answer ? { data: answer.data } : {}) });
}

function upstreamFailure(error: UpstreamError, { id, method }: FailedSessionCall): object {
  const text = sentenceFor(error);
  if (method === 'tools/call') {
    return { jsonrpc: '2.0', id, result: errorResult(text) };
  }
  const data = { upstream: error.upstream };
  return rpcError(id, { code: INTERNAL_ERROR, message: text, data });
}

function unknownOperation({ message }: UnknownOperationError, method: string): RpcErrorObject {
  return { code: method.startsWith('resources/') ? RESOURCE_NOT_FOUND : INVALID_PARAMS, message };
}

function rpcError(id: RequestId, error: RpcErrorObject): object {
  return { jsonrpc: '2.0', id, error };
}

function callOf({ id, method, capabilities, caller }: FailedSessionCall): McpCall {
  return {
    method,
    requestId: id,
    era: '2025-11-25',
    urlElicitation: hasUrlElicitation(capabilities),
    responses: consentResponses(undefined),
    caller,
    signal: undefined,
  };
}
