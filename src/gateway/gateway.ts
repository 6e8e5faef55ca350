import type { Eventually } from '../core/lib/deadline.js';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  BeforeApplicationShutdown,
  OnApplicationBootstrap,
  OnModuleInit,
} from '@nestjs/common';
import { NoCallerError, TokenMissingError } from '../core/errors/token-errors.js';
import type { Caller } from '../core/token/caller.js';
import { consentResponses, requestsUrlElicitation } from '../mcp/answers/consent.js';
import type { Events } from '../core/events.js';
import { isObject, memberOf } from '../core/lib/members.js';
import { requestIdIn } from '../core/mcp/json-rpc.js';
import type { McpCall } from '../mcp/answers/call.js';
import {
  type McpServe,
  type PlatformReply,
  type PlatformRequest,
  serveMcp,
} from '../mcp/serve-mcp.js';
import { nodeRequest, nodeResponse } from '../nest/http/exchange.js';
import { rewritingProblem } from '../nest/mcp/body.js';
import { type RequestState, requestState } from '../nest/http/request.js';
import { askView, type ShownOperation } from './options/view.js';
import type { ProtectedResource } from '../nest/resources/protected-resources.js';
import { AllowedCalls } from './allowed-calls.js';
import { type DecisionListener, GatewayDecisions, type PendingDecision } from './decisions.js';
import { ChangeFeeds } from './changes/change-feeds.js';
import { UpstreamWatches } from './changes/upstream-watches.js';
import { closeAfter, GatewayCalls } from './gateway-calls.js';
import { LegacyEndpoint } from './legacy/legacy-endpoint.js';
import { LegacyServer } from './legacy/legacy-server.js';
import type { ListKind } from './listing/list-kinds.js';
import { LocalTools } from './local/local-tools.js';
import type { DiscoveredTool } from './local/tool-discovery.js';
import { OperationRouter } from './listing/operation-router.js';
import { type GatewayCallOptions, OwnCalls } from './own-calls.js';
import { ModernServer } from './modern/modern-server.js';
import { callerKeyOf, type GatewayCaller } from './options/gateway-caller.js';
import type { Pass } from './modern/pass-through.js';
import type { UpstreamRegistry } from './listing/upstream-registry.js';
import { gatewayAnswer } from './wire/gateway-answer.js';
import { RpcError } from './wire/gateway-errors.js';
import {
  ACCEPTED,
  errorAnswer,
  INTERNAL_ERROR,
  type RpcAnswer,
  sendAnswer,
} from './wire/json-rpc-answer.js';
import { isModern, MODERN, type ModernRequest, modernRequest } from './wire/modern-request.js';

/** One inbound request of a caller whom the guard has let in. */
interface Inbound {
  readonly raw: IncomingMessage;
  readonly body: unknown;
  readonly caller: GatewayCaller;
  readonly signal: AbortSignal;
  readonly judgeAgain: () => Eventually<void>;
  readonly decision: PendingDecision | undefined;
  readonly isShown: ShownOperation | undefined;
}

/**
 * The MCP endpoint of a gateway: answers lists from all upstreams, and passes everything else on to the
 * upstream that it is for, with a token for that upstream.
 *
 * A controller behind `AuthplaneGuard` hands its requests to {@link McpGateway.serve}.
 */
