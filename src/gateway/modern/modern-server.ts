import type { Eventually } from '../../core/lib/deadline.js';
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, memberOf } from '../../core/lib/members.js';
import type { ChangeFeeds } from '../changes/change-feeds.js';
import { ListenStreams } from './listen-streams.js';
import { type Pass, passThrough } from './pass-through.js';
import { callInSession } from '../legacy/call-in-session.js';
import { requireParamHeaders } from '../listing/param-headers.js';
import type { OperationRouter } from '../listing/operation-router.js';
import type { Route } from '../listing/routing-table.js';
import { taskOwner } from '../listing/task-router.js';
import type { Message } from '../upstream/reply-messages.js';
import { type ListShape, listShapeOf } from '../listing/list-kinds.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import { RpcError, UnknownOperationError } from '../wire/gateway-errors.js';
import {
  METHOD_NOT_FOUND,
  resultAnswer,
  resultTextAnswer,
  type RpcAnswer,
} from '../wire/json-rpc-answer.js';
import { MODERN, type ModernRequest } from '../wire/modern-request.js';
import { passedOn } from '../wire/upstream-request.js';

/** What surrounds a request. */
export interface Surroundings {
  readonly headers: IncomingHttpHeaders;
  /**
   * Asks the guard once more, by what lists have taught since. It may put another name into the request.
   *
   * @throws as the guard does
   */
  readonly judgeAgain: () => Eventually<void>;
  readonly asking: Omit<Asking, 'timeoutMs'>;
}

const SERVER_INFO = 'io.modelcontextprotocol/serverInfo';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const TASKS = 'io.modelcontextprotocol/tasks';
const VERSION = '0.1.0';

/** Answers requests of MCP 2026-07-28, without a session and without an MCP package. */
export class ModernServer {
  readonly listens: ListenStreams;
  readonly #registry: UpstreamRegistry;
  readonly #router: OperationRouter;

  constructor(registry: UpstreamRegistry, router: OperationRouter, feeds: ChangeFeeds) {
    this.#registry = registry;
    this.#router = router;
    this.listens = new ListenStreams(registry, feeds);
  }

  /** @throws RpcError, UnknownOperationError, UpstreamError, and what guard and token strategies throw */
  async answer(request: ModernRequest, surroundings: Surroundings): Promise<RpcAnswer | Pass> {
    const shape = listShapeOf(request.method);
    if (shape !== undefined) return this.#list(request, shape, surroundings);
    switch (request.method) {
      case 'server/discover':
        return resultAnswer(request.id, this.#discovered());
      case 'subscriptions/listen':
        return this.listens.open(request, surroundings.asking);
      default:
        return this.#operation(request, surroundings);
    }
  }

  #discovered() {
    return {
      resultType: 'complete',
      ttlMs: 60_000,
      cacheScope: 'private',
      supportedVersions: [MODERN],
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        extensions: { [TASKS]: {} },
      },
      _meta: this.#meta(),
    };
  }

  async #list(
    { id, params }: ModernRequest,
    shape: ListShape,
    { asking }: Surroundings,
  ): Promise<RpcAnswer> {
    const { entries, nextCursor, ttlMs, meta } = await this.#registry.page(
      shape,
      params['cursor'],
      asking,
    );
    const cursor = nextCursor === undefined ? '' : `,"nextCursor":${JSON.stringify(nextCursor)}`;
    const text =
      `{"resultType":"complete","ttlMs":${ttlMs},"cacheScope":"private",` +
      `"${shape.kind}":[${entries}]${cursor},"_meta":${JSON.stringify(this.#meta(meta))}}`;
    return resultTextAnswer(id, text);
  }

  #meta(more: Readonly<Record<string, unknown>> = {}) {
    return {
      [SERVER_INFO]: { name: this.#registry.options.serverName, version: VERSION },
      ...more,
    };
  }

  async #operation(
    request: ModernRequest,
    { headers, judgeAgain, asking }: Surroundings,
  ): Promise<Pass> {
    const routed = await this.#router.route(request.method, request.params, asking, judgeAgain);
    if (routed === undefined) {
      throw new RpcError(404, { code: METHOD_NOT_FOUND, message: 'Method not found' });
    }
    const { route, name, params } = routed;
    if (request.method === 'tools/call') {
      requireParamHeaders(route.item, params['arguments'], headers);
    }
    const era = await this.#registry.eraOf(route.upstream, asking);
    if (era === MODERN) {
      const rewrite = this.#taskRewriting(request, route, asking.callerKey);
      return passThrough({
        route,
        request,
        params,
        name,
        headers: passedOn(headers),
        asking,
        rewrite,
      });
    }
    if (request.method.startsWith('tasks/')) throw new UnknownOperationError('Unknown task');
    return callInSession({ route, request, params, asking });
  }

  /** Only an answer that may name a task is read at all. */
  #taskRewriting({ method, params }: ModernRequest, route: Route, callerKey: string) {
    const declared = memberOf(memberOf(params['_meta'], CAPABILITIES), 'extensions');
    if (!isJsonObject(declared) || !Object.hasOwn(declared, TASKS)) return undefined;
    const owner = taskOwner(route, method, callerKey);
    return (message: Message) => this.#registry.tasks.wrapIn(message, owner);
  }
}
