import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, memberOf } from '../../core/lib/members.js';
import { ListenStreams } from './listen-streams.js';
import { type Pass, type Passing, passThrough } from './pass-through.js';
import { type ListShape, listShapeOf } from '../listing/list-kinds.js';
import { cursorAfter, type MergedList, mergedList, startOf } from '../listing/merged-list.js';
import type { Route } from '../listing/routing-table.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import { RpcError, UnknownOperationError } from '../wire/gateway-errors.js';
import {
  INVALID_PARAMS,
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
  readonly judgeAgain: () => void;
  readonly asking: Omit<Asking, 'timeoutMs'>;
}

const SERVER_INFO = 'io.modelcontextprotocol/serverInfo';
const UNAVAILABLE = 'ai.authplane/unavailable';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const TASKS = 'io.modelcontextprotocol/tasks';
const VERSION = '0.1.0';

/** Answers requests of MCP 2026-07-28, without a session and without an MCP package. */
export class ModernServer {
  readonly listens: ListenStreams;
  readonly #registry: UpstreamRegistry;

  constructor(registry: UpstreamRegistry) {
    this.#registry = registry;
    this.listens = new ListenStreams(registry);
  }

  /** @throws RpcError, UnknownOperationError, UpstreamError, and what guard and token strategies throw */
  async answer(request: ModernRequest, surroundings: Surroundings): Promise<RpcAnswer | Pass> {
    const shape = listShapeOf(request.method);
    if (shape !== undefined) return this.#list(request, shape, surroundings);
    switch (request.method) {
      case 'server/discover':
        return resultAnswer(request.id, this.#discovered());
      case 'tools/call':
        return this.#operation(request, 'tools', surroundings);
      case 'prompts/get':
        return this.#operation(request, 'prompts', surroundings);
      case 'resources/read':
        return this.#resource(request, surroundings);
      case 'completion/complete':
        return this.#completion(request, surroundings);
      case 'subscriptions/listen':
        return this.listens.open(request, surroundings.asking);
      default:
        throw new RpcError(404, { code: METHOD_NOT_FOUND, message: 'Method not found' });
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
      },
      _meta: this.#meta(),
    };
  }

  async #list(
    { id, params }: ModernRequest,
    shape: ListShape,
    { asking }: Surroundings,
  ): Promise<RpcAnswer> {
    const { catalogue, warnings, options } = this.#registry;
    const merged = await mergedList(this.#registry.all, shape, asking, { catalogue, warnings });
    const start = startOf(params['cursor'], shape.kind, merged.items);
    if (start === undefined) throw invalidParams('the cursor is not of this list');
    for (const { error } of merged.unavailable) this.#registry.log(error);
    return resultTextAnswer(id, this.#page(merged, shape, start, options.pageSize));
  }

  #page(
    { items, ttlMs, unavailable }: MergedList,
    { kind }: ListShape,
    start: number,
    size: number,
  ) {
    const page = items.slice(start, start + size);
    const last = page.at(-1);
    const isLast = last === undefined || start + size >= items.length;
    const meta = this.#meta(
      unavailable.length === 0
        ? {}
        : { [UNAVAILABLE]: unavailable.map(({ upstream }) => upstream) },
    );
    const cursor = isLast ? '' : `,"nextCursor":${JSON.stringify(cursorAfter(kind, last))}`;
    const entries = page.map(({ text }) => text).join(',');
    return (
      `{"resultType":"complete","ttlMs":${ttlMs},"cacheScope":"private",` +
      `"${kind}":[${entries}]${cursor},"_meta":${JSON.stringify(meta)}}`
    );
  }

  #meta(more: Readonly<Record<string, unknown>> = {}) {
    return {
      [SERVER_INFO]: { name: this.#registry.options.serverName, version: VERSION },
      ...more,
    };
  }

  async #operation(
    request: ModernRequest,
    kind: 'tools' | 'prompts',
    surroundings: Surroundings,
  ): Promise<Pass> {
    const name = textIn(request.params, 'name');
    const what = kind === 'tools' ? 'tool' : 'prompt';
    const route = await this.#registry.routes.named(kind, name, surroundings.asking);
    surroundings.judgeAgain();
    const judged = textIn(request.params, 'name');
    if (route === undefined || judged !== name) {
      throw new UnknownOperationError(`Unknown ${what}: ${judged}`);
    }
    const { own } = route.item;
    return this.#pass(
      route,
      request,
      { params: { ...request.params, name: own }, name: own },
      surroundings,
    );
  }

  async #resource(request: ModernRequest, surroundings: Surroundings): Promise<Pass> {
    const uri = textIn(request.params, 'uri');
    const route = await this.#registry.routes.resource(uri, surroundings.asking);
    surroundings.judgeAgain();
    const judged = textIn(request.params, 'uri');
    if (route === undefined || judged !== uri) {
      throw new UnknownOperationError(`Unknown resource: ${judged}`);
    }
    return this.#pass(route, request, { params: request.params, name: uri }, surroundings);
  }

  async #completion(request: ModernRequest, surroundings: Surroundings): Promise<Pass> {
    const { params } = request;
    const ref = params['ref'];
    const isPrompt = memberOf(ref, 'type') === 'ref/prompt';
    const member = isPrompt ? 'name' : 'uri';
    const name = textIn(ref, member);
    const { routes } = this.#registry;
    const { asking } = surroundings;
    const route = await (isPrompt
      ? routes.named('prompts', name, asking)
      : routes.template(name, asking));
    surroundings.judgeAgain();
    const judged = textIn(params['ref'], member);
    if (route === undefined || judged !== name) {
      throw new UnknownOperationError(`Unknown ${isPrompt ? 'prompt' : 'resource'}: ${judged}`);
    }
    const own = { ...objectOf(ref), [member]: route.item.own };
    const passed = { params: { ...params, ref: own }, name: undefined };
    return this.#pass(route, request, passed, surroundings);
  }

  async #pass(
    route: Route,
    request: ModernRequest,
    { params, name }: Pick<Passing, 'params' | 'name'>,
    { headers, asking }: Surroundings,
  ): Promise<Pass> {
    const era = await this.#registry.eraOf(route.upstream, asking);
    if (era !== MODERN) throw route.upstream.error('upstream_failed', 'it speaks 2025-11-25', {});
    return passThrough({
      route,
      request,
      params: withoutTasks(params),
      name,
      headers: passedOn(headers),
      asking,
    });
  }
}

/** Ids of tasks would be those of the upstream, which nobody could tell apart. */
function withoutTasks(
  params: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const meta = params['_meta'];
  const capabilities = memberOf(meta, CAPABILITIES);
  const extensions = memberOf(capabilities, 'extensions');
  if (!isJsonObject(extensions) || !Object.hasOwn(extensions, TASKS)) return params;
  const others = Object.entries(extensions).filter(([name]) => name !== TASKS);
  const without = { ...objectOf(capabilities), extensions: Object.fromEntries(others) };
  return { ...params, _meta: { ...objectOf(meta), [CAPABILITIES]: without } };
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return isJsonObject(value) ? value : {};
}

function textIn(holder: unknown, member: string): string {
  const text = memberOf(holder, member);
  if (typeof text === 'string') return text;
  throw invalidParams(`${member} must be a string`);
}

function invalidParams(problem: string): RpcError {
  return new RpcError(200, { code: INVALID_PARAMS, message: `Invalid params: ${problem}` });
}