export class McpGateway implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #registry: UpstreamRegistry;
  readonly #protectedBy: () => ProtectedResource;
  readonly #modern: ModernServer;
  readonly #legacy: LegacyServer;
  readonly #endpoint: LegacyEndpoint;
  readonly #watches: UpstreamWatches;
  readonly #calls = new GatewayCalls();
  readonly #own: OwnCalls;
  readonly #allowed: AllowedCalls;
  readonly #decisions: GatewayDecisions;
  readonly #discoverTools: () => readonly DiscoveredTool[];

  /** @internal Made by `AuthplaneGatewayModule`. */
  constructor(
    registry: UpstreamRegistry,
    protectedBy: () => ProtectedResource,
    events: Pick<Events, 'onEvent'>,
    discoverTools: () => readonly DiscoveredTool[],
  ) {
    this.#registry = registry;
    this.#protectedBy = protectedBy;
    this.#discoverTools = discoverTools;
    this.#allowed = new AllowedCalls(protectedBy);
    this.#own = new OwnCalls(registry, protectedBy);
    this.#decisions = new GatewayDecisions(events, (uri) => isOf(protectedBy(), uri));
    const router = new OperationRouter(registry.routes, registry.taskRoutes);
    const feeds = new ChangeFeeds(registry);
    this.#watches = new UpstreamWatches(registry, feeds);
    this.#modern = new ModernServer(registry, router, feeds);
    this.#legacy = new LegacyServer(registry, router, feeds);
    this.#endpoint = new LegacyEndpoint(this.#legacy, registry);
  }

  /**
   * Answers one request of a Nest controller, on Express and Fastify. What fails before a byte of the
   * answer is there has its own status: 401 and 403 with a challenge, 429, 502, 503, 504.
   *
   * @throws what the application's filters answer: a missing scope, an authorization server that is away.
   * @throws TokenMissingError for a request without a credential: no upstream is called for nobody.
   * @throws NoCallerError when no `AuthplaneGuard` has let the request in.
   */
  serve(request: PlatformRequest, reply: PlatformReply): Promise<void> {
    return serveMcp(request, reply, async (client) => {
      const state = requestState(request);
      if (state.isAnonymous === true) throw new TokenMissingError();
      if (state.current === undefined) {
        throw new NoCallerError('a gateway without a guard: put AuthplaneGuard on its controller');
      }
      const response = nodeResponse({ reply });
      if (this.#calls.isStopping) return sending(STOPPING, response);
      const decision = this.#decisions.begin(request.body, state.current, client);
      const inbound = {
        raw: nodeRequest({ request }),
        body: request.body,
        caller: callerOf(state.current),
        signal: this.#calls.begin(response, client),
        judgeAgain: () => state.judgeAgain?.({ request, reply }),
        decision,
        isShown: this.#viewOf(state),
      };
      return decision === undefined
        ? this.#served(inbound)
        : decision.follow(() => this.#served(inbound));
    });
  }

  /** @throws CallbackError */
  #viewOf({ current, resource }: RequestState): ShownOperation | undefined {
    const { view } = this.#registry.options;
    if (view === undefined || current === undefined) return undefined;
    const { params = {} } = resource ?? {};
    const place = { uri: current.resource, params };
    return askView(view, { caller: callerOf(current), resource: place });
  }

  /**
   * Tells how each request of a client ends, those included that the guard refuses: for a log, a metric, or a
   * page. Calls of {@link McpGateway.call} are the application's own and are not told.
   *
   * @returns what ends it.
   */
  onDecision(listener: DecisionListener): () => void {
    return this.#decisions.onDecision(listener);
  }

  /**
   * What this caller is offered, as the entries of a list say it. An upstream that cannot be asked is left
   * out.
   */
  list(
    kind: ListKind,
    caller: GatewayCaller,
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return this.#own.list(kind, caller);
  }

  /**
   * Calls a tool by its exposed name, for code of the application: with the rules, tokens and limits of calls
   * of clients, and without questions to a user.
   *
   * @returns the result, also one with `isError`.
   * @throws UnknownOperationError when this caller is not offered it.
   * @throws InsufficientScopeError, OperationRefusedError; CallbackError where what `@Allow` asks fails
   * @throws UpstreamError, ConsentRequiredError, AuthorizationServerUnavailableError
   */
  call(
    name: string,
    args: Readonly<Record<string, unknown>>,
    options: GatewayCallOptions,
  ): Promise<Readonly<Record<string, unknown>>> {
    return this.#own.call(name, args, options);
  }

  /**
   * Called by Nest: the guard learns what the rules of upstreams, and tools of the gateway itself, ask of callers.
   *
   * @throws ConfigurationError for a name that no `forFeature` has given, and for tools that cannot be offered.
   */
  onModuleInit(): void {
    const { mcp } = this.#protectedBy();
    mcp.addSource(this.#registry.scopes);
    const tools = this.#discoverTools().map((tool) => this.#allowed.checked(tool));
    if (tools.length === 0) return;
    this.#registry.putOwn(new LocalTools(tools, (...failed) => this.#registry.logFault(...failed)));
    for (const { options, needs, listing } of tools) {
      mcp.learn({ kind: 'tool', name: options.name, requirement: needs, list: listing });
    }
  }

  /** Called by Nest: upstreams that are to be watched are listened to from now on. */
  onApplicationBootstrap(): void {
    this.#watches.start();
  }

  /** Called by Nest: running calls get time to end, new ones are refused. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#watches.stop();
    this.#modern.listens.endAll();
    this.#legacy.sessions.endStreams();
    await this.#calls.stop(this.#registry.options.shutdownTimeoutMs);
    await Promise.all([this.#legacy.sessions.close(), this.#modern.tasks.close()]);
    this.#registry.close();
  }

  /** @throws InvalidRequestError for what an upstream, or a tool, would get otherwise than it was judged */
  async #served(inbound: Inbound): Promise<McpServe> {
    const { raw, body } = inbound;
    const problem = isObject(body) ? rewritingProblem(body) : undefined;
    if (problem !== undefined) throw problem;
    if (raw.method === 'POST') {
      return isModern(body, raw.headers)
        ? this.#servedModern(inbound)
        : this.#servedLegacy(inbound);
    }
    const { 'mcp-session-id': id } = raw.headers;
    const isOfSession = raw.method === 'GET' || raw.method === 'DELETE';
    if (!isOfSession || id === undefined) return sending(NOT_ALLOWED);
    const { sessions } = this.#legacy;
    const session = sessions.get(id, callerKeyOf(inbound.caller));
    if (raw.method === 'GET') {
      const { asking } = surroundings(inbound);
      return (_request, response) => this.#legacy.changes.open(session, response, asking);
    }
    sessions.end(session);
    return sending({ status: 200, text: '' });
  }

  async #servedModern(inbound: Inbound): Promise<McpServe> {
    let request: ModernRequest | undefined;
    try {
      request = modernRequest(inbound.body, inbound.raw.headers);
      if (request === undefined) return sending(ACCEPTED);
      const answer = await this.#modern.answer(request, surroundings(inbound));
      return typeof answer === 'function'
        ? this.#passing(answer, request, inbound)
        : sending(answer);
    } catch (error) {
      return sending(this.#failed(error, request, inbound));
    }
  }

  /** What is found while an answer is read is said as it is before: by its status, as long as there is none. */
  #passing(pass: Pass, request: ModernRequest, inbound: Inbound): McpServe {
    return async (_request, response) => {
      try {
        await pass(response);
      } catch (error) {
        if (response.destroyed || inbound.signal.aborted) throw error;
        const answer = this.#failed(error, request, inbound);
        if (!response.headersSent) sendAnswer(response, answer);
        else response.end(`event: message\ndata: ${answer.text}\n\n`); // a stream has begun
      }
    };
  }

  async #servedLegacy(inbound: Inbound): Promise<McpServe> {
    const { body, decision } = inbound;
    const onFailure = (error: unknown): void => {
      this.#registry.log(error);
      decision?.end(error);
    };
    const send = await this.#endpoint.serve({ ...surroundings(inbound), body, onFailure });
    return (_request, response) => send(response);
  }

  /** @throws what the application's filters answer */
  #failed(error: unknown, request: ModernRequest | undefined, inbound: Inbound): RpcAnswer {
    this.#registry.log(error);
    inbound.decision?.end(error);
    if (request === undefined && error instanceof RpcError) {
      return errorAnswer(requestIdIn(inbound.body) ?? null, error.rpc, error.status);
    }
    if (request === undefined) throw error;
    const { claims } = inbound.caller;
    const call: McpCall = {
      method: request.method,
      requestId: request.id,
      era: MODERN,
      urlElicitation: requestsUrlElicitation(request.params),
      responses: consentResponses(memberOf(request.params, 'inputResponses')),
      caller: { subject: claims.sub, clientId: claims.clientId },
      signal: inbound.signal,
    };
    const consent = this.#registry.consentPolicy;
    const answer = gatewayAnswer(error, { id: request.id, call, consent });
    if (answer === undefined) throw error;
    return answer;
  }
}

