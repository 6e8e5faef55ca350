import type { IncomingMessage, ServerResponse } from 'node:http';
import { requestState } from '../nest/request.js';
import { PackageLogger } from '../nest/package-logger.js';

/** Fastify wraps Node's request, Express extends it. */
export interface PlatformRequest {
  readonly raw?: IncomingMessage;
  readonly body?: unknown;
}

/** Fastify wraps Node's response, Express extends it. */
export interface PlatformReply {
  readonly raw?: ServerResponse;
  hijack?(): unknown;
  getHeaders?(): Readonly<Record<string, number | string | readonly string[] | undefined>>;
}

/** Hands one HTTP request to a transport or handler of the MCP SDK, with the body that was parsed. */
export type McpServe = (
  request: IncomingMessage,
  response: ServerResponse,
  body: unknown,
) => Promise<unknown>;

const logger = new PackageLogger('AuthplaneMcp');

/**
 * Gives a request of a Nest controller to an MCP server that writes the response itself, on Express
 * and on Fastify. `prepare` does everything that may fail; only when it has succeeded the response is
 * taken from the framework, because afterwards no filter can answer any more. Headers that were set
 * before go along. What fails later is answered as a JSON-RPC error.
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
 */
export async function serveMcp(
  request: PlatformRequest,
  reply: PlatformReply,
  prepare: () => McpServe | Promise<McpServe>,
): Promise<void> {
  const serve = await prepare();
  requestState(request).judgeAgain?.(); // `prepare` may have registered operations with `scoped`
  const { raw: response, body } = takeOver(request, reply);
  try {
    await serve(rawRequest(request), response, body);
  } catch (error) {
    logger.error('an MCP request failed', error);
    answerFailure(response, body);
  }
}

function rawRequest(request: PlatformRequest): IncomingMessage {
  return request.raw ?? (request as IncomingMessage); // Express: Node's request itself
}

function takeOver(request: PlatformRequest, reply: PlatformReply) {
  const raw = reply.raw ?? (reply as ServerResponse); // Express: Node's response itself
  if (reply.hijack !== undefined) {
    for (const [name, value] of Object.entries(reply.getHeaders?.() ?? {})) {
      if (value !== undefined) raw.setHeader(name, value);
    }
    reply.hijack();
  }
  return { raw, body: request.body };
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
    .end(JSON.stringify({ jsonrpc: '2.0', error, id: requestId(body) }));
}

function requestId(body: unknown): string | number | null {
  const id: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'id') : null;
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}
