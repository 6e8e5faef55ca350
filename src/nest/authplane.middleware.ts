import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { Injectable, type NestMiddleware } from '@nestjs/common';
import { HttpAdapterHost, type ModulesContainer } from '@nestjs/core';
import { AuthplaneError } from '../core/errors/authplane-error.js';
import { ConfigurationError } from '../core/errors/configuration-error.js';
import { InvalidRequestError } from '../core/errors/request-errors.js';
import { putMember } from '../core/lib/members.js';
import { letIn, type RequestPolicy } from './decision.js';
import type { HttpExchange } from './http/exchange.js';
import { carryHeaders, watchReplies } from './http/fastify-hooks.js';
import { rawRequest, requests, requestState } from './http/request.js';
import { goesOnWithBody } from './http/request-context.js';
import { hasUnreadBody, isParsed } from './mcp/body.js';
import { readJson } from './mcp/json-reading.js';
import { grantsPreflight, letPageRead } from './mcp/answers/page-access.js';
import { Refusals } from './refusals/refusals.js';
import type { ProtectedResource } from './resources/protected-resources.js';
import { ProtectedResources } from './resources/protected-resources.js';

/** What a request goes on with; an error that is none of this package goes along. */
type Next = (error?: Error) => void;

/** For `app.use` of either platform, routers of Express, and hooks of Fastify. */
export type AuthplaneMiddlewareFunction = (request: object, reply: object, next: Next) => void;

/** What {@link AuthplaneMiddleware.for} is told. */
export interface AuthplaneMiddlewareOptions {
  /** The name that `AuthplaneModule.forFeature` has given; that of `forRoot` if left out. */
  readonly resource?: string;
}

/**
 * The decision of `AuthplaneGuard` for what Nest's router does not serve, and no guard sees: MCP servers
 * that a library mounts with `app.use`, routers of Express, routes of a Fastify plugin.
 *
 * Verifies the caller once per request, however many guards come after it, and asks for the scopes of the
 * operations in the body before anything is dispatched; hidden lists, sessions, origins, the end of streams and
 * `AuthContext` are as behind the guard, and so are the answers. Marks of handlers (`@Scopes`, `@Public`,
 * `@UseResource`) are unknown to it: where Nest's router serves, use the guard.
 *
 * @example
 * const authplane = app.get(AuthplaneMiddleware);
 * app.use('/mcp', authplane.for(), (request, reply) => server.handle(request, reply, request.body));
 */
@Injectable()
export class AuthplaneMiddleware implements NestMiddleware<object, object> {
  /** @internal Made by Nest. */
  constructor(
    private readonly resources: ProtectedResources,
    private readonly refusals: Refusals,
    private readonly adapterHost: HttpAdapterHost,
  ) {}

  /**
   * For `consumer.apply(AuthplaneMiddleware)`: as the guard on the resource of `forRoot`, whose path decides what
   * its MCP endpoint is. Reads no body: Fastify parses it after this, and then its messages are judged. Only
   * at the path of the resource they are judged before anything else runs.
   */
  use(request: object, reply: object, next: Next): void {
    const exchange = { request, reply } as HttpExchange;
    const { main } = this.resources;
    if (!this.#isParsedLater(exchange)) return this.#serve(exchange, policyFor(main, false), next);
    // Next in line may be a server that reads the request itself.
    if (main.mcp.isAtEndpoint(exchange))
      return this.#serve(exchange, policyFor(main, main.isMcp), next);
    if (!goesOnWithBody(this.adapterHost.httpAdapter)) {
      const error = new ConfigurationError(TAKEN_LATE);
      return this.#refuse(error, exchange, policyFor(main, false), next);
    }
    const state = requestState(request);
    putMember(state, 'whenParsed', (parsed, goOn) => {
      delete state.judgedBody; // of now, which is none
      this.#serve(parsed as HttpExchange, policyFor(main, false), goOn);
    });
    this.#serve(exchange, policyFor({ ...main, isMcp: false }, false), next);
  }

  #isParsedLater({ request }: HttpExchange): boolean {
    const raw = rawRequest(request) as IncomingMessage; // of an HTTP exchange: the platform's request
    const isFastify = this.adapterHost.httpAdapter.getType() === 'fastify';
    return isFastify && !isParsed(request.body, raw) && hasUnreadBody(raw);
  }

