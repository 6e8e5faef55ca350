import type { AuthplaneError } from '../../core/errors/authplane-error.js';
import { InvalidRequestError } from '../../core/errors/request-errors.js';
import {
  asksForTasks,
  type FoundName,
  type FoundOperation,
  isJsonRpc,
  isOpen,
  listsIn,
  mayMakeTask,
  messagesIn,
  methodsOf,
  type OperationKind,
  operationsOf,
  tasksOf,
} from '../../core/mcp/json-rpc.js';
import type { McpOptions } from '../../core/mcp/settings.js';
import { type HttpExchange, nodeRequest } from '../http/exchange.js';
import { urlsOf } from '../http/request.js';
import { comparablePath } from '../http/routes.js';
import { hasPlainNameHeader } from './answers/hiding.js';
import { BODILESS, isParsed, parsedText, unreadableBody, unreadJson } from './body.js';
import type { OperationTable } from './declared-operations.js';
import type { McpState } from './state/server-state.js';

/** What a request to an MCP server asks for, as far as its body tells. */
export interface McpRequest {
  readonly operations: readonly FoundOperation[];
  /** Tasks that it names by id. */
  readonly tasks: readonly FoundName[];
  /** What it wants lists of. */
  readonly lists: readonly OperationKind[];
  readonly wantsTasks: boolean;
  /** Whether the answer may name a task that it has made. */
  readonly mayMakeTask: boolean;
  /** Whether its messages are such that may need no caller, where anything is. */
  readonly isOpen: boolean;
  /** Why the body cannot be judged; to be thrown once the caller is known. */
  readonly problem?: AuthplaneError;
}

/** A GET on a path that is no endpoint, which may open the event stream of an MCP server. */
export const MAYBE_STREAM = Symbol('maybe an event stream');

const NOTHING: McpRequest = Object.freeze({
  operations: [],
  tasks: [],
  lists: [],
  wantsTasks: false,
  mayMakeTask: false,
  isOpen: true,
});

/** Reads what requests ask for that may be for the MCP servers behind one resource. */
export class McpRequestReader {
  /** As it is written, which needs no comparison. */
  readonly #pathname: string;
  readonly #path: string;
  readonly #judgesMethods: boolean;
  readonly #bindsState: boolean;
  readonly #admitsAnybody: boolean;
  readonly #table: OperationTable;
  readonly #sessions: McpState['sessions'];

  constructor(
    resource: string,
    { methods, unknownMethods, sessionBinding, authentication }: McpOptions,
    table: OperationTable,
    { sessions }: Pick<McpState, 'sessions'>,
  ) {
    this.#pathname = new URL(resource).pathname;
    this.#path = comparablePath(this.#pathname);
    this.#judgesMethods = methods !== undefined || unknownMethods === 'refuse';
    this.#bindsState = sessionBinding !== false;
    this.#admitsAnybody = authentication === 'when-needed';
    this.#table = table;
    this.#sessions = sessions;
  }

  /** Whether it is sent to the resource itself. */
  isAtEndpoint({ request }: HttpExchange): boolean {
    return urlsOf(request).some(
      (url) => url === this.#pathname || comparablePath(url) === this.#path,
    );
  }

  /**
   * What is to be judged; `undefined`: nothing. Never throws: a caller without a token is told about the
   * token first.
   *
   * MCP servers may stand on other paths than the resource: MCP-Nest 1 serves HTTP+SSE on two more. So
   * JSON-RPC is judged wherever it is sent, and JSON that nobody has parsed is refused, because a server
   * there could read it itself; any other body is left alone, but for those below the resource.
   */
  read(
    exchange: HttpExchange,
    { isEndpoint }: { readonly isEndpoint: boolean },
  ): McpRequest | typeof MAYBE_STREAM | undefined {
    if (isEndpoint || this.#isMessage(exchange)) return this.#readBody(exchange);
    if (!this.#servesMcp) return undefined;
    const { request } = exchange;
    const isBelowEndpoint = urlsOf(request).some((url) => this.#isBelow(url));
    const problem = unreadJson(request, { isBelowEndpoint });
    if (problem !== undefined) return { ...NOTHING, problem };
    return nodeRequest(exchange).method === 'GET' ? MAYBE_STREAM : undefined;
  }

  /** Whether there are MCP operations at all: without them no other path is looked at. */
  get #servesMcp(): boolean {
    return !this.#table.isEmpty;
  }

  /** Below the root nothing is, as no comparable path begins with a slash: it may be anything. */
  #isBelow(url: string): boolean {
    return comparablePath(url).startsWith(`${this.#path}/`);
  }

  #isMessage(exchange: HttpExchange): boolean {
    if (!this.#servesMcp) return false;
    const request = nodeRequest(exchange);
    const hasSession = BODILESS.has(request.method ?? '') && 'mcp-session-id' in request.headers;
    const { body } = exchange.request;
    return hasSession || this.#sessions.names(request) || isJsonRpc(parsedText(body));
  }

  #operationsIn(messages: object): readonly FoundOperation[] {
    const operations = operationsOf(messages);
    return this.#judgesMethods ? [...operations, ...methodsOf(messages)] : operations;
  }

  #readBody(exchange: HttpExchange): McpRequest {
    const problem = unreadableBody(exchange.request);
    if (problem !== undefined) return { ...NOTHING, problem };
    const { body } = exchange.request;
    const request = nodeRequest(exchange);
    if (!isParsed(body, request)) return NOTHING;
    if (this.#table.scopes.hides && !hasPlainNameHeader(request)) {
      return { ...NOTHING, problem: new InvalidRequestError('Mcp-Name in no canonical encoding') };
    }
    try {
      const messages = messagesIn(body);
      return {
        operations: this.#operationsIn(messages),
        tasks: this.#bindsState ? tasksOf(messages) : [],
        lists: listsIn(messages),
        wantsTasks: this.#bindsState && asksForTasks(messages),
        mayMakeTask: this.#bindsState && mayMakeTask(messages),
        isOpen: this.#admitsAnybody && isOpen(messages),
      };
    } catch (error) {
      return { ...NOTHING, problem: error as AuthplaneError }; // nothing else is thrown there
    }
  }
}
