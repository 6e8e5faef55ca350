import type { IncomingMessage, ServerResponse } from 'node:http';
import { eventCaller, type Events } from '../../core/events.js';
import { NO_SCOPES, type ScopeNeeds } from '../../core/lib/scopes.js';
import { type McpOptions, requirementsOf } from '../../core/mcp/settings.js';
import type { Caller } from '../../core/token/caller.js';
import { type HttpExchange, nodeRequest, nodeResponse } from '../http/exchange.js';
import { type Chunk, rewriteEvents, rewriteMessages } from '../http/response-rewrite.js';
import type { HiddenName, McpHiding } from './answers/hiding.js';
import { rewritten } from './answers/json-messages.js';
import { renewRawBody } from './body.js';
import type { OperationTable } from './declared-operations.js';
import type { McpRequest } from './mcp-request.js';
import type { McpVerdict, OperationJudge } from './operation-judge.js';
import type { McpState } from './state/server-state.js';
import { ownerOf } from './state/state-owners.js';
import { withoutTasks } from './state/tasks.js';
import { UnlistedNames } from './answers/unlisted-names.js';

/** What of the messages to one caller is more than lists. */
interface Told {
  /** They may list tasks. */
  readonly tasks?: boolean;
  /** They may name a task that a call with these needs has made. */
  readonly madeTask?: ScopeNeeds | undefined;
  /** What rules have said of names in lists. */
  readonly listed?: McpVerdict['listed'];
}

/** What of the verdict on a request its answer depends on. */
type Ruled = Pick<McpVerdict, 'needs' | 'listed'>;

const UNRULED: Ruled = { needs: NO_SCOPES };

/**
 * What is learned from the answers of MCP servers, whose sessions, tasks and events are whose, and what
 * is taken out of them: all that their caller must not know of.
 */
export class EndpointAnswers {
  readonly #bindsState: boolean;
  readonly #table: OperationTable;
  readonly #state: McpState;
  readonly #hiding: McpHiding;
  readonly #judge: OperationJudge;
  readonly #events: Events;
  /** Answers that lists and hidden names are taken out of already, and the verdicts on their requests. */
  readonly #rewriting = new WeakMap<ServerResponse, Ruled>();
  #unlisted: UnlistedNames;

  constructor(
    options: McpOptions,
    table: OperationTable,
    state: McpState,
    hiding: McpHiding,
    judge: OperationJudge,
    events: Events,
  ) {
    this.#bindsState = options.sessionBinding !== false;
    this.#table = table;
    this.#state = state;
    this.#hiding = hiding;
    this.#judge = judge;
    this.#events = events;
    this.#unlisted = new UnlistedNames(requirementsOf(options));
  }

  /** The names in the options were compared with those of all servers. */
  knowsAllNames(): void {
    this.#unlisted = new UnlistedNames([]);
  }

  /** Of a request that certainly is one to an MCP server. */
  watch(exchange: HttpExchange, caller: Caller): void {
    const [request, response] = [nodeRequest(exchange), nodeResponse(exchange)];
    const owner = ownerOf(caller);
    if (this.#bindsState) this.#bindEvents(request, response, caller);
    const { sessions } = this.#state;
    if (request.method !== 'GET') {
      sessions.watch(request, response, owner);
      return;
    }
    this.#watchStream(request, response, caller);
    if (caller.isAnonymous === true) sessions.watchOpenStream(request, response, owner);
  }

  #bindEvents(request: IncomingMessage, response: ServerResponse, caller: Caller): void {
    const owner = ownerOf(caller);
    if (this.#state.events.dropForeign(request, owner)) {
      this.#events.emit({ type: 'foreign_event_id', caller: eventCaller(caller) });
    }
    this.#state.events.watch(response, owner);
  }

