import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionContext } from '@nestjs/common';
import type { AuthplaneError } from '../../core/errors/authplane-error.js';
import {
  InvalidRequestError,
  OperationRefusedError,
  OriginRefusedError,
  SessionNotFoundError,
} from '../../core/errors/request-errors.js';
import {
  asksForList,
  asksForTasks,
  type FoundName,
  type FoundOperation,
  isJsonRpc,
  isOfMcp,
  type McpOperation,
  mayMakeTask,
  methodsOf,
  operationsOf,
  tasksOf,
} from '../../core/mcp/json-rpc.js';
import { type McpOptions, requirementsOf } from '../../core/mcp/settings.js';
import type {
  OperationScopes,
  OperationVerdict,
  Refusal,
} from '../../core/mcp/operation-scopes.js';
import type { AuthplaneResource } from '../../core/resource.js';
import { addScopeNeeds, NO_SCOPES, type ScopeNeeds } from '../../core/lib/scopes.js';
import { type Caller, meetsNeeds } from '../../core/token/caller.js';
import { AllowedOrigins } from './allowed-origins.js';
import {
  BODILESS,
  isParsed,
  parsedText,
  renewRawBody,
  unreadableBody,
  unreadJson,
} from './body.js';
import type { DeclaredOperation } from './hosts/mcp-discovery.js';
import { hasPlainNameHeader, type HiddenName, McpHiding } from './answers/hiding.js';
import type { McpLists } from './answers/lists.js';
import { rewriteEvents, rewriteMessages } from '../http/response-rewrite.js';
import { McpState } from './state/server-state.js';
import { withoutTasks } from './state/tasks.js';
import { type LearnedOperation, OperationTable } from './declared-operations.js';
import { PackageLogger } from '../log/package-logger.js';
import { httpRequest, rawRequest, rawResponse, urlsOf } from '../http/request.js';
import { UnlistedNames } from './unlisted-names.js';
import { comparablePath } from '../http/routes.js';
import { type Owner, ownerOf } from './state/state-owners.js';

type HttpContext = Pick<ExecutionContext, 'switchToHttp'>;

/** What a request to an MCP server asks for, as far as its body tells. */
export interface McpRequest {
  /** `false` for a GET on any other path, which may open the event stream of an MCP server. */
  readonly isCertain: boolean;
  readonly operations: readonly FoundOperation[];
  /** Tasks that it names by id. */
  readonly tasks: readonly FoundName[];
  readonly wantsList: boolean;
  readonly wantsTasks: boolean;
  /** Whether the answer may name a task that it has made. */
  readonly mayMakeTask: boolean;
  /** Why the body cannot be judged; to be thrown once the caller is known. */
  readonly problem?: AuthplaneError;
}

const MAYBE_STREAM: McpRequest = Object.freeze({
  isCertain: false,
  operations: [],
  tasks: [],
  wantsList: false,
  wantsTasks: false,
  mayMakeTask: false,
});

/** What may be done with a request. */
export interface McpVerdict {
  /** The scopes that its operations need together. */
  readonly needs: ScopeNeeds;
  /** What must look to this caller as if it did not exist. */
  readonly hidden: readonly HiddenName[];
}

interface SeenVerdict extends OperationVerdict {
  readonly standIn?: string;
}

/** The rules of one resource for requests to its MCP endpoint, and to MCP servers on other paths. */
export class McpRules {
  readonly #logger = new PackageLogger('AuthplaneMcp');
  readonly #path: string;
  readonly #state: McpState;
  readonly #origins: AllowedOrigins;
  readonly #hiding = new McpHiding();
  readonly #table: OperationTable;
  /** Answers that lists and hidden names are taken out of already, and what their requests need. */
  readonly #rewriting = new WeakMap<ServerResponse, ScopeNeeds>();
  #unlisted: UnlistedNames;

  /**
   * @param state that of the whole application.
   * @param devMode pages of this machine may call.
   */
  constructor(
    resource: Pick<AuthplaneResource, 'resource'>,
    readonly options: McpOptions,
    state = new McpState(),
    devMode = false,
  ) {
    this.#state = state;
    this.#origins = new AllowedOrigins(resource, options, devMode);
    this.#path = comparablePath(new URL(resource.resource).pathname);
    this.#table = new OperationTable(options);
    this.#unlisted = new UnlistedNames(requirementsOf(options));
  }

  get scopes(): OperationScopes {
    return this.#table.scopes;
  }

