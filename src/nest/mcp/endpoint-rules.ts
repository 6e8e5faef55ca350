import { eventCaller, type Events } from '../../core/events.js';
import type { IncomingMessage } from 'node:http';
import { OriginRefusedError, SessionNotFoundError } from '../../core/errors/request-errors.js';
import type { ScopeNeeds } from '../../core/lib/scopes.js';
import { quoted } from '../../core/lib/text.js';
import type { OperationScopes } from '../../core/mcp/operation-scopes.js';
import type { RequirementSource } from '../../core/mcp/requirement-sources.js';
import type { McpOptions } from '../../core/mcp/settings.js';
import type { AuthplaneResource } from '../../core/resource.js';
import { AnonymousCaller, type Caller } from '../../core/token/caller.js';
import { type HttpExchange, nodeRequest } from '../http/exchange.js';
import { AllowedOrigins } from './allowed-origins.js';
import { McpHiding } from './answers/hiding.js';
import { type LearnedOperation, OperationTable } from './declared-operations.js';
import { EndpointAnswers } from './endpoint-answers.js';
import type { DeclaredOperation } from './hosts/mcp-discovery.js';
import { MAYBE_STREAM, McpRequestReader } from './mcp-request.js';
import {
  type Inspection,
  MaybeStreamInspection,
  MessageInspection,
  type MessageRules,
} from './message-inspection.js';
import { OperationJudge } from './operation-judge.js';
import type { McpState } from './state/server-state.js';
import { ownerOf } from './state/state-owners.js';

/** What is known of the handler of a request, and asked of its callers whatever the body says. */
export interface EndpointPolicy {
  readonly isPublic: boolean;
  /** Its class is an MCP endpoint, whatever the path of the request is. */
  readonly isMcpEndpoint: boolean;
  readonly needs: ScopeNeeds;
}

/** What the rules of all resources of an application share. */
export interface EndpointSurroundings {
  readonly state: McpState;
  readonly events: Events;
  /** Pages of this machine may call. */
  readonly devMode: boolean;
}

/** What the rules of all resources have in common that one entry of the configuration stands for. */
interface SharedRules {
  readonly table: OperationTable;
  readonly judge: OperationJudge;
  readonly answers: EndpointAnswers;
}

type GuardedResource = Pick<AuthplaneResource, 'resource' | 'requireScopes'>;

/** The rules of one resource for requests to its MCP endpoint, and to MCP servers on other paths. */
export class EndpointRules {
  readonly #state: McpState;
  readonly #surroundings: EndpointSurroundings;
  readonly #events: Events;
  readonly #origins: AllowedOrigins;
  readonly #reader: McpRequestReader;
  readonly #shared: SharedRules;
  readonly #messages: MessageRules;

  constructor(
    resource: GuardedResource,
    readonly options: McpOptions,
    surroundings: EndpointSurroundings,
    shared = sharedRules(options, surroundings),
  ) {
    const { state, events, devMode } = surroundings;
    this.#state = state;
    this.#events = events;
    this.#surroundings = surroundings;
    this.#shared = shared;
    const requireOwnSession: MessageRules['requireOwnSession'] = (exchange, caller) =>
      this.#requireOwnSession(exchange, caller);
    this.#messages = { ...shared, resource, requireOwnSession };
    this.#origins = new AllowedOrigins(resource, options, devMode);
    this.#reader = new McpRequestReader(resource.resource, options, shared.table, state);
  }

