import type { EventEmitter } from 'node:events';
import type { HttpServer } from '@nestjs/common';
import { putMember } from '../../core/lib/members.js';
import { fastifyOf } from './fastify-hooks.js';
import {
  type CallerHolder,
  type GuardedApplication,
  knownState,
  requests,
  type RequestState,
  requestState,
} from './request.js';

type Next = () => void;

/**
 * Everything behind it runs in the request: guards, interceptors, filters, handlers, and what they
 * start. In front of all routes, so call it before they are made. Where nobody asks for a caller, nothing
 * carries one.
 *
 * Fastify loses the asynchronous context while it reads a body; so there it begins after that, and goes on
 * with what had to wait for the body.
 */
export function enterRequests(adapter: HttpServer, application: GuardedApplication): void {
  const fastify = fastifyOf(adapter);
  if (fastify === undefined) {
    adapter.use?.((request: object, _reply: object, next: Next) => {
      if (application.carriesCallers) requests.run(stateIn(application, request), next);
      else next();
    });
    return;
  }
  fastify.addHook('preValidation', (request, reply, next) => {
    const known = knownState(request);
    if (known === undefined && !application.carriesCallers) return next();
    const state = stateIn(application, request);
    Object.assign(request, state.readBody);
    const goOn = () => {
      if (state.whenParsed === undefined) next();
      else state.whenParsed({ request, reply }, next);
    };
    if (application.carriesCallers) requests.run(state, goOn);
    else goOn();
  });
}

type Method = (this: unknown, ...args: unknown[]) => unknown;
type RouteHandler = (this: unknown, request: object, ...rest: unknown[]) => unknown;

/** Those of the adapters, by which Nest makes routes. */
const ROUTE_METHODS = [
  ...['get', 'post', 'put', 'patch', 'delete', 'head', 'options', 'all', 'search'],
  ...['propfind', 'proppatch', 'mkcol', 'copy', 'move', 'lock', 'unlock', 'query'],
];

/**
 * Each route that is made from now on runs in its request, even if what stands in front of it has gone on in
 * the asynchronous call of another one (a pool that calls back, for example).
 */
export function enterRoutes(adapter: HttpServer, application: GuardedApplication): void {
  const methods = adapter as unknown as Record<string, unknown>;
  for (const name of ROUTE_METHODS) {
    const method = methods[name];
    if (typeof method !== 'function') continue;
    putMember(methods, name, (...args: unknown[]): unknown =>
      Reflect.apply(method as Method, adapter, [
        ...args.slice(0, -1),
        entering(args.at(-1), application),
      ]),
    );
  }
}

/** Adapters read what Nest has noted on the handler; it is inherited. */
function entering(handler: unknown, application: GuardedApplication): unknown {
  if (typeof handler !== 'function') return handler;
  const route = handler as RouteHandler;
  const entered: RouteHandler = function (request, ...rest) {
    return application.carriesCallers
      ? requests.run(stateIn(application, request), () => route.call(this, request, ...rest))
      : route.call(this, request, ...rest);
  };
  Object.defineProperty(entered, 'name', { configurable: true, value: route.name });
  return Object.setPrototypeOf(entered, route) as unknown;
}

function stateIn(application: GuardedApplication, request: object): RequestState {
  const state = requestState(request);
  state.application ??= application;
  return state;
}

/** Listeners otherwise run in whatever makes the event: for `close` nothing that knows the request. */
export function runListenersIn(holder: CallerHolder, emitter: EventEmitter): void {
  const emit = emitter.emit.bind(emitter) as (...args: unknown[]) => boolean;
  putMember(emitter, 'emit', (...args: unknown[]) => requests.run(holder, () => emit(...args)));
}