  get #lists(): McpLists {
    return this.#table.lists;
  }

  /** Whether there are MCP operations at all: without them no other path is looked at. */
  get #servesMcp(): boolean {
    return !this.#table.isEmpty;
  }

  /**
   * Adds the requirements of decorators to those of the options. Known once all modules are there.
   *
   * @param usesMcpNest whose lookup of URIs is loose, and whose lists say what a tool needs.
   */
  declare(declared: readonly DeclaredOperation[], usesMcpNest: boolean): void {
    this.#table.declare(declared, usesMcpNest);
  }

  /** What a server that is wired by hand says when it registers an operation. */
  learn(operation: LearnedOperation): void {
    this.#table.learn(operation);
  }

  /** Which web pages may call, where nobody has said so. */
  get originAnnouncement(): string | undefined {
    return this.#origins.announcement;
  }

  /** The names in the options were compared with those of all servers. */
  knowsAllNames(): void {
    this.#unlisted = new UnlistedNames([]);
  }

  /** Whether a request to this URL is one to the resource itself. */
  isEndpoint(url: string): boolean {
    return comparablePath(url) === this.#path;
  }

  /** @throws OriginRefusedError for an `Origin` that is not allowed. Its absence is fine (MCP, Transports). */
  requireOrigin(context: HttpContext): void {
    const { origin } = nodeRequest(context).headers;
    if (origin === undefined || this.#origins.allows(origin)) return;
    throw new OriginRefusedError(`a web page of ${printable(origin)}: not in mcp.allowedOrigins`);
  }

  /**
   * What of a guarded request is to be judged; `undefined`: nothing. Never throws: a caller without a
   * token is told about the token first.
   *
   * MCP servers may stand on other paths than the resource: MCP-Nest 1 serves HTTP+SSE on two more. So
   * JSON-RPC is judged wherever it is sent, and JSON that nobody has parsed is refused, because a server
   * there could read it itself; any other body is left alone, but for those below the resource.
   */
  read(context: HttpContext, { isEndpoint }: { readonly isEndpoint: boolean }) {
    if (isEndpoint || this.#isMessage(context)) return this.#readBody(context);
    if (!this.#servesMcp) return undefined;
    const request = httpRequest(context);
    const isBelowEndpoint = urlsOf(request).some((url) => this.#isBelow(url));
    const problem = unreadJson(request, { isBelowEndpoint });
    if (problem !== undefined) return this.#unreadable(problem);
    return nodeRequest(context).method === 'GET' ? MAYBE_STREAM : undefined;
  }

  /** Below the root everything is, and may be anything. */
  #isBelow(url: string): boolean {
    return this.#path !== '' && comparablePath(url).startsWith(`${this.#path}/`);
  }

  #isMessage(context: HttpContext): boolean {
    if (!this.#servesMcp) return false;
    const request = nodeRequest(context);
    const hasSession = BODILESS.has(request.method ?? '') && 'mcp-session-id' in request.headers;
    const { body } = httpRequest(context);
    return hasSession || this.#state.sessions.names(request) || isJsonRpc(parsedText(body));
  }

  #readBody(context: HttpContext): McpRequest {
    const request = httpRequest(context);
    const problem = unreadableBody(request);
    if (problem !== undefined) return this.#unreadable(problem);
    const { body } = request;
    if (!isParsed(body, nodeRequest(context))) return { ...MAYBE_STREAM, isCertain: true };
    if (this.scopes.hides && !hasPlainNameHeader(nodeRequest(context))) {
      return this.#unreadable(new InvalidRequestError('Mcp-Name in no canonical encoding'));
    }
    try {
      return {
        isCertain: true,
        operations: [...operationsOf(body), ...(this.#judgesMethods ? methodsOf(body) : [])],
        tasks: this.#bindsState ? tasksOf(body) : [],
        wantsList: asksForList(body),
        wantsTasks: this.#bindsState && asksForTasks(body),
        mayMakeTask: this.#bindsState && mayMakeTask(body),
      };
    } catch (error) {
      return this.#unreadable(error as AuthplaneError); // nothing else is thrown there
    }
  }

  /** For the challenge of a request that carries no token. */
  announcedNeeds({ operations }: McpRequest): ScopeNeeds {
    return addScopeNeeds(...operations.map((operation) => this.scopes.announcedNeeds(operation)));
  }

  /** @throws SessionNotFoundError for a session that somebody else has opened. */
  requireOwnSession(context: HttpContext, caller: Caller): void {
    const problem = this.#sessionProblem(nodeRequest(context), caller);
    if (problem === undefined) return;
    this.#logger.warn(`refused a request to an MCP session ${problem}`);
    throw new SessionNotFoundError(`an MCP session ${problem}`);
  }

  #sessionProblem(request: IncomingMessage, caller: Caller): string | undefined {
    if (this.#bindsState && this.#state.sessions.isForeign(request, ownerOf(caller))) {
      return 'that is not known to be of this user and client';
    }
    return this.scopes.hides && this.#state.sessions.namesUnseenStream(request)
      ? 'whose event stream no AuthplaneGuard has let in, so that its lists cannot be shortened'
      : undefined;
  }

  /**
   * What the operations and tasks of this request need; hand the verdict to {@link letPass}.
   *
   * @throws InvalidRequestError, OperationRefusedError
   */
  judge({ operations, tasks, problem }: McpRequest, caller: Caller): McpVerdict {
    if (problem !== undefined) throw problem;
    const hidden: HiddenName[] = [];
    const needs: ScopeNeeds[] = [];
    for (const operation of operations) {
      const verdict = this.#verdictOn(operation, caller);
      const seen: SeenVerdict = verdict.hidden ? this.#seenInstead(operation, caller) : verdict;
      if (seen.refusal !== undefined) throw this.#refused(operation, seen.refusal);
      if (seen.standIn !== undefined) hidden.push({ ...operation, standIn: seen.standIn });
      needs.push(seen.needs);
    }
    for (const task of tasks) {
      const needed = this.#needsOfTask(task.name, caller);
      if (needed === undefined) hidden.push(this.#hiding.hidden(task));
      else needs.push(needed);
    }
    return { needs: needs.length === 0 ? NO_SCOPES : addScopeNeeds(...needs), hidden };
  }

  #verdictOn(operation: FoundOperation, caller: Caller): OperationVerdict {
    const isRefused =
      this.options.unknownMethods === 'refuse' &&
      operation.kind === 'method' &&
      !isOfMcp(operation.name) &&
      !this.scopes.knows(operation);
    if (!isRefused) return this.scopes.judge(operation, caller);
    return { needs: NO_SCOPES, hidden: false, refusal: { reason: 'a method that nobody knows' } };
  }

  /**
   * The stand-in for what is hidden, judged as anything else of its name would be: others may serve it,
   * for scopes of their own. A server would run what must not run where the stand-in is hidden itself.
   */
  #seenInstead(operation: FoundOperation, caller: Caller): SeenVerdict {
    for (const standIn of this.#hiding.standInsFor(operation)) {
      const verdict = this.scopes.judge(renamed(operation, standIn), caller);
      if (!verdict.hidden) return { ...verdict, standIn };
    }
    return { needs: NO_SCOPES, hidden: true, refusal: { reason: 'its URI cannot be hidden' } };
  }

  /** What the call needed that has made it; `undefined` where this caller must not know of it. */
  #needsOfTask(taskId: string, caller: Caller): ScopeNeeds | undefined {
    const needs = this.#state.tasks.needsOf(taskId, ownerOf(caller));
    return this.scopes.hides && !isMet(needs, caller) ? undefined : needs;
  }

  /** The last step: nothing may refuse the request after it. */
  letPass(context: HttpContext, caller: Caller, request: McpRequest, verdict: McpVerdict): void {
    this.#watch(context, caller, request);
    this.conceal(context, caller, request, verdict);
  }

  #watch(context: HttpContext, caller: Caller, { isCertain }: McpRequest): void {
    const request = nodeRequest(context);
    const response = rawResponse(context);
    const owner = ownerOf(caller);
    if (isCertain && this.#bindsState) this.#bindEvents(request, response, owner);
    if (request.method === 'GET') this.#watchStream(request, response, caller, isCertain);
    else this.#state.sessions.watch(request, response, owner);
  }

  /** Takes out of the answer what the caller may not know of. Again, where the server has taught more. */
  conceal(
    context: HttpContext,
    caller: Caller,
    request: McpRequest,
    { needs, hidden }: McpVerdict,
  ): void {
    if (this.#isRewritten(request)) this.#rewrite(context, caller, request, needs);
    if (hidden.length > 0) this.#hide(context, hidden);
    if (request.isCertain) renewRawBody(httpRequest(context));
  }

  #rewrite(
    context: HttpContext,
    caller: Caller,
    { mayMakeTask, wantsTasks }: McpRequest,
    needs: ScopeNeeds,
  ): void {
    const response = rawResponse(context);
    const isRewriting = this.#rewriting.has(response);
    this.#rewriting.set(response, needs);
    if (isRewriting) return;
    keepReadable(nodeRequest(context));
    const owner = ownerOf(caller);
    rewriteMessages(response, (json) => {
      const needed = this.#rewriting.get(response) ?? needs;
      if (mayMakeTask) this.#state.tasks.learn(json, owner, needed);
      return this.#rewritten(json, caller, wantsTasks);
    });
  }

  /**
   * Where something is hidden, the answers to all names pass the same way, or their form (compressed, in
   * pieces, with an `ETag`) would tell a hidden one from one that nobody has.
   */
  #isRewritten({ operations, tasks, wantsList, wantsTasks, mayMakeTask }: McpRequest): boolean {
    if (tasks.length > 0 || wantsTasks || mayMakeTask) return true;
    if (this.scopes.hides) return wantsList || operations.length > 0;
    return wantsList && (this.#lists.changes || this.#unlisted.isWatching);
  }

  #bindEvents(request: IncomingMessage, response: ServerResponse, owner: Owner): void {
    if (this.#state.events.dropForeign(request, owner)) {
      this.#logger.debug('dropped a Last-Event-ID that this user and client was not sent');
    }
    this.#state.events.watch(response, owner);
  }

  /** The answers to posted messages of HTTP+SSE, or to earlier requests (`Last-Event-ID`). */
  #watchStream(
    request: IncomingMessage,
    response: ServerResponse,
    caller: Caller,
    isCertain: boolean,
  ): void {
    // What is sent again was kept as the server has written it.
    const isResumed =
      isCertain && this.#bindsState && request.headers['last-event-id'] !== undefined;
    const hides = this.scopes.hides || isResumed;
    if (hides && (isCertain || wantsEvents(request))) keepReadable(request);
    const owner = ownerOf(caller);
    let isFirst = true;
    let isMcp = isCertain;
    const watch = hides && isCertain ? rewriteMessages : rewriteEvents;
    if (hides && isCertain) this.#rewriting.set(response, NO_SCOPES);
    watch(response, (data, type, id = '') => {
      // Servers that keep the events of all sessions in one store send those of others, too.
      if (isResumed && this.#state.events.isOfAnother(id, owner)) return undefined;
      if (isFirst && this.#state.sessions.open({ data, type }, response, owner)) {
        isMcp = true;
      }
      isFirst = false;
      return isMcp ? this.#rewritten(data, caller, isResumed) : data;
    });
  }

  #rewritten(json: string, caller: Caller, hasTasks: boolean) {
    this.#nameUnlisted(json);
    const shown = this.#lists.forCaller(this.#hiding.restore(json), caller);
    if (shown === undefined) return undefined;
    return hasTasks ? withoutTasks(shown, (id) => this.#isShown(id, caller)) : shown;
  }

  #nameUnlisted(json: string): void {
    for (const { kind, name } of this.#unlisted.see(json)) {
      this.#logger.warn(
        `mcp: the server lists no ${kind} ${printable(name)}, so the entry of the options protects nothing: ` +
          'correct the name, unless it is registered later',
      );
    }
  }

  #isShown(taskId: string, caller: Caller): boolean {
    return isMet(this.#needsOfTask(taskId, caller), caller);
  }

  /** Sessions, tasks and events answer to their caller. */
  get #bindsState(): boolean {
    return this.options.sessionBinding !== false;
  }

  get #judgesMethods(): boolean {
    return this.options.methods !== undefined || this.options.unknownMethods === 'refuse';
  }

  #hide(context: HttpContext, names: readonly HiddenName[]): void {
    const [first, ...others] = names.map(({ method, name }) => `${method} ${printable(name)}`);
    const more = others.length === 0 ? '' : `, and ${others.length} more`;
    this.#logger.debug(`answered as if there were no such thing: ${first}${more}`);
    this.#hiding.hide(httpRequest(context), names);
  }

  #unreadable(problem: AuthplaneError): McpRequest {
    this.#logger.debug(`refused a request to the MCP endpoint: ${problem.message}`);
    return { ...MAYBE_STREAM, isCertain: true, problem };
  }

  #refused({ method, name }: FoundOperation, { reason, fault }: Refusal): OperationRefusedError {
    const message = `${method} ${printable(name)}: ${reason}`;
    if (fault !== undefined) this.#logger.error(message, fault);
    return new OperationRefusedError(message, { cause: fault });
  }
}

/** For rules, which may read the name in `params`, too. */
function renamed(operation: FoundOperation, name: string): McpOperation {
  const { kind, method, holder, member, params } = operation;
  return { kind, method, name, params: holder === params ? { ...params, [member]: name } : params };
}

/**
 * So that a compressing layer above does not turn messages into bytes that cannot be read here, and that
 * no layer compares validators of what the server has answered, which is not what is sent.
 */
function keepReadable({ headers }: IncomingMessage): void {
  delete headers['accept-encoding'];
  delete headers['if-none-match'];
  delete headers['if-modified-since'];
}

function wantsEvents({ headers }: IncomingMessage): boolean {
  return headers.accept?.includes('text/event-stream') === true;
}

function isMet(needs: ScopeNeeds | undefined, caller: Caller): boolean {
  return needs !== undefined && meetsNeeds(caller, needs);
}

function nodeRequest(context: HttpContext): IncomingMessage {
  return rawRequest(httpRequest(context)) as IncomingMessage;
}

function printable(text: string): string {
  return JSON.stringify(text.slice(0, 200)).replace(/[^\x20-\x7e]/g, '?');
}