const STOPPING: RpcAnswer = errorAnswer(
  null,
  { code: INTERNAL_ERROR, message: 'The gateway is stopping' },
  503,
  { 'Retry-After': '5', Connection: 'close' },
);

/** Streams (GET) and their end (DELETE) are of a session of the 2025 revisions. */
const NOT_ALLOWED: RpcAnswer = errorAnswer(
  null,
  { code: -32000, message: 'Method not allowed.' },
  405,
  { Allow: 'POST, GET, DELETE' },
);

function sending(answer: RpcAnswer, closed?: ServerResponse): McpServe {
  return async (_request, response) => {
    if (closed !== undefined) closeAfter(response);
    sendAnswer(response, answer);
  };
}

function surroundings({ raw, judgeAgain, caller, signal, isShown, decision }: Inbound) {
  const onRoute = decision?.onRoute;
  const asking = { caller, callerKey: callerKeyOf(caller), signal, isShown, onRoute };
  return { headers: raw.headers, judgeAgain, asking };
}

/** Who has shown something else has no token that could be exchanged. */
function callerOf({ claims, authentication }: Caller): GatewayCaller {
  return { claims, token: authentication?.token ?? '' };
}

function isOf({ many, resource }: ProtectedResource, uri: string): boolean {
  return many === undefined ? resource.resource === uri : many.has(uri);
}
