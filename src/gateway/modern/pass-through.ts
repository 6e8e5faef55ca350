import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { member } from '../../core/lib/members.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { Route } from '../listing/routing-table.js';
import { MessageStream } from '../legacy/message-stream.js';
import { type Message, messagesOf, responseOf } from '../upstream/reply-messages.js';
import { callTerms } from '../upstream/call-terms.js';
import type { Upstream, UpstreamReply } from '../upstream/upstream.js';
import { refusal } from '../upstream/upstream-refusal.js';
import { sentenceFor } from '../wire/gateway-answer.js';
import { UpstreamError } from '../wire/gateway-errors.js';
import { INTERNAL_ERROR, type RequestId } from '../wire/json-rpc-answer.js';
import type { ModernRequest } from '../wire/modern-request.js';
import { outgoingRequest } from '../wire/upstream-request.js';

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
  /** For an answer that cannot be passed on as it is; given, it is read message by message. */
  readonly rewrite?: ((message: Message) => Message) | undefined;
}

/** Sends the answer on. */
export type Pass = (response: ServerResponse) => Promise<void>;

/**
 * Forwards one request and reads the status of its answer. Nothing has been sent to the client then, so
 * that every refusal can still be a real one. The body is passed on unread, byte for byte.
 *
 * @throws UpstreamError, RpcError
 * @throws InsufficientScopeError when the upstream lacks a scope that one of the gateway stands for
 * @throws what the token strategy throws
 */
export async function passThrough(passing: Passing): Promise<Pass> {
  const { route, request, params, name, headers, asking, rewrite } = passing;
  const { upstream, item } = route;
  const { id, method } = request;
  const outgoing = outgoingRequest({ id, method, params, name }, headers);
  const reply = await upstream.call({
    ...asking,
    ...outgoing,
    ...callTerms(route),
    method: 'POST',
    operation: { method, name: item.own },
  });
  if (reply.status !== 200) throw await refusal(route, reply, asking.caller);
  return rewrite === undefined
    ? (response) => pipe(upstream, reply, id, response)
    : (response) => send(upstream, reply, id, response, rewrite);
}

async function send(
  upstream: Upstream,
  reply: UpstreamReply,
  id: RequestId,
  response: ServerResponse,
  rewrite: (message: Message) => Message,
): Promise<void> {
  const stream = new MessageStream(response);
  for await (const message of messagesOf(upstream, reply)) {
    if (Object.hasOwn(message, 'method')) await stream.send(rewrite(message));
    else if (member(message, 'id') === id) {
      return stream.end(rewrite(responseOf(upstream, message)));
    }
  }
  throw upstream.error('upstream_failed', 'its answer ended without a result', {});
}

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
  if (!isEvents) corkForNow(response);
  try {
    await poured(body, response);
    response.end();
  } catch (error) {
    if (response.destroyed) throw error;
    upstream.lastError = 'upstream_failed';
    if (isEvents) response.end(`\n\ndata: ${JSON.stringify(brokenOff(upstream, id, error))}\n\n`);
    else response.destroy();
  }
}

/** A short answer then leaves in one piece with its head and its end. */
function corkForNow(response: ServerResponse): void {
  response.cork();
  setImmediate(() => {
    if (!response.writableEnded) response.uncork();
  });
}

/** As `pipeline` does it, which makes, and aborts, an AbortController for each: a tenth of all that a call costs. */
function poured(body: Readable, response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClientGone = () => body.destroy();
    if (response.destroyed) onClientGone();
    response.once('close', onClientGone);
    response.once('error', reject);
    body.once('end', resolve);
    body.once('error', reject);
    body.once('close', () => {
      response.off('close', onClientGone);
      reject(new Error('closed before its end')); // nothing, where it has ended
    });
    body.pipe(response, { end: false });
  });
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