  /** The same rules for another resource: its own path and origin, the same operations. */
  at(resource: GuardedResource): EndpointRules {
    return new EndpointRules(resource, this.options, this.#surroundings, this.#shared);
  }

  get scopes(): OperationScopes {
    return this.#shared.table.scopes;
  }

  /**
   * Adds the requirements of decorators to those of the options. Known once all modules are there.
   *
   * @param isLibrary a host library serves them, whose lookup of URIs is loose, and whose lists say what a tool needs.
   */
  declare(declared: readonly DeclaredOperation[], isLibrary: boolean): void {
    this.#shared.table.declare(declared, isLibrary);
  }

  /** What a server that is wired by hand says when it registers an operation. */
  learn(operation: LearnedOperation): void {
    this.#shared.table.learn(operation);
  }

  /** Requirements of operations whose names are made elsewhere, by a gateway. */
  addSource(source: RequirementSource): void {
    this.#shared.table.addSource(source);
  }

  /** Which web pages may call, where nobody has said so. */
  get originAnnouncement(): string | undefined {
    return this.#origins.announcement;
  }

  /** Whether it is named as one that may call, or our own: not where any may. */
  namesPage(origin: string): boolean {
    return this.#origins.allowsCookies(origin);
  }

  /** The names in the options were compared with those of all servers. */
  knowsAllNames(): void {
    this.#shared.answers.knowsAllNames();
  }

  /** Whether it is sent to the resource itself. */
  isAtEndpoint(exchange: HttpExchange): boolean {
    return this.#reader.isAtEndpoint(exchange);
  }

  /**
   * What is asked for; `undefined`: nothing of MCP. What cannot be judged is refused by `admit`, so that a
   * caller without a token is told about the token first.
   *
   * @throws OriginRefusedError for an `Origin` that is not allowed. Its absence is fine (MCP, Transports).
   */
  inspect(exchange: HttpExchange, policy: EndpointPolicy): Inspection | undefined {
    const isEndpoint = policy.isMcpEndpoint || this.#reader.isAtEndpoint(exchange);
    if (policy.isPublic && !isEndpoint) return undefined;
    const asked = this.#reader.read(exchange, { isEndpoint });
    if (asked === undefined) return undefined;
    if (asked === MAYBE_STREAM) return this.#maybeStream(policy);
    this.#requireOrigin(exchange);
    const admitsAnybody = this.#admitsAnybody(exchange, policy);
    return new MessageInspection(this.#messages, asked, policy.needs, admitsAnybody);
  }

  #requireOrigin(exchange: HttpExchange): void {
    const { origin } = nodeRequest(exchange).headers;
    if (origin === undefined || this.#origins.allows(origin)) return;
    throw new OriginRefusedError(`a web page of ${quoted(origin)}: not in mcp.allowedOrigins`);
  }

  #maybeStream({ needs }: EndpointPolicy): Inspection {
    return new MaybeStreamInspection(this.#messages, needs);
  }

  /** @throws SessionNotFoundError for a session that somebody else has opened. */
  #requireOwnSession(exchange: HttpExchange, caller: Caller): void {
    const problem = this.#sessionProblem(exchange, caller);
    if (problem === undefined) return;
    this.#events.emit({ type: 'foreign_session', caller: eventCaller(caller), reason: problem });
    throw new SessionNotFoundError(`an MCP session ${problem}`);
  }

  /** At the very path of the resource, and where a handler of an MCP endpoint is: nowhere else. */
  #admitsAnybody(exchange: HttpExchange, { isMcpEndpoint }: EndpointPolicy): boolean {
    return (
      this.options.authentication === 'when-needed' &&
      isMcpEndpoint &&
      this.#reader.isAtEndpoint(exchange)
    );
  }

  /** Nobody may use what nobody knows; what nobody has opened is the first caller's. */
  #isOfAnother(request: IncomingMessage, caller: Caller): boolean {
    const { sessions } = this.#state;
    const owner = ownerOf(caller);
    if (caller.isAnonymous === true) return sessions.namesOther(request, owner);
    if (this.options.authentication === 'when-needed') {
      sessions.handOver(request, ownerOf(new AnonymousCaller(caller.resource)), owner);
    }
    return sessions.isForeign(request, owner);
  }

  #sessionProblem(exchange: HttpExchange, caller: Caller): string | undefined {
    const request = nodeRequest(exchange);
    const { sessions } = this.#state;
    const bindsState = this.options.sessionBinding !== false;
    if (bindsState && this.#isOfAnother(request, caller)) {
      return 'that is not known to be of this user and client';
    }
    return this.scopes.hides && sessions.namesUnseenStream(request)
      ? 'whose event stream no AuthplaneGuard has let in, so that its lists cannot be shortened'
      : undefined;
  }
}

function sharedRules(options: McpOptions, { state, events }: EndpointSurroundings): SharedRules {
  const table = new OperationTable(options, events);
  const hiding = new McpHiding();
  const judge = new OperationJudge(options, table, state, hiding, events);
  const answers = new EndpointAnswers(options, table, state, hiding, judge, events);
  return { table, judge, answers };
}
