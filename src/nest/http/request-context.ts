import type { EventEmitter } from 'node:events';
import type { HttpServer } from '@nestjs/common';
import { fastifyOf } from './fastify-hooks.js';
import { type CallerHolder, type GuardedApplication, requests, requestState } from './request.js';

type Next = () => void;

/**
 * Everything behind it runs in the request: guards, interceptors, filters, handlers, and what they
 * start. In front of all routes, so call it before they are made.
 *
 * Fastify loses the asynchronous context while it reads a body; so there it begins after that, and goes on
 * with what had to wait for the body.
 */
export function enterRequests(adapter: HttpServer, application: GuardedApplication): void {
  const enter = (request: object, reply: object, next: Next): void => {
    const state = requestState(request);
    state.application ??= application;
    Object.assign(request, state.readBody);
    requests.run(state, () => {
      if (state.whenParsed === undefined) next();
      else state.whenParsed({ request, reply }, next);
    });
  };
  const fastify = fastifyOf(adapter);
  if (fastify === undefined) adapter.use?.(enter);
  else fastify.addHook('preValidation', enter);
}

/** Listeners otherwise run in whatever makes the event: for `close` nothing that knows the request. */
export function runListenersIn(holder: CallerHolder, emitter: EventEmitter): void {
  const emit = emitter.emit.bind(emitter) as (...args: unknown[]) => boolean;
  emitter.emit = (...args: unknown[]) => requests.run(holder, () => emit(...args));
}
