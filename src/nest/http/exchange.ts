import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';
import type { ArgumentsHost } from '@nestjs/common';
import { type FrameworkRequest, rawRequest } from './request.js';
import {
  changeResponseHead,
  type Head,
  type HeadChange,
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

/** Nest makes three functions for who asks it to switch; those who stand in for it may have nothing else. */
export function exchangeOf(
  host: Pick<ArgumentsHost, 'switchToHttp'> & Partial<Pick<ArgumentsHost, 'getArgs'>>,
): HttpExchange {
  const args: unknown = host.getArgs?.();
  if (Array.isArray(args) && args.length > 1) {
    return { request: args[0] as FrameworkRequest, reply: args[1] as FrameworkReply };
  }
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

/** A header for an answer, as far as whoever gives it says nothing else. */
interface Offered {
  readonly written: string;
  /** In the form of frameworks. */
  readonly name: string;
  readonly value: string;
  /** What stood on the framework's reply, or on Node's response. */
  readonly before: OutgoingHttpHeader | undefined;
  /** The same of Node's response alone. */
  readonly rawBefore: OutgoingHttpHeader | undefined;
}

const always = () => true;

/** Headers for whatever answer is given, unless whoever gives it says otherwise later. For many requests, once. */
export class OfferedHeaders {
  readonly #headers: readonly Offered[];
  readonly #isFor: (status: number) => boolean;

  private constructor(headers: readonly Offered[], isFor: (status: number) => boolean) {
    this.#headers = headers;
    this.#isFor = isFor;
  }

  /** @param isFor which answers by their status: all others go without. */
  static of(
    headers: Readonly<Record<string, string>>,
    isFor: (status: number) => boolean = always,
  ): OfferedHeaders {
    return new OfferedHeaders(listed(headers), isFor);
  }

  /**
   * On the reply of Fastify, because Node would set all others of it one by one beside a single one on its own
   * response; and on that where a handler takes it over, as MCP transports need it.
   */
  offer({ reply }: Pick<HttpExchange, 'reply'>): void {
    const raw = nodeResponse({ reply });
    const isSaid = this.#headers.some(({ name }) => reply.getHeader(name) !== undefined);
    if (isSaid) this.#instead(reply, raw);
    else this.#set(reply, raw);
  }

  /** The same where nobody has said any of it. */
  offerFirst({ reply }: Pick<HttpExchange, 'reply'>): void {
    this.#set(reply, nodeResponse({ reply }));
  }

  /** Of an answer that is given at once. */
  set({ reply }: Pick<HttpExchange, 'reply'>): void {
    for (const { written, name, value } of this.#headers) {
      if (reply.header === undefined || reply.raw === undefined) {
        nodeResponse({ reply }).setHeader(written, value);
      } else reply.header(name, value);
    }
  }

  /** What stood there comes back where these are taken back. */
  #instead(reply: FrameworkReply, raw: ServerResponse): void {
    const headers = this.#headers.map((one): Offered => {
      const { name } = one;
      return { ...one, before: reply.getHeader(name), rawBefore: raw.getHeader(name) };
    });
    new OfferedHeaders(headers, this.#isFor).#set(reply, raw);
  }

  #set(reply: FrameworkReply, raw: ServerResponse): void {
    this.set({ reply });
    if (raw !== reply) changeResponseHead(raw, this.#offerAgain);
    else if (this.#isFor !== always) changeResponseHead(raw, this.#takeBack);
  }

  readonly #takeBack: HeadChange = (head, raw) =>
    this.#isFor(head.status)
      ? head
      : this.#headers.reduce((sent, one) => takenBack(raw, sent, one), head);

  readonly #offerAgain: HeadChange = (head, raw) =>
    this.#isFor(head.status) ? withOffered(head, raw, this.#headers) : this.#takeBack(head, raw);
}

function listed(headers: Readonly<Record<string, string>>): readonly Offered[] {
  return Object.entries(headers).map(([written, value]) => ({
    ...{ written, name: written.toLowerCase(), value },
    before: undefined,
    rawBefore: undefined,
  }));
}

/** The same of one request. */
export function offerHeaders(
  exchange: Pick<HttpExchange, 'reply'>,
  headers: Readonly<Record<string, string>>,
  isFor: (status: number) => boolean = always,
): void {
  if (Object.keys(headers).length > 0) OfferedHeaders.of(headers, isFor).offer(exchange);
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
  if (given !== value) return head;
  const isOther = isSaidSince || isNamedTwice(head, name);
  return isOther ? withHeader(head, name, undefined) : head;
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
  if (!isSaid && varied === undefined) return KEPT_PRIVATE.offerFirst({ reply });
  const vary = varyingBy(varied);
  const headers = {
    ...(isSaid ? {} : { 'Cache-Control': 'private' }),
    ...(vary === undefined ? {} : { Vary: vary }),
  };
  offerHeaders({ reply }, headers);
}

/** What happens to nearly all requests. */
const KEPT_PRIVATE = OfferedHeaders.of({ 'Cache-Control': 'private', Vary: 'Authorization' });

/** With the one header that the answer depends on; `undefined` where that is said already. */
function varyingBy(varied: OutgoingHttpHeader | undefined): string | undefined {
  if (varied === undefined) return 'Authorization';
  const vary = [varied].flat().join(', ');
  const names = vary.split(',').map((name) => name.trim().toLowerCase());
  if (names.includes('*') || names.includes('authorization')) return undefined;
  return vary === '' ? 'Authorization' : `${vary}, Authorization`;
}
