import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';
import type { ArgumentsHost } from '@nestjs/common';
import { type FrameworkRequest, rawRequest } from './request.js';
import {
  changeResponseHead,
  type Head,
  headerIn,
  isNamedTwice,
  withHeader,
} from './response-head.js';

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

/** Headers for an answer, as far as whoever gives it says nothing else. */
interface Offered {
  readonly name: string;
  readonly value: string;
  /** What stood on the framework's reply, or on Node's response. */
  readonly before: OutgoingHttpHeader | undefined;
  /** The same of Node's response alone. */
  readonly rawBefore: OutgoingHttpHeader | undefined;
}

const always = () => true;

/**
 * Headers for whatever answer is given, unless whoever gives it says otherwise later.
 *
 * On the reply of Fastify, because Node would set all others of it one by one beside a single one on its own
 * response; and on that where a handler takes it over, as MCP transports need it.
 *
 * @param isFor which answers by their status: all others go without.
 */
export function offerHeaders(
  { reply }: Pick<HttpExchange, 'reply'>,
  headers: Readonly<Record<string, string>>,
  isFor: (status: number) => boolean = always,
): void {
  const names = Object.keys(headers);
  if (names.length === 0) return;
  const raw = nodeResponse({ reply });
  const offered = names.map((written): Offered => {
    const [name, value] = [written.toLowerCase(), headers[written] ?? ''];
    const [before, rawBefore] = [reply.getHeader(name), raw.getHeader(name)];
    if (raw === reply) raw.setHeader(written, value);
    else reply.header?.(name, value);
    return { name, value, before, rawBefore };
  });
  if (raw === reply && isFor === always) return;
  changeResponseHead(raw, (head) => {
    if (!isFor(head.status)) return offered.reduce((sent, one) => takenBack(raw, sent, one), head);
    return raw === reply ? head : withOffered(head, raw, offered);
  });
}

function withOffered(head: Head, raw: ServerResponse, offered: readonly Offered[]): Head {
  let sent = head;
  for (const one of offered) sent = offeredAgain(raw, sent, one);
  return sent;
}

/** Where a handler gives its answer, or says something of it, on Node's response. */
function offeredAgain(raw: ServerResponse, head: Head, { name, value, rawBefore }: Offered): Head {
  const given = headerIn(head, name);
  const isSaidSince = raw.getHeader(name) !== rawBefore;
  if (given === undefined && !isSaidSince) raw.setHeader(name, value);
  const isOther = isSaidSince || isNamedTwice(head, name);
  return given === value && isOther ? withHeader(head, name, undefined) : head;
}

function takenBack(
  raw: ServerResponse,
  head: Head,
  { name, value, before, rawBefore }: Offered,
): Head {
  if (raw.getHeader(name) === value) {
    if (rawBefore === undefined) raw.removeHeader(name);
    else raw.setHeader(name, rawBefore);
  }
  return headerIn(head, name) === value ? withHeader(head, name, before) : head;
}

/**
 * Keeps caches from giving the answer for one caller to another (RFC 9111 §4.1, §5.2.2.7), where the
 * application has not said otherwise. What a handler sets later wins.
 */
export function keepPrivate({ reply }: Pick<HttpExchange, 'reply'>): void {
  const isSaid = reply.getHeader('cache-control') !== undefined;
  const varied = reply.getHeader('vary');
  if (!isSaid && varied === undefined) return offerPrivate(reply);
  const vary = varyingBy(varied);
  const headers = {
    ...(isSaid ? {} : { 'Cache-Control': 'private' }),
    ...(vary === undefined ? {} : { Vary: vary }),
  };
  offerHeaders({ reply }, headers);
}

const KEPT_PRIVATE: readonly Offered[] = [
  { name: 'cache-control', value: 'private', before: undefined, rawBefore: undefined },
  { name: 'vary', value: 'Authorization', before: undefined, rawBefore: undefined },
];
const privately = (head: Head, raw: ServerResponse) => withOffered(head, raw, KEPT_PRIVATE);

/** As {@link offerHeaders}; of what happens to nearly all requests nothing is made anew. */
function offerPrivate(reply: FrameworkReply): void {
  if (reply.raw === undefined || reply.header === undefined) {
    return offerHeaders({ reply }, { 'Cache-Control': 'private', Vary: 'Authorization' });
  }
  for (const { name, value } of KEPT_PRIVATE) reply.header(name, value);
  changeResponseHead(reply.raw, privately);
}

/** With the one header that the answer depends on; `undefined` where that is said already. */
function varyingBy(varied: OutgoingHttpHeader | undefined): string | undefined {
  if (varied === undefined) return 'Authorization';
  const vary = [varied].flat().join(', ');
  const names = vary.split(',').map((name) => name.trim().toLowerCase());
  if (names.includes('*') || names.includes('authorization')) return undefined;
  return vary === '' ? 'Authorization' : `${vary}, Authorization`;
}
