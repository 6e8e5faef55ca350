import { TASKS_EXTENSION } from '../../core/mcp/json-rpc.js';
import type { Eventually } from '../../core/lib/deadline.js';
import type { IncomingHttpHeaders } from 'node:http';
import type { ChangeFeeds } from '../changes/change-feeds.js';
import { ListenStreams } from './listen-streams.js';
import { type Pass, passThrough } from './pass-through.js';
import { callInSession } from '../legacy/call-in-session.js';
import { callLegacyTool } from '../tasks/call-as-task.js';
import { heldAnswer } from '../tasks/held-answers.js';
import { HeldTasks } from '../tasks/held-tasks.js';
import { declaresTasks } from '../wire/task-shapes.js';
import { requireParamHeaders } from '../listing/param-headers.js';
import type { OperationRouter } from '../listing/operation-router.js';
import type { Route } from '../listing/routing-table.js';
import { taskOwner } from '../listing/task-router.js';
import type { Message } from '../upstream/reply-messages.js';
import { type ListShape, listShapeOf } from '../listing/list-kinds.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import { RpcError } from '../wire/gateway-errors.js';
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
const VERSION = '0.1.0';

/** Answers requests of MCP 2026-07-28, without a session and without an MCP package. */
export class ModernServer {
  readonly listens: ListenStreams;
  readonly tasks: HeldTasks;
  readonly #registry: UpstreamRegistry;
  readonly #router: OperationRouter;

  constructor(registry: UpstreamRegistry, router: OperationRouter, feeds: ChangeFeeds) {
    this.#registry = registry;
    this.#router = router;
    this.tasks = new HeldTasks(registry);
    this.listens = new ListenStreams(registry, feeds, this.tasks);
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
        extensions: { [TASKS_EXTENSION]: {} },
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
  ): Promise<RpcAnswer | Pass> {
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
    if (request.method.startsWith('tasks/')) return heldAnswer(request, asking, this.tasks);
    const call = { route, request, params, asking };
    return request.method === 'tools/call'
      ? callLegacyTool(call, this.tasks, this.#registry.tasks)
      : callInSession(call);
  }

  /** Only an answer that may name a task is read at all. */
  #taskRewriting({ method, params }: ModernRequest, route: Route, callerKey: string) {
    if (!declaresTasks(params)) return undefined;
    const owner = taskOwner(route, method, callerKey);
    return (message: Message) => this.#registry.tasks.wrapIn(message, owner);
  }
}
