import type { ServerResponse } from 'node:http';
import { UnknownOperationError, RpcError } from '../wire/gateway-errors.js';
import { INTERNAL_ERROR, INVALID_PARAMS, type RequestId } from '../wire/json-rpc-answer.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { Upstream } from '../upstream/upstream.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { ChangeFeeds } from '../changes/change-feeds.js';
import {
  isEmptyFilter,
  type ListenFilter,
  listenFilter,
  MAX_NAMED,
  withUris,
} from '../changes/listen-filter.js';
import { SessionListener } from '../changes/session-listener.js';
import { UpstreamSessions } from '../upstream/upstream-sessions.js';
import type { Interest } from '../changes/modern-feed.js';
import { ListenStream } from './listen-stream.js';
import type { ChangeListener } from '../changes/event-stream.js';
import type { HeldTasks } from '../tasks/held-tasks.js';
import { declaresTasks, tasksNeeded } from '../wire/task-shapes.js';
import { MODERN, type ModernRequest } from '../wire/modern-request.js';
import type { Pass } from './pass-through.js';

/** The streams of changes that clients hold open (MCP 2026-07-28). */
export class ListenStreams {
  readonly #registry: UpstreamRegistry;
  readonly #feeds: ChangeFeeds;
  readonly #tasks: HeldTasks;
  readonly #open = new Set<ListenStream>();
  readonly #perCaller = new Map<string, number>();

  constructor(registry: UpstreamRegistry, feeds: ChangeFeeds, tasks: HeldTasks) {
    this.#registry = registry;
    this.#feeds = feeds;
    this.#tasks = tasks;
  }

