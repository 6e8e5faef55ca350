import type { HttpServer } from '@nestjs/common';
import { putMember } from '../../core/lib/members.js';
import { ROOT_METADATA_PATH } from '../../core/resource-metadata.js';
import {
  type Fastify,
  fastifyOf,
  type FastifyRoute,
  type Hook,
  type UnservedOptions,
} from '../http/fastify-hooks.js';

/** Of `@fastify/middie`, which adapters register: it runs middleware, and is nothing without any. */
const RUNS_MIDDLEWARE = 'runMiddie';
const NO_ROUTES = '(empty tree)';
const ROOT = segmentsOf(ROOT_METADATA_PATH);

type Method = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Puts a hook in front of whatever may take a request for a document, or one that ends a session, and in front
 * of what answers requests that no route takes. All other routes stay as they are: a hook of the whole
 * instance would run for each of their requests.
 *
 * There is one all the same where others have one, since those run first, and where there are routes already.
 */
export function standOnFastify(adapter: HttpServer, hook: Hook): void {
  const fastify = fastifyOf(adapter);
  if (fastify === undefined) return;
  if (fastify.printRoutes().includes(NO_ROUTES)) {
    beforeHooks(adapter, fastify, hook);
    fastify.addHook('onRoute', (route) => {
      if (mayServeDocument(route.url) || endsSessions(route)) route.onRequest = first(hook, route);
    });
    onUnserved(fastify, hook);
  } else {
    fastify.addHook('onRequest', hook);
  }
}

/** Whether a route of that URL may take requests for documents. A pattern that is hard to read may. */
export function mayServeDocument(url: string): boolean {
  if (url.includes('(')) return true;
  const segments = segmentsOf(url);
  const rest = segments.findIndex((segment) => segment.includes('*'));
  const fixed = rest < 0 ? segments : segments.slice(0, rest);
  const isAlike = fixed
    .slice(0, ROOT.length)
    .every((segment, at) => segment.includes(':') || segment === ROOT[at]);
  return isAlike && (rest >= 0 || segments.length >= ROOT.length);
}

/** Routers differ in whether they take case and extra slashes seriously. */
function segmentsOf(path: string): string[] {
  return path.toLowerCase().split('/').filter(Boolean);
}

function endsSessions({ method }: FastifyRoute): boolean {
  return [method].flat().includes('DELETE');
}

function first(hook: Hook, { onRequest = [] }: UnservedOptions): readonly Hook[] {
  return [hook, ...[onRequest].flat()];
}

/** Hooks run in the order in which they were added, those of an instance in front of those of its routes. */
function beforeHooks(adapter: HttpServer, fastify: Fastify, hook: Hook): void {
  const { addHook } = fastify as unknown as { readonly addHook: Method };
  const stood = new WeakSet<object>();
  const stand = (instance: object): void => {
    if (stood.has(instance)) return;
    stood.add(instance);
    Reflect.apply(addHook, instance, ['onRequest', hook]);
  };
  const watched: Method = function (this: unknown, ...args) {
    if (args[0] === 'onRequest' && !runsMiddleware(args[1])) stand(this as object);
    return Reflect.apply(addHook, this, args);
  };
  putMember(fastify, 'addHook', watched as Fastify['addHook']);
  beforeWaitingMiddleware(adapter, fastify, () => stand(fastify));
}

function runsMiddleware(hook: unknown): boolean {
  return typeof hook === 'function' && hook.name === RUNS_MIDDLEWARE;
}

/** Adapters of Nest 10 and 11 keep middleware until what runs it is there, which then comes behind this. */
function beforeWaitingMiddleware(adapter: HttpServer, fastify: Fastify, stand: () => void): void {
  const methods = adapter as unknown as { use?: Method };
  const { use } = methods;
  if (use === undefined) return;
  putMember(methods, 'use', (...args: unknown[]): unknown => {
    if (!fastify.hasDecorator('use')) stand();
    return Reflect.apply(use, adapter, args);
  });
}

/** As Fastify is called: with options, a handler, both or none. */
function onUnserved(fastify: Fastify, hook: Hook): void {
  const { setNotFoundHandler } = fastify as unknown as { readonly setNotFoundHandler: Method };
  const watched: Method = function (this: unknown, ...args) {
    const given = args.find((one) => typeof one === 'object' && one !== null) ?? {};
    const handler = args.find((one) => typeof one === 'function');
    const options = { ...given, onRequest: first(hook, given) };
    return Reflect.apply(setNotFoundHandler, this, [options, handler]);
  };
  putMember(fastify, 'setNotFoundHandler', watched as Fastify['setNotFoundHandler']);
}
