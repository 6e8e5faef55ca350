import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ArgumentsHost } from '@nestjs/common';
import { type FrameworkRequest, rawRequest } from './request.js';

/** Express hands out Node's own response, Fastify keeps headers of its own until it sends them. */
interface FrameworkReply {
  readonly raw?: ServerResponse;
  getHeader(name: string): number | string | string[] | undefined;
  header?(name: string, value: string): unknown;
}

/** One request and the place for its answer, as the platform hands them out. */
export interface HttpExchange {
  readonly request: FrameworkRequest;
  readonly reply: FrameworkReply;
}

export function exchangeOf(host: Pick<ArgumentsHost, 'switchToHttp'>): HttpExchange {
  const http = host.switchToHttp();
  return {
    request: http.getRequest<FrameworkRequest>(),
    reply: http.getResponse<FrameworkReply>(),
  };
}

/** Fastify wraps Node's request, Express extends it. */
export function nodeRequest({ request }: Pick<HttpExchange, 'request'>): IncomingMessage {
  return rawRequest(request) as IncomingMessage; // of an HTTP exchange: the platform's request
}

/** The same of the response. */
export function nodeResponse({
  reply,
}: {
  readonly reply: { readonly raw?: ServerResponse };
}): ServerResponse {
  return reply.raw ?? (reply as unknown as ServerResponse); // Express: Node's own
}

/**
 * Headers for whatever the handler answers. On Node's own response, because a handler that takes the
 * response over (Fastify's `hijack`, as MCP transports need it) loses those of the framework.
 */
export function sendAlong(
  exchange: Pick<HttpExchange, 'reply'>,
  headers: Readonly<Record<string, string>>,
): void {
  const names = Object.keys(headers);
  if (names.length === 0) return;
  const raw = nodeResponse(exchange);
  for (const name of names) raw.setHeader(name, headers[name] ?? '');
}

/**
 * Keeps caches from giving the answer for one caller to another (RFC 9111 §4.1, §5.2.2.7), where the
 * application has not said otherwise. What a handler sets later wins.
 */
export function keepPrivate(exchange: Pick<HttpExchange, 'reply'>): void {
  const { reply } = exchange; // says what stands on either response
  const raw = nodeResponse(exchange);
  if (reply.getHeader('cache-control') === undefined) raw.setHeader('Cache-Control', 'private');
  const varied = reply.getHeader('vary');
  if (varied === undefined) {
    raw.setHeader('Vary', 'Authorization');
    return;
  }
  const vary = [varied].flat().join(', ');
  const varies = vary.split(',').map((name) => name.trim().toLowerCase());
  if (varies.includes('*') || varies.includes('authorization')) return;
  const names = vary === '' ? 'Authorization' : `${vary}, Authorization`;
  raw.setHeader('Vary', names);
  if (reply.getHeader('vary') !== undefined) reply.header?.('Vary', names);
}
