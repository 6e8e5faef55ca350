import type { IncomingMessage } from 'node:http';
import { dropHeader } from '../http/request.js';

/**
 * Lets clients end their session on Fastify. Those in Python send its DELETE with a JSON content type
 * and no body, and Fastify answers 400 before any guard: the session would stay for good. Express parses no
 * body where there is none.
 */
export function acceptSessionEnd(request: IncomingMessage): void {
  if (endsSession(request) && !hasBody(request)) dropHeader(request, 'content-type');
}

/** MCP, Streamable HTTP, "Session Management". Node puts headers together when they are asked for, so method first. */
function endsSession(request: IncomingMessage): boolean {
  return request.method === 'DELETE' && request.headers['mcp-session-id'] !== undefined;
}

/** RFC 9112 §6: one of the two says that there is a body. */
function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = headers;
  return coding !== undefined || length !== '0';
}
