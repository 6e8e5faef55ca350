import { type HttpExchange, nodeRequest, nodeResponse } from '../../http/exchange.js';

interface Resource {
  readonly isMcp: boolean;
  readonly mcp: { namesPage(origin: string): boolean };
}

/** What a page needs of a refusal, and may not read without this (Fetch, CORS-safelisted response-header name). */
const READABLE = 'WWW-Authenticate, Mcp-Session-Id, DPoP-Nonce, Retry-After';

/**
 * Lets a page that may call read the answer, where nobody has said yet who may: what an application has for
 * CORS may stand behind its middleware, as plugins of Fastify do, and gets no request that was refused before.
 */
export function letPageRead(exchange: HttpExchange, resource: Resource): void {
  const origin = pageOf(exchange, resource);
  if (origin === undefined) return;
  const response = nodeResponse(exchange);
  response.setHeader('Access-Control-Allow-Origin', origin);
  response.setHeader('Access-Control-Expose-Headers', READABLE);
  response.appendHeader('Vary', 'Origin');
}

/**
 * Says to the browser of a page that may call what its request may be. Nothing else runs: a preflight request
 * has no credentials, so it is nobody's.
 *
 * @returns whether it was one; then the answer has its headers.
 */
export function grantsPreflight(exchange: HttpExchange, resource: Resource): boolean {
  const { method, headers } = nodeRequest(exchange);
  const asked = headers['access-control-request-method'];
  if (method !== 'OPTIONS' || asked === undefined) return false;
  const origin = pageOf(exchange, resource);
  if (origin === undefined) return false;
  const response = nodeResponse(exchange);
  const wanted = headers['access-control-request-headers'];
  response.setHeader('Access-Control-Allow-Origin', origin);
  response.setHeader('Access-Control-Allow-Methods', asked);
  if (wanted !== undefined) response.setHeader('Access-Control-Allow-Headers', wanted);
  response.appendHeader('Vary', 'Origin, Access-Control-Request-Headers');
  return true;
}

/** Of a page that `mcp.allowedOrigins` names; `undefined` also where CORS has been seen to. */
function pageOf(exchange: HttpExchange, { isMcp, mcp }: Resource): string | undefined {
  const { origin } = nodeRequest(exchange).headers;
  const isSeenTo = nodeResponse(exchange).hasHeader('Access-Control-Allow-Origin');
  return isMcp && !isSeenTo && origin !== undefined && mcp.namesPage(origin) ? origin : undefined;
}
