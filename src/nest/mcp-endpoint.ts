import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionContext } from '@nestjs/common';
import {
  type AuthplaneError,
  OperationRefusedError,
  OriginRefusedError,
  SessionNotFoundError,
} from '../core/errors.js';
import { asksForList, type FoundOperation, isJsonRpc, operationsOf } from '../core/json-rpc.js';
import type { McpOptions, OperationScopes, Refusal } from '../core/operation-scopes.js';
import type { AuthplaneResource } from '../core/resource.js';
import { addScopeNeeds, NO_SCOPES, type ScopeNeeds } from '../core/scopes.js';
import type { VerifiedClaims } from '../core/verified-claims.js';
import {
  BODILESS,
  isParsed,
  parsedText,
  renewRawBody,
  unreadableBody,
  unreadJson,
} from './mcp-body.js';
import type { DeclaredOperation } from './mcp-discovery.js';
import { McpHiding } from './mcp-hiding.js';
import type { McpLists } from './mcp-lists.js';
import { rewriteEvents, rewriteMessages } from './mcp-response.js';
import { McpSessions } from './mcp-sessions.js';
import { type LearnedOperation, OperationTable } from './operation-table.js';
import { PackageLogger } from './package-logger.js';
import { httpRequest, rawRequest, rawResponse, urlsOf } from './request.js';
import { comparablePath } from './routes.js';
import { type Owner, ownerOf } from './state-owners.js';

type HttpContext = Pick<ExecutionContext, 'switchToHttp'>;

/** What a request to an MCP server asks for, as far as its body tells. */
export interface McpRequest {
  /** `false` for a GET on any other path, which may open the event stream of an MCP server. */
  readonly isCertain: boolean;
  readonly operations: readonly FoundOperation[];
  readonly wantsList: boolean;
  /** Why the body cannot be judged; to be thrown once the caller is known. */
  readonly problem?: AuthplaneError;
}

const MAYBE_STREAM: McpRequest = Object.freeze({
  isCertain: false,
  operations: [],
  wantsList: false,
});

/** Who asks, and until when. */
export interface McpCaller {
  readonly claims: VerifiedClaims;
  /** Called when an event stream turns out to be one of an MCP server. */
  readonly onStream: () => void;
}

/** The rules of one resource for requests to its MCP endpoint, and to MCP servers on other paths. */
export class McpRules {
  readonly #logger = new PackageLogger('AuthplaneMcp');
  readonly #resource: Pick<AuthplaneResource, 'resource'>;
  readonly #path: string;
  readonly #sessions: McpSessions;
  readonly #hiding = new McpHiding();
  readonly #table: OperationTable;
  /** Answers that lists and hidden names are taken out of already. */
  readonly #rewriting = new WeakSet<ServerResponse>();

  /** @param sessions those of the whole application. */
  constructor(
    resource: Pick<AuthplaneResource, 'resource'>,
    readonly options: McpOptions,
    sessions = new McpSessions(),
  ) {
    this.#resource = resource;
    this.#sessions = sessions;
    this.#path = comparablePath(new URL(resource.resource).pathname);
    this.#table = new OperationTable(options);
  }

  get scopes(): OperationScopes {
    return this.#scopes;
  }

  get #scopes(): OperationScopes {
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

  /** Whether a request to this URL is one to the resource itself. */
  isEndpoint(url: string): boolean {
    return comparablePath(url) === this.#path;
  }

  /** @throws OriginRefusedError for an `Origin` that is not allowed. Its absence is fine (MCP, Transports). */
  requireOrigin(context: HttpContext): void {
    const { allowedOrigins } = this.options;
    const { origin } = nodeRequest(context).headers;
    if (allowedOrigins === undefined || origin === undefined || allowedOrigins.includes(origin))
      return;
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
    return hasSession || this.#sessions.names(request) || isJsonRpc(parsedText(body));
  }