  /** The answers to posted messages of HTTP+SSE, or to earlier requests (`Last-Event-ID`). */
  #watchStream(request: IncomingMessage, response: ServerResponse, caller: Caller): void {
    // What is sent again was kept as the server has written it.
    const isResumed = this.#bindsState && request.headers['last-event-id'] !== undefined;
    const hides = this.#table.scopes.hides || isResumed;
    if (hides) {
      keepReadable(request);
      this.#rewriting.set(response, UNRULED);
    }
    const owner = ownerOf(caller);
    let isFirst = true;
    const watchMessages = hides ? rewriteMessages : rewriteEvents;
    const rewrite = (data: string, type?: string, id = '') => {
      // Servers that keep the events of all sessions in one store send those of others, too.
      if (isResumed && this.#state.events.isOfAnother(id, owner)) return undefined;
      if (isFirst) this.#state.sessions.open({ data, type }, response, owner);
      isFirst = false;
      return this.#rewritten(data, caller, { tasks: isResumed });
    };
    watchMessages(response, rewrite, (chunk) => {
      if (isFirst && mayOpen(chunk)) return false;
      if (!this.#leavesAlone(chunk)) return false;
      isFirst &&= !hasData(chunk);
      return true;
    });
  }

  /** Whether a caller is sent just what the server writes, for all that is known now. */
  #leavesAlone(chunk: Chunk): boolean {
    if (this.#table.lists.changes || this.#hiding.isUsed) return false;
    return !this.#unlisted.isIn(textIn(chunk));
  }

  /** Of a GET on a path that is no endpoint: it is a stream of MCP if its first event says so. */
  watchMaybeStream(exchange: HttpExchange, caller: Caller): void {
    const [request, response] = [nodeRequest(exchange), nodeResponse(exchange)];
    if (this.#table.scopes.hides && wantsEvents(request)) keepReadable(request);
    let isMcp: boolean | undefined;
    const rewrite = (data: string, type?: string) => {
      isMcp ??= this.#state.sessions.open({ data, type }, response, ownerOf(caller));
      return isMcp ? this.#rewritten(data, caller) : data;
    };
    rewriteEvents(response, rewrite, (chunk) => {
      if (isMcp === undefined && !mayOpen(chunk) && hasData(chunk)) isMcp = false;
      return isMcp === false || (isMcp === true && this.#leavesAlone(chunk));
    });
  }

  /** Takes out of the answer what the caller may not know of. Again, where the server has taught more. */
  conceal(exchange: HttpExchange, caller: Caller, request: McpRequest, verdict: McpVerdict): void {
    const { hidden } = verdict;
    if (this.#isRewritten(request)) this.#rewrite(exchange, caller, request, verdict);
    if (hidden.length > 0) this.#hide(exchange, caller, hidden);
    renewRawBody(exchange.request);
  }

  #rewrite(
    exchange: HttpExchange,
    caller: Caller,
    { mayMakeTask, wantsTasks }: McpRequest,
    ruled: Ruled,
  ): void {
    const response = nodeResponse(exchange);
    const isRewriting = this.#rewriting.has(response);
    this.#rewriting.set(response, ruled);
    if (isRewriting) return;
    keepReadable(nodeRequest(exchange));
    rewriteMessages(response, (json) => {
      const { needs, listed } = this.#rewriting.get(response) ?? ruled;
      const madeTask = mayMakeTask ? needs : undefined;
      return this.#rewritten(json, caller, { tasks: wantsTasks, madeTask, listed });
    });
  }

  /**
   * Where something is hidden, the answers to all names pass the same way, or their form (compressed, in
   * pieces, with an `ETag`) would tell a hidden one from one that nobody has.
   */
  #isRewritten(request: McpRequest): boolean {
    const { operations, tasks, wantsTasks, mayMakeTask } = request;
    const wantsList = request.lists.length > 0;
    if (tasks.length > 0 || wantsTasks || mayMakeTask) return true;
    const { scopes, lists } = this.#table;
    if (scopes.hides) return wantsList || operations.length > 0;
    return wantsList && (lists.changes || this.#unlisted.isWatching);
  }

  #rewritten(
    json: string,
    caller: Caller,
    { tasks, madeTask, listed }: Told = {},
  ): string | undefined {
    const { lists } = this.#table;
    return rewritten(this.#hiding.restore(json), (message) => {
      this.#nameUnlisted(message);
      if (madeTask !== undefined) this.#state.tasks.learn(message, ownerOf(caller), madeTask);
      const shown = lists.forCaller(message, caller, listed);
      if (tasks !== true) return shown;
      return withoutTasks(shown, (id) => this.#judge.showsTask(id, caller));
    });
  }

  #nameUnlisted(message: unknown): void {
    for (const { kind, name } of this.#unlisted.see(message)) {
      this.#events.emit({ type: 'unlisted_name', kind, name });
    }
  }

  #hide(exchange: HttpExchange, caller: Caller, names: readonly HiddenName[]): void {
    const operations = names.map(({ method, name }) => ({ method, name }));
    this.#events.emit({ type: 'hidden', caller: eventCaller(caller), operations });
    this.#hiding.hide(exchange.request, names);
  }
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

/** Whether an event in it may be the one that opens a session: its type is a line of its own. */
function mayOpen(chunk: Chunk): boolean {
  return textIn(chunk).includes('endpoint');
}

/** Whether it certainly has an event, which is then the first. */
function hasData(chunk: Chunk): boolean {
  const text = textIn(chunk);
  return text.indexOf('data:') === 0 || text.includes('\ndata:');
}

function textIn(chunk: Chunk): Pick<string, 'includes' | 'indexOf'> | Buffer {
  return typeof chunk === 'string' ? chunk : bytesOf(chunk);
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
