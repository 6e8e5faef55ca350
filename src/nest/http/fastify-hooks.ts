import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { HttpServer } from '@nestjs/common';

/** What is used of Fastify's requests. */
interface FastifyRequest {
  readonly raw: IncomingMessage;
  readonly url: string;
  readonly is404: boolean;
}

/** And of its replies, which keep headers of their own until they are sent. */
interface FastifyReply {
  readonly raw: ServerResponse;
  getHeaders(): OutgoingHttpHeaders;
  hijack(): unknown;
}

export type Hook = (
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
) => void;

/** And of a route that is being made. */
export interface FastifyRoute {
  readonly url: string;
  readonly method: string | readonly string[];
  onRequest?: Hook | readonly Hook[];
}

/** And of what serves requests that no route takes. */
export interface UnservedOptions {
  readonly onRequest?: Hook | readonly Hook[];
}

/** What is used of a Fastify instance. */
export interface Fastify {
  addHook(name: 'onRequest' | 'preValidation', hook: Hook): unknown;
  addHook(name: 'onRoute', hook: (route: FastifyRoute) => void): unknown;
  register(plugin: FastifyPlugin): unknown;
  setNotFoundHandler(options: UnservedOptions, handler: unknown): unknown;
  hasDecorator(name: string): boolean;
  printRoutes(): string;
}

export type FastifyPlugin = (
  instance: Pick<Fastify, 'addHook'>,
  options: unknown,
  done: () => void,
) => void;

/** The Fastify instance behind the adapter; `undefined` on any other platform. */
export function fastifyOf(adapter: HttpServer): Fastify | undefined {
  return adapter.getType() === 'fastify' ? (adapter.getInstance() as Fastify) : undefined;
}

/** @returns whether it could: an instance that listens takes no hooks any more. */
export function addHookTo(
  fastify: Fastify,
  name: 'onRequest' | 'preValidation',
  hook: Hook,
): boolean {
  try {
    fastify.addHook(name, hook);
    return true;
  } catch {
    return false;
  }
}

const replies = new WeakMap<object, FastifyReply>();
const watched = new WeakSet<object>();

/**
 * Keeps the replies that belong to Node's responses, which are all that a middleware is given. To be called
 * before the platform makes its middleware, and without effect once it listens.
 */
export function watchReplies(adapter: HttpServer): void {
  const fastify = fastifyOf(adapter);
  if (fastify === undefined || watched.has(fastify)) return;
  watched.add(fastify);
  addHookTo(fastify, 'onRequest', (_request, reply, done) => {
    replies.set(reply.raw, reply);
    done();
  });
}

/** What plugins such as `@fastify/cors` have set on the reply, for an answer that Node's response gives. */
export function carryHeaders(response: object): void {
  const reply = replies.get(response);
  if (reply === undefined) return;
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined && !reply.raw.hasHeader(name)) reply.raw.setHeader(name, value);
  }
}
