import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { InsufficientScopeError } from '../../core/errors/token-errors.js';
import type { Asking } from '../upstream/modern-rpc.js';
import { isRpcError } from '../upstream/modern-rpc.js';
import type { Route } from '../listing/routing-table.js';
import type { Upstream, UpstreamReply } from '../upstream/upstream.js';
import { mappedScopes } from '../upstream/scope-map.js';
import { sentenceFor } from '../wire/gateway-answer.js';
import { RpcError, UpstreamError } from '../wire/gateway-errors.js';
import { INTERNAL_ERROR, INVALID_PARAMS, type RequestId } from '../wire/json-rpc-answer.js';
import type { ModernRequest } from '../wire/modern-request.js';
import { readText } from '../wire/read-message.js';
import { holdsToken, outgoingRequest } from '../wire/upstream-request.js';

/** A request of 2026-07-28 on its way to an upstream that speaks the same. */
export interface Passing {
  readonly route: Route;
  readonly request: ModernRequest;
  /** `params` as the upstream is to get them: with its own names. */
  readonly params: Readonly<Record<string, unknown>>;
  /** For `Mcp-Name`, if the method has one. */
  readonly name: string | undefined;
  /** Of the inbound request, those that go along. */
  readonly headers: Readonly<Record<string, string>>;
  readonly asking: Omit<Asking, 'timeoutMs'>;
}

/** Sends the answer on. */
export type Pass = (response: ServerResponse) => Promise<void>;

const MAX_REFUSAL_BYTES = 1_048_576;

/**
 * Forwards one request and reads the status of its answer. Nothing has been sent to the client then, so
 * that every refusal can still be a real one. The body is passed on unread, byte for byte.
 *
 * @throws UpstreamError, RpcError
 * @throws InsufficientScopeError when the upstream lacks a scope that one of the gateway stands for
 * @throws what the token strategy throws
 */
export async function passThrough(passing: Passing): Promise<Pass> {
  const { route, request, params, name, headers, asking } = passing;
  const { upstream, item } = route;
  const { id, method } = request;
  const outgoing = outgoingRequest({ id, method, params, name }, headers);
  if (holdsToken(outgoing, asking.caller.token)) throw tokenInRequest();
  const { token = upstream.options.token, timeoutMs = upstream.options.timeoutMs } = item.verdict;
  const reply = await upstream.call({
    ...asking,
    ...outgoing,
    method: 'POST',
    strategy: token,
    operation: { method, name: item.own },
    timeoutMs,
  });
  if (reply.status !== 200) return refused(passing, reply);
  return (response) => pipe(upstream, reply, id, response);
}

async function refused(passing: Passing, reply: UpstreamReply): Promise<Pass> {
  const { route, asking } = passing;
  const { upstream, item } = route;
  const { status, body } = reply;
  if (status === 403) {
    const challenge = body.headers['www-authenticate'];
    const strategy = item.verdict.token ?? upstream.options.token;
    const scopes = mappedScopes(challenge, { upstream, strategy, caller: asking.caller });
    if (scopes !== undefined) {
      body.destroy();
      if (scopes.length > 0) throw new InsufficientScopeError(scopes);
      throw upstream.error('upstream_refused', 'it answers insufficient_scope', REFUSED);
    }
  }
  const text = await readText(body, MAX_REFUSAL_BYTES).catch(() => '');
  if (status >= 400 && isRpcError(parsed(text))) {
    return async (response) => {
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(text);
    };
  }
  throw upstream.error('upstream_failed', `it answers ${status} without a JSON-RPC message`, {
    status,
  });
}

const REFUSED = { maybeExecuted: false } as const;

/** With back-pressure from end to end. */
async function pipe(
  upstream: Upstream,
  { body, isEvents }: UpstreamReply,
  id: RequestId,
  response: ServerResponse,
): Promise<void> {
  response.writeHead(200, {
    'Content-Type': isEvents ? 'text/event-stream' : 'application/json',
    ...(isEvents ? { 'X-Accel-Buffering': 'no' } : {}),
  });
  try {
    await pipeline(body, response, { end: false });
    response.end();
  } catch (error) {
    if (response.destroyed) throw error;
    upstream.lastError = 'upstream_failed';
    if (isEvents) response.end(`\n\ndata: ${JSON.stringify(brokenOff(upstream, id, error))}\n\n`);
    else response.destroy();
  }
}

/** The last event of a stream that can go on no more. */
function brokenOff(upstream: Upstream, id: RequestId, thrown: unknown): object {
  const reason = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
  const error =
    reason instanceof UpstreamError
      ? reason
      : upstream.error('upstream_failed', 'its answer broke off', {});
  const data = { upstream: upstream.name };
  return {
    jsonrpc: '2.0',
    id,
    error: { code: INTERNAL_ERROR, message: sentenceFor(error), data },
  };
}

function tokenInRequest(): RpcError {
  return new RpcError(200, {
    code: INVALID_PARAMS,
    message:
      'Invalid params: they hold the access token of this request, which must not be passed on',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