  #readBody(context: HttpContext): McpRequest {
    const request = httpRequest(context);
    const problem = unreadableBody(request);
    if (problem !== undefined) return this.#unreadable(problem);
    const { body } = request;
    if (!isParsed(body, nodeRequest(context))) return { ...MAYBE_STREAM, isCertain: true };
    try {
      return { isCertain: true, operations: operationsOf(body), wantsList: asksForList(body) };
    } catch (error) {
      return this.#unreadable(error as AuthplaneError); // nothing else is thrown there
    }
  }

  /** For the challenge of a request that carries no token. */
  announcedNeeds({ operations }: McpRequest): ScopeNeeds {
    return addScopeNeeds(...operations.map((operation) => this.#scopes.announcedNeeds(operation)));
  }

  /** @throws SessionNotFoundError for a session that somebody else has opened. */
  requireOwnSession(context: HttpContext, claims: VerifiedClaims): void {
    const problem = this.#sessionProblem(nodeRequest(context), claims);
    if (problem === undefined) return;
    this.#logger.warn(`refused a request to an MCP session ${problem}`);
    throw new SessionNotFoundError(`an MCP session ${problem}`);
  }

  #sessionProblem(request: IncomingMessage, claims: VerifiedClaims): string | undefined {
    const isBound = this.options.sessionBinding !== false;
    if (isBound && this.#sessions.isForeign(request, this.#ownerOf(claims))) {
      return 'that is not known to be of this user and client';
    }
    return this.#scopes.hides && this.#sessions.namesUnseenStream(request)
      ? 'whose event stream no AuthplaneGuard has let in, so that its lists cannot be shortened'
      : undefined;
  }

  /**
   * The scopes that the operations of this request need together, and the operations that must stay
   * hidden from this caller; hand them to {@link letPass}.
   *
   * @throws InvalidRequestError, OperationRefusedError
   */
  judge({ operations, problem }: McpRequest, claims: VerifiedClaims) {
    if (problem !== undefined) throw problem;
    const hidden: FoundOperation[] = [];
    const needs: ScopeNeeds[] = [];
    for (const operation of operations) {
      const verdict = this.#scopes.judge(operation, claims);
      if (verdict.refusal !== undefined) throw this.#refused(operation, verdict.refusal);
      if (!verdict.hidden) needs.push(verdict.needs);
      else if (this.#hiding.canHide(operation, this.#scopes)) hidden.push(operation);
      else throw this.#refused(operation, { reason: 'its URI cannot be hidden' });
    }
    return { needs: needs.length === 0 ? NO_SCOPES : addScopeNeeds(...needs), hidden };
  }

  /** The last step: nothing may refuse the request after it. */
  letPass(
    context: HttpContext,
    caller: McpCaller,
    request: McpRequest,
    hidden: readonly FoundOperation[],
  ): void {
    this.#watch(context, caller, request);
    this.conceal(context, caller, request, hidden);
  }

  #watch(context: HttpContext, caller: McpCaller, { isCertain }: McpRequest): void {
    const request = nodeRequest(context);
    const response = rawResponse(context);
    if (request.method === 'GET') this.#watchStream(request, response, caller, isCertain);
    else this.#sessions.watch(request, response, this.#ownerOf(caller.claims));
  }

  /** Takes out of the answer what the caller may not know of. Again, where the server has taught more. */
  conceal(
    context: HttpContext,
    caller: McpCaller,
    request: McpRequest,
    hidden: readonly FoundOperation[],
  ): void {
    const response = rawResponse(context);
    if (this.#isRewritten(request) && !this.#rewriting.has(response)) {
      this.#rewriting.add(response);
      keepReadable(nodeRequest(context));
      rewriteMessages(response, (json) => this.#rewritten(json, caller));
    }
    if (hidden.length > 0) this.#hide(context, hidden);
    if (request.isCertain) renewRawBody(httpRequest(context));
  }

  /**
   * Where something is hidden, the answers to all names pass the same way, or their form (compressed, in
   * pieces, with an `ETag`) would tell a hidden one from one that nobody has.
   */
  #isRewritten({ operations, wantsList }: McpRequest): boolean {
    if (this.#scopes.hides) return wantsList || operations.length > 0;
    return wantsList && this.#lists.changes;
  }

  /** The answers to posted messages of HTTP+SSE, or to earlier requests (`Last-Event-ID`). */
  #watchStream(
    request: IncomingMessage,
    response: ServerResponse,
    caller: McpCaller,
    isCertain: boolean,
  ): void {
    const { hides } = this.#scopes;
    if (hides && (isCertain || wantsEvents(request))) keepReadable(request);
    const owner = this.#ownerOf(caller.claims);
    let isFirst = true;
    let isMcp = isCertain;
    const watch = hides && isCertain ? rewriteMessages : rewriteEvents;
    if (hides && isCertain) this.#rewriting.add(response);
    watch(response, (data, type) => {
      if (isFirst && this.#sessions.open({ data, type }, response, owner)) {
        isMcp = true;
        caller.onStream();
      }
      isFirst = false;
      return isMcp ? this.#rewritten(data, caller) : data;
    });
  }

  #rewritten(json: string, { claims }: McpCaller): string {
    return this.#lists.forCaller(this.#scopes.hides ? this.#hiding.restore(json) : json, claims);
  }

  #ownerOf(claims: VerifiedClaims): Owner {
    return ownerOf(this.#resource, claims);
  }

  #hide(context: HttpContext, operations: readonly FoundOperation[]): void {
    const [first, ...others] = operations.map(({ method, name }) => `${method} ${printable(name)}`);
    const more = others.length === 0 ? '' : `, and ${others.length} more`;
    this.#logger.debug(`answered as if there were no such thing: ${first}${more}`);
    this.#hiding.hide(httpRequest(context), operations);
  }

  #unreadable(problem: AuthplaneError): McpRequest {
    this.#logger.debug(`refused a request to the MCP endpoint: ${problem.message}`);
    return { isCertain: true, operations: [], wantsList: false, problem };
  }

  #refused({ method, name }: FoundOperation, { reason, fault }: Refusal): OperationRefusedError {
    const message = `${method} ${printable(name)}: ${reason}`;
    if (fault !== undefined) this.#logger.error(message, fault);
    return new OperationRefusedError(message, { cause: fault });
  }
}

/** So that a compressing layer above does not turn messages into bytes that cannot be read here. */
function keepReadable(request: IncomingMessage): void {
  delete request.headers['accept-encoding'];
}

function wantsEvents({ headers }: IncomingMessage): boolean {
  return headers.accept?.includes('text/event-stream') === true;
}

function nodeRequest(context: HttpContext): IncomingMessage {
  return rawRequest(httpRequest(context)) as IncomingMessage;
}

function printable(text: string): string {
  return JSON.stringify(text.slice(0, 200)).replace(/[^\x20-\x7e]/g, '?');
}
