import type { IncomingMessage } from 'node:http';
import type { HttpServer } from '@nestjs/common';

/** What is used of Fastify's requests. */
interface FastifyRequest {
  readonly raw: IncomingMessage;
  readonly url: string;
  readonly is404: boolean;
}

type Hook = (request: FastifyRequest, reply: object, done: () => void) => void;

/** What is used of a Fastify instance. */
interface Hooked {
  addHook(name: 'onRequest' | 'preValidation', hook: Hook): unknown;
}

/** The Fastify instance behind the adapter; `undefined` on any other platform. */
export function fastifyOf(adapter: HttpServer): Hooked | undefined {
  return adapter.getType() === 'fastify' ? (adapter.getInstance() as Hooked) : undefined;
}