  /** @throws RpcError for what is no filter, and where there are too many streams */
  async open(request: ModernRequest, asking: Omit<Asking, 'timeoutMs'>): Promise<Pass> {
    const filter = listenFilter(request.params);
    if (filter === undefined) {
      const message = `Invalid params: 'notifications' must be a filter, of ${MAX_NAMED} resources and tasks at most`;
      throw new RpcError(200, { code: INVALID_PARAMS, message });
    }
    if (filter.taskIds !== undefined && !declaresTasks(request.params)) {
      throw new RpcError(400, tasksNeeded('taskIds needs the extension for tasks: declare it'));
    }
    const wanted = await this.#byUpstream(filter, asking);
    const uris = [...wanted.values()].flatMap(
      ({ resourceSubscriptions = [] }) => resourceSubscriptions,
    );
    const owned = [...wanted].flatMap(([{ name: upstream }, { taskIds = [] }]) =>
      taskIds.map((id) => this.#oursOf(id, upstream, asking)),
    );
    return this.#pass(request.id, withUris(filter, uris, owned), wanted, asking);
  }

  /** Ends all with their last message. */
  endAll(): void {
    for (const stream of this.#open) stream.end();
  }

  /** What each upstream is asked for: changes of its lists, and its own resources. */
  async #byUpstream(
    filter: ListenFilter,
    asking: Omit<Asking, 'timeoutMs'>,
  ): Promise<Map<Upstream, ListenFilter>> {
    const uris = new Map<Upstream, string[]>();
    const { routes } = this.#registry;
    for (const uri of filter.resourceSubscriptions ?? []) {
      if (asking.isShown?.(uri, 'resources') === false) continue;
      const route = await routes.resource(uri, asking).catch((error: unknown) => {
        if (asking.signal.aborted || error instanceof UnknownOperationError) throw error;
        return undefined; // its upstream is away
      });
      if (route !== undefined) uris.set(route.upstream, [...(uris.get(route.upstream) ?? []), uri]);
    }
    const tasks = await this.#tasksOf(filter.taskIds ?? [], asking);
    const wanted = this.#registry.all.map((upstream) => {
      const ids = tasks.filter((one) => one.upstream === upstream).map(({ own }) => own);
      return [upstream, withUris(filter, uris.get(upstream) ?? [], ids)] as const;
    });
    return new Map(wanted.filter(([, one]) => !isEmptyFilter(one)));
  }

  /** Those that there are; of upstreams with sessions, those that are held here. */
  async #tasksOf(
    ids: readonly string[],
    asking: Omit<Asking, 'timeoutMs'>,
  ): Promise<readonly { readonly upstream: Upstream; readonly own: string }[]> {
    const { callerKey } = asking;
    const found = ids.map(async (taskId) => {
      try {
        const routed = this.#registry.taskRoutes.route('tasks/get', { taskId }, callerKey);
        if (routed === undefined) return [];
        const { upstream, item } = routed.route;
        const isModern = (await this.#registry.eraOf(upstream, asking)) === MODERN;
        const isThere = isModern || this.#tasks.find(taskId, callerKey) !== undefined;
        return isThere ? [{ upstream, own: item.own }] : [];
      } catch {
        return []; // somebody else's, or away
      }
    });
    return (await Promise.all(found)).flat();
  }

  #oursOf(taskId: string, upstream: string, { callerKey }: Pick<Asking, 'callerKey'>): string {
    return this.#registry.tasks.wrap(taskId, { upstream, callerKey });
  }

  #pass(
    id: RequestId,
    filter: ListenFilter,
    wanted: ReadonlyMap<Upstream, ListenFilter>,
    asking: Omit<Asking, 'timeoutMs'>,
  ): Pass {
    const { callerKey } = asking;
    this.#requirePlace(callerKey);
    return async (response: ServerResponse) => {
      this.#requirePlace(callerKey); // others may have come since
      const leave = this.#enter(callerKey);
      const stream = new ListenStream(response, id, filter);
      this.#open.add(stream);
      let stop = this.#listen(stream, wanted, asking);
      const forget = this.#registry.onChange(() => {
        stop();
        stream.listsChanged();
        stop = this.#listen(stream, this.#byUpstream(filter, asking), asking);
      });
      await stream.closed;
      forget();
      stop();
      this.#open.delete(stream);
      leave();
    };
  }

  /** @returns stops it */
  #listen(
    stream: ListenStream,
    wanted: ReadonlyMap<Upstream, ListenFilter> | Promise<ReadonlyMap<Upstream, ListenFilter>>,
    asking: Omit<Asking, 'timeoutMs'>,
  ): () => void {
    const stop = new AbortController();
    const signal = AbortSignal.any([asking.signal, stop.signal]);
    void Promise.resolve(wanted)
      .catch(() => new Map<Upstream, ListenFilter>()) // the client has gone
      .then((upstreams) => {
        for (const [upstream, filter] of upstreams) {
          const interest = {
            filter,
            listener: this.#listenerFor(stream, upstream, asking),
            asking: { ...asking, signal },
          };
          void this.#feeds.listen(upstream, interest, () => {
            this.#hearTasks(upstream, stream, interest);
            void this.#inSession(upstream, interest);
          });
        }
      });
    return () => stop.abort(new Error('nobody listens any more'));
  }

  #listenerFor(
    stream: ListenStream,
    { name }: Upstream,
    asking: Pick<Asking, 'callerKey'>,
  ): ChangeListener {
    return {
      changed: (method) => stream.changed(method),
      updated: (uri) => stream.updated(uri),
      task: (task) => {
        const taskId = this.#oursOf(String(task['taskId']), name, asking);
        stream.toldOfTask({ ...task, taskId });
      },
    };
  }

  /** Each of them has its own session. */
  #hearTasks({ name }: Upstream, stream: ListenStream, { filter, asking }: Interest): void {
    for (const own of filter.taskIds ?? []) {
      const task = this.#tasks.find(this.#oursOf(own, name, asking), asking.callerKey);
      task?.listen((state) => stream.toldOfTask(state), asking);
    }
  }

  /** An upstream of an earlier revision gets a session for this stream alone, for as long as it is open. */
  async #inSession(upstream: Upstream, { filter, listener, asking }: Interest): Promise<void> {
    if (isEmptyFilter(withUris(filter, filter.resourceSubscriptions ?? []))) return; // tasks alone
    const sessions = new UpstreamSessions({ capabilities: {}, clientInfo: undefined });
    const subscribing = (filter.resourceSubscriptions ?? []).map((uri) =>
      sessions.subscribe(upstream, uri, asking),
    );
    for (const outcome of await Promise.allSettled(subscribing)) {
      if (outcome.status === 'rejected') this.#registry.log(outcome.reason);
    }
    await new SessionListener(upstream, sessions, this.#registry, listener).listen(asking);
    await sessions.close();
  }

  /** @throws RpcError */
  #requirePlace(callerKey: string): void {
    const { perCaller, total } = this.#registry.options.listenStreams;
    const own = this.#perCaller.get(callerKey) ?? 0;
    if (own < perCaller && this.#open.size < total) return;
    throw new RpcError(200, { code: INTERNAL_ERROR, message: 'Subscription limit reached' });
  }

  /** @returns gives the place back */
  #enter(callerKey: string): () => void {
    this.#perCaller.set(callerKey, (this.#perCaller.get(callerKey) ?? 0) + 1);
    return () => {
      const left = (this.#perCaller.get(callerKey) ?? 1) - 1;
      if (left === 0) this.#perCaller.delete(callerKey);
      else this.#perCaller.set(callerKey, left);
    };
  }
}
