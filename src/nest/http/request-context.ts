import type { EventEmitter } from 'node:events';
import type { HttpServer } from '@nestjs/common';
import { putMember } from '../../core/lib/members.js';
import { addHookTo, fastifyOf, type Hook } from './fastify-hooks.js';
import {
  type CallerHolder,
  type GuardedApplication,
  knownState,
  requests,
  type RequestState,
  requestState,
} from './request.js';

type Next = () => void;

/** Platforms whose requests are entered. */
const entered = new WeakSet<object>();

/** Whether on this platform what had to wait for the body of a request goes on when it has been read. */
export function goesOnWithBody(adapter: HttpServer): boolean {
  return entered.has(adapter);
}

/**
 * Everything behind it runs in the request: guards, interceptors, filters, handlers, and what they
 * start. Routes enter it themselves; this is for what stands in front of them, so call it before they are made.
 *
 * Fastify loses the asynchronous context while it reads a body; so there it begins after that, and goes on
 * with what had to wait for the body. Once it listens, nothing can be put in front of its routes any more.
 */
export function enterRequests(adapter: HttpServer, application: GuardedApplication): void {
  if (entered.has(adapter)) return;
  const fastify = fastifyOf(adapter);
  if (fastify === undefined) {
    adapter.use?.((request: object, _reply: object, next: Next) => {
      if (application.carriesCallers) requests.run(stateIn(application, request), next);
      else next();
    });
  } else if (!addHookTo(fastify, 'preValidation', enteringHook(application))) return;
  entered.add(adapter);
}

function enteringHook(application: GuardedApplication): Hook {
  return (request, reply, next) => {
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
  };
}

type Method = (this: unknown, ...args: unknown[]) => unknown;
type RouteHandler = (this: unknown, request: object, reply: unknown, next: unknown) => unknown;

/** Those of the adapters, by which Nest makes routes. */
const ROUTE_METHODS = [
  ...['get', 'post', 'put', 'patch', 'delete', 'head', 'options', 'all', 'search'],
  ...['propfind', 'proppatch', 'mkcol', 'copy', 'move', 'lock', 'unlock', 'query'],
];

/**
 * Each route that is made from now on runs in its request, even if what stands in front of it has gone on in
 * the asynchronous call of another one (a pool that calls back, for example).
 *
 * @param isLeft whether the route stays as it is: nothing that it runs asks for a caller.
 */
export function enterRoutes(
  adapter: HttpServer,
  application: GuardedApplication,
  isLeft: (route: object) => boolean,
): void {
  const methods = adapter as unknown as Record<string, unknown>;
  for (const name of ROUTE_METHODS) {
    const method = methods[name];
    if (typeof method !== 'function') continue;
    putMember(methods, name, (...args: unknown[]): unknown =>
      Reflect.apply(method as Method, adapter, [
        ...args.slice(0, -1),
        entering(args.at(-1), application, isLeft),
      ]),
    );
  }
}

/** Those by which applications add middleware, and by which Nest adds that of modules. */
const MIDDLEWARE_METHODS = ['use', 'createMiddlewareFactory'];

/** Calls `first` in front of the next middleware that is added, and never if there is none. */
export function beforeMiddleware(adapter: HttpServer, first: () => void): void {
  const methods = adapter as unknown as Record<string, unknown>;
  let isDone = false;
  for (const name of MIDDLEWARE_METHODS) {
    const method = methods[name];
    if (typeof method !== 'function') continue;
    putMember(methods, name, (...args: unknown[]): unknown => {
      if (!isDone) {
        isDone = true;
        first();
      }
      return Reflect.apply(method as Method, adapter, args);
    });
  }
}

/** Adapters read what Nest has noted on the handler; it is inherited. */
function entering(
  handler: unknown,
  application: GuardedApplication,
  isLeft: (route: object) => boolean,
): unknown {
  if (typeof handler !== 'function' || isLeft(handler)) return handler;
  const route = handler as RouteHandler;
  const enteredRoute: RouteHandler = function (request, reply, next) {
    return application.carriesCallers
      ? requests.run(stateIn(application, request), () => route.call(this, request, reply, next))
      : route.call(this, request, reply, next);
  };
  Object.defineProperty(enteredRoute, 'name', { configurable: true, value: route.name });
  return Object.setPrototypeOf(enteredRoute, route) as unknown;
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
