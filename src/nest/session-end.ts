import type { IncomingMessage } from 'node:http';
import type { HttpServer } from '@nestjs/common';

/** What is used of a Fastify instance. */
interface Hooked {
  addHook(
    name: 'onRequest',
    hook: (request: { readonly raw: IncomingMessage }, reply: object, done: () => void) => void,
  ): unknown;
}

/**
 * Lets clients end their session on Fastify. Those in Python send its DELETE with a JSON content type
 * and no body, and Fastify answers 400 before any guard: the session would stay for good.
 *
 * In front of all routes, so call it before they are made.
 */
export function acceptSessionEnds(adapter: HttpServer): void {
  if (adapter.getType() !== 'fastify') return; // Express parses no body where there is none
  (adapter.getInstance() as Hooked).addHook('onRequest', ({ raw }, _reply, done) => {
    if (endsSession(raw) && !hasBody(raw)) removeContentType(raw);
    done();
  });
}

/** MCP, Streamable HTTP, "Session Management". */
function endsSession({ method, headers }: IncomingMessage): boolean {
  return method === 'DELETE' && headers['mcp-session-id'] !== undefined;
}

/** RFC 9112 §6: one of the two says that there is a body. */
function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = headers;
  return coding !== undefined || length !== '0';
}

/** In both views, so that all who look see the same request. */
function removeContentType({ headers, rawHeaders }: IncomingMessage): void {
  delete headers['content-type'];
  for (let at = rawHeaders.length - 2; at >= 0; at -= 2) {
    if (rawHeaders[at]?.toLowerCase() === 'content-type') rawHeaders.splice(at, 2);
  }
}