  /**
   * In front of the MCP endpoint of a resource: every request that comes here is one to an MCP server, whatever its
   * path is. Reads at most 4 MB of JSON in UTF-8 where no parser has, and leaves it at `request.body`, which
   * the server has to be given; one that reads the request itself reads the same.
   *
   * @throws ConfigurationError for a name that no `forFeature` has given.
   */
  for({ resource }: AuthplaneMiddlewareOptions = {}): AuthplaneMiddlewareFunction {
    const protectedBy = this.resources.get(resource);
    this.resources.mounted.add(protectedBy);
    watchReplies(this.adapterHost.httpAdapter);
    const policy = policyFor(protectedBy, protectedBy.isMcp);
    return (request, reply, next) => this.#serve({ request, reply } as HttpExchange, policy, next);
  }

  /** What is in front of this may not have entered the request, and all behind it runs in it. */
  #serve(exchange: HttpExchange, policy: RequestPolicy, next: Next): void {
    const state = requestState(exchange.request);
    state.application ??= this.resources;
    if (!this.resources.carriesCallers) return void this.#decide(exchange, policy, next);
    requests.run(state, () => void this.#decide(exchange, policy, next));
  }

  async #decide(exchange: HttpExchange, policy: RequestPolicy, next: Next): Promise<void> {
    if (grantsPreflight(exchange, this.#pagesOf(policy))) {
      this.adapterHost.httpAdapter.reply(exchange.reply, '', 204);
      return;
    }
    try {
      await this.#letIn(exchange, policy);
    } catch (error) {
      this.#refuse(error, exchange, policy, next);
      return;
    }
    goOn(next);
  }

  async #letIn(exchange: HttpExchange, policy: RequestPolicy): Promise<void> {
    const problem = policy.isMcpEndpoint ? await readJson(exchange.request) : undefined;
    try {
      await letIn(exchange, policy, this.resources);
    } catch (error) {
      // Whoever has no token is told so first, whatever the body is.
      throw error instanceof InvalidRequestError ? (problem ?? error) : error;
    }
  }

  /** Also where the messages are judged later. */
  #pagesOf({ protectedBy }: RequestPolicy): ProtectedResource {
    return this.resources.get(protectedBy.name);
  }

  /** As the filter does, which Nest asks for its own handlers only. */
  #refuse(error: unknown, exchange: HttpExchange, policy: RequestPolicy, next: Next): void {
    if (!(error instanceof AuthplaneError)) {
      next(error as Error);
      return;
    }
    const { httpAdapter } = this.adapterHost;
    carryHeaders(exchange.reply);
    letPageRead(exchange, this.#pagesOf(policy));
    const { body, status } = this.refusals.answerTo(error, exchange);
    httpAdapter.reply(exchange.reply, body, status);
  }
}

const TAKEN_LATE =
  'AuthplaneMiddleware cannot judge messages here: apply it with consumer.apply, or take it out of the ' +
  'application before that listens; Fastify then tells it when a body has been read';

function policyFor(protectedBy: ProtectedResource, isMcpEndpoint: boolean): RequestPolicy {
  return { protectedBy, isPublic: false, needs: protectedBy.baseNeeds, isMcpEndpoint };
}

/** Nobody waits for this any more who could catch what a handler throws at once. */
function goOn(next: Next): void {
  try {
    next();
  } catch (error) {
    next(error as Error);
  }
}

/** With `consumer.apply`, in any module, of a Nest where no spelling of a path gets round it. */
export function appliesMiddleware(
  modules: Pick<ModulesContainer, 'values'>,
  { httpAdapter }: Pick<HttpAdapterHost, 'httpAdapter'>,
): boolean {
  const adapter: { getType(): string } | undefined = httpAdapter; // none in a microservice
  if (adapter?.getType() === 'fastify' && !seesEverySpelling(nestVersion())) return false;
  return [...modules.values()].some(({ middlewares }) =>
    [...middlewares.values()].some(
      ({ metatype }) =>
        metatype === AuthplaneMiddleware ||
        (typeof metatype === 'function' && metatype.prototype instanceof AuthplaneMiddleware),
    ),
  );
}

/** Before 11.1.14 Fastify's router takes `/%6dcp` for `/mcp`, and what runs middleware does not (CVE-2026-2293). */
export function seesEverySpelling(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.', 3).map((part) => parseInt(part, 10));
  if (major !== 11) return major > 11;
  return minor !== 1 ? minor > 1 : patch >= 14;
}

function nestVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)('@nestjs/core/package.json');
  return (manifest as { readonly version: string }).version;
}
