import { type HttpServer, Injectable } from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import { AuthplaneError } from '../core/errors/authplane-error.js';
import { addScopeNeeds, type ScopeNeeds } from '../core/lib/scopes.js';
import type { AuthplaneResource } from '../core/resource.js';
import { isGuardItself } from './authplane.guard.js';
import type { Route } from './boot/boot-routes.js';
import { isWithoutAuthorization, missingToken } from './callers/request-caller.js';
import { identify } from './decision.js';
import { type FastifyPlugin, fastifyOf } from './http/fastify-hooks.js';
import type { HttpExchange } from './http/exchange.js';
import { GUARDS, handlerPolicy } from './marks/handler-marks.js';
import { Refusals } from './refusals/refusals.js';
import { sentPath } from './resources/by-path.js';
import { type ProtectedResource, ProtectedResources } from './resources/protected-resources.js';

type Next = (error?: Error) => void;

/** An MCP endpoint all of whose routes are for callers with an access token. */
interface ClosedEndpoint {
  readonly protectedBy: ProtectedResource;
  /** What a challenge asks for, before anybody knows which message it is. */
  readonly needs: ScopeNeeds;
  readonly resource: AuthplaneResource;
}

/**
 * Refuses requests to MCP endpoints that carry no access token, or none that is good, before their body is
 * read. Whoever it lets through comes to the guard, which decides all the rest and verifies nothing twice.
 */
@Injectable()
export class EarlyRefusal {
  /** By their path as it is sent; any other spelling is for the guard. */
  readonly #endpoints = new Map<string, ClosedEndpoint>();

  constructor(
    private readonly resources: ProtectedResources,
    private readonly refusals: Refusals,
    private readonly adapterHost: HttpAdapterHost,
    private readonly config: ApplicationConfig,
  ) {}

  /** In front of all routes and body parsers, behind all that the application has put there before. */
  install(adapter: HttpServer): void {
    const refuse = (request: object, reply: object, next: Next): void =>
      this.#decide({ request, reply } as HttpExchange, next);
    const fastify = fastifyOf(adapter);
    if (fastify !== undefined) {
      void fastify.register(inPlace((instance) => instance.addHook('onRequest', refuse)));
      return;
    }
    adapter.use?.(refuse);
    moveBeforeParsers(adapter.getInstance() as ExpressApplication);
  }

  /** Of the routes that serve endpoints, when all are known. */
  begin(routes: readonly Route[]): void {
    if (!this.resources.isEnforced) return;
    for (const one of this.resources.endpoints) {
      const serving = routes.filter(({ resource, isEndpoint }) => resource === one && isEndpoint);
      if (!this.#isClosed(one, serving)) continue;
      const needs = serving.map(
        ({ controller, handler }) => handlerPolicy(controller, handler).needs,
      );
      const sum = Object.freeze(addScopeNeeds(one.baseNeeds, ...needs));
      const endpoint = { protectedBy: one, needs: sum, resource: one.resource };
      this.#endpoints.set(one.path, endpoint);
    }
  }

  /** Whether nothing but an access token for this very resource is ever good there. */
  #isClosed(one: ProtectedResource, serving: readonly Route[]): boolean {
    const { many, otherCredentials, mcp } = one;
    if (many !== undefined || otherCredentials !== undefined) return false;
    if (mcp.options.authentication === 'when-needed' || serving.length === 0) return false;
    const isGlobal = this.config.getGlobalGuards().some(isGuardItself);
    return serving.every(
      ({ isPublic, controller, handler }) =>
        !isPublic && (isGlobal || [controller, handler].some(hasGuardItself)),
    );
  }

  #decide(exchange: HttpExchange, next: Next): void {
    const { request } = exchange as { readonly request: { is404?: boolean; method?: string } };
    const endpoint = this.#endpoints.get(sentPath(exchange.request));
    // Preflight requests carry no credentials (Fetch, CORS), and what is not there needs none.
    if (endpoint === undefined || request.method === 'OPTIONS' || request.is404 === true) {
      next();
      return;
    }
    if (isWithoutAuthorization(exchange.request)) {
      this.#answer(exchange, this.refusals.answerNobody(missingToken(), exchange, endpoint));
      return;
    }
    const refuse = (error: unknown) => this.#refuse(error, exchange, next);
    try {
      const identified = identify(exchange, endpoint.protectedBy, endpoint.needs);
      if (identified instanceof Promise) identified.then(() => next(), refuse);
      else next();
    } catch (error) {
      refuse(error);
    }
  }

  #refuse(error: unknown, exchange: HttpExchange, next: Next): void {
    if (!(error instanceof AuthplaneError)) {
      next(error as Error);
      return;
    }
    this.#answer(exchange, this.refusals.answerTo(error, exchange));
  }

  #answer({ reply }: HttpExchange, { body, status }: ReturnType<Refusals['answerTo']>): void {
    this.adapterHost.httpAdapter.reply(reply, body, status);
  }
}

function hasGuardItself(target: object): boolean {
  const guards: unknown = Reflect.getMetadata(GUARDS, target);
  return Array.isArray(guards) && guards.some(isGuardItself);
}

/** Its hooks are those of the whole application, in the order of registration. */
function inPlace(add: (instance: Parameters<FastifyPlugin>[0]) => void): FastifyPlugin {
  const plugin: FastifyPlugin = (instance, _options, done) => {
    add(instance);
    done();
  };
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true });
}

/** The middleware of Express, which keeps it in a list; the last one is ours. */
interface ExpressApplication {
  readonly _router?: { readonly stack: { readonly name: string }[] };
  readonly router: { readonly stack: { readonly name: string }[] };
}

const PARSERS: ReadonlySet<string> = new Set([
  'jsonParser',
  'urlencodedParser',
  'rawParser',
  'textParser',
]);

function moveBeforeParsers(express: ExpressApplication): void {
  const { stack } = express._router ?? express.router; // 4, 5
  const at = stack.findIndex(({ name }) => PARSERS.has(name));
  if (at >= 0) stack.splice(at, 0, ...stack.splice(-1));
}
