import type { ServerResponse } from 'node:http';
import { UnknownOperationError, RpcError } from '../wire/gateway-errors.js';
import { INTERNAL_ERROR, INVALID_PARAMS, type RequestId } from '../wire/json-rpc-answer.js';
import type { ModernRequest } from '../wire/modern-request.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { Upstream } from '../upstream/upstream.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { ChangeFeeds } from '../changes/change-feeds.js';
import {
  isEmptyFilter,
  type ListenFilter,
  listenFilter,
  withUris,
} from '../changes/listen-filter.js';
import { SessionListener } from '../changes/session-listener.js';
import { UpstreamSessions } from '../upstream/upstream-sessions.js';
import type { Interest } from '../changes/modern-feed.js';
import { ListenStream } from './listen-stream.js';
import type { Pass } from './pass-through.js';

/** The streams of changes that clients hold open (MCP 2026-07-28). */
export class ListenStreams {
  readonly #registry: UpstreamRegistry;
  readonly #feeds: ChangeFeeds;
  readonly #open = new Set<ListenStream>();
  readonly #perCaller = new Map<string, number>();

  constructor(registry: UpstreamRegistry, feeds: ChangeFeeds) {
    this.#registry = registry;
    this.#feeds = feeds;
  }

  /** @throws RpcError for what is no filter, and where there are too many streams */
  async open(request: ModernRequest, asking: Omit<Asking, 'timeoutMs'>): Promise<Pass> {
    const filter = listenFilter(request.params);
    if (filter === undefined) {
      const message = "Invalid params: 'notifications' must be a filter";
      throw new RpcError(200, { code: INVALID_PARAMS, message });
    }
    const wanted = await this.#byUpstream(filter, asking);
    const uris = [...wanted.values()].flatMap(
      ({ resourceSubscriptions = [] }) => resourceSubscriptions,
    );
    return this.#pass(request.id, withUris(filter, uris), wanted, asking);
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
    const wanted = this.#registry.all.map(
      (upstream) => [upstream, withUris(filter, uris.get(upstream) ?? [])] as const,
    );
    return new Map(wanted.filter(([, one]) => !isEmptyFilter(one)));
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
          const interest = { filter, listener: stream, asking: { ...asking, signal } };
          void this.#feeds.listen(
            upstream,
            interest,
            () => void this.#inSession(upstream, interest),
          );
        }
      });
    return () => stop.abort(new Error('nobody listens any more'));
  }

  /** An upstream of an earlier revision gets a session for this stream alone, for as long as it is open. */
  async #inSession(upstream: Upstream, { filter, listener, asking }: Interest): Promise<void> {
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
