import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConfigurationError } from '../core/errors/configuration-error.js';
import { InvalidRequestError } from '../core/errors/request-errors.js';
import { requestIdIn } from '../core/mcp/json-rpc.js';
import { hasUnreadBody, isParsed } from '../nest/mcp/body.js';
import { nodeRequest, nodeResponse } from '../nest/http/exchange.js';
import { isEventStream, onResponseHead } from '../nest/http/response-head.js';
import { type FrameworkRequest, requestState } from '../nest/http/request.js';
import { runningEvents } from '../nest/log/event-log.js';

/** Fastify wraps Node's request, Express extends it. */
export interface PlatformRequest {
  /** Node's request, on Fastify. */
  readonly raw?: IncomingMessage;
  /** The parsed body. */
  readonly body?: unknown;
}

/** Fastify wraps Node's response, Express extends it. */
export interface PlatformReply {
  /** Node's response, on Fastify. */
  readonly raw?: ServerResponse;
  /** Fastify: the response is taken over. */
  hijack?(): unknown;
  /** Headers that were set before. */
  getHeaders?(): Readonly<Record<string, number | string | readonly string[] | undefined>>;
}

/** Hands one HTTP request to a transport or handler of the MCP SDK, with the body that was parsed. */
export type McpServe = (
  request: IncomingMessage,
  response: ServerResponse,
  body: unknown,
) => Promise<unknown>;

/**
 * Gives a request of a Nest controller to an MCP server that writes the response itself, on Express
 * and on Fastify. `prepare` does everything that may fail; only when it has succeeded the response is
 * taken from the framework, because afterwards no filter can answer any more. Headers that were set
 * before go along. What fails later is answered as a JSON-RPC error. The head of an event stream is sent
 * at once, and not with its first event.
 *
 * `signal` is aborted when the client goes away before it has the whole answer: hand it to what `prepare`
 * starts. A failure after that is no error of the server, and is logged at `debug`.
 *
 * ```ts
 * await serveMcp(request, reply, async () => {
 *   const transport = new StreamableHTTPServerTransport({});
 *   await createServer().connect(transport);
 *   return (...http) => transport.handleRequest(...http);
 * });
 * ```
 *
 * @throws whatever `prepare` throws, for the application's filters; and what the guard throws, when it judges
 * the request once more by what a `scoped` server has registered in `prepare`.
 * @throws ConfigurationError where the resource of the handler has `mcp: false`.
 * @throws InvalidRequestError for a request that `AuthplaneGuard` has let in with another body than the
 * one it has now, and for a body that nobody has parsed: what runs is what was judged.
 */
export async function serveMcp(
  request: PlatformRequest,
  reply: PlatformReply,
  prepare: (signal: AbortSignal) => McpServe | Promise<McpServe>,
): Promise<void> {
  requireJudgedBody(request);
  const raw = nodeResponse({ reply });
  const signal = abortedWithoutAnswer(raw);
  const serve = await prepare(signal);
  const exchange = { request: request as FrameworkRequest, reply };
  await requestState(request).judgeAgain?.(exchange); // `prepare` may have registered operations with `scoped`
  takeOver(raw, reply);
  sendHeadOfStreams(raw);
  try {
    await serve(nodeRequest({ request }), raw, request.body);
  } catch (error) {
    const isClientGone = signal.aborted;
    const events = requestState(request).application?.events ?? runningEvents();
    events.emit({ type: 'server_failed', fault: error, isClientGone });
    if (!isClientGone) answerFailure(raw, request.body);
  }
}

/** Without a guard, or on a `@Public()` handler, nothing was judged, and nothing is asked. */
function requireJudgedBody(request: PlatformRequest): void {
  const { judgedBody, isMcp } = requestState(request);
  if (judgedBody === undefined) return;
  if (isMcp === false) {
    throw new ConfigurationError(
      'serveMcp: the resource of this handler has mcp: false, so that nobody has judged the message',
    );
  }
  if (judgedBody.body !== request.body) {
    throw new InvalidRequestError(
      'the body was replaced after AuthplaneGuard had judged it, by an interceptor for example: change ' +
        'it in a middleware, which runs before guards',
    );
  }
  const raw = nodeRequest({ request });
  if (!isParsed(request.body, raw) && hasUnreadBody(raw)) {
    throw new InvalidRequestError(
      'no parsed body for the MCP server: it would read what nobody judged',
    );
  }
}

/** The response closes in any case; without an answer when that was not sent to its end. */
function abortedWithoutAnswer(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const onClose = () => {
    if (!response.writableFinished) controller.abort();
  };
  if (response.destroyed) onClose();
  else response.once('close', onClose);
  return controller.signal;
}

function takeOver(raw: ServerResponse, reply: PlatformReply): void {
  if (reply.hijack === undefined) return;
  for (const [name, value] of Object.entries(reply.getHeaders?.() ?? {})) {
    if (value !== undefined) raw.setHeader(name, value);
  }
  reply.hijack();
}

/** Some clients hold back all other requests until they have seen it. */
function sendHeadOfStreams(response: ServerResponse): void {
  onResponseHead(response, 'content-type', (_, type = '') => {
    if (isEventStream(type)) queueMicrotask(() => flushHead(response));
  });
}

function flushHead(response: ServerResponse): void {
  if (!response.destroyed && !response.writableEnded) response.flushHeaders();
}

/** The error of JSON-RPC 2.0 §5.1; a stream that has begun can only be ended. */
function answerFailure(response: ServerResponse, body: unknown): void {
  if (response.headersSent) {
    response.end();
    return;
  }
  const error = { code: -32603, message: 'Internal error' };
  response
    .writeHead(500, { 'Content-Type': 'application/json' })
    .end(JSON.stringify({ jsonrpc: '2.0', error, id: requestIdIn(body) ?? null }));
}
