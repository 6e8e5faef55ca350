import { AnonymousCaller } from '../../core/token/caller.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import { UpstreamSessions } from '../upstream/upstream-sessions.js';
import type { Upstream } from '../upstream/upstream.js';
import type { ChangeFeeds } from './change-feeds.js';
import { ALL_LISTS } from './listen-filter.js';
import type { Interest } from './modern-feed.js';
import { SessionListener } from './session-listener.js';

/** What the gateway hears makes its lists old; clients that listen hear it by themselves. */
const NOBODY = { changed: () => undefined, updated: () => undefined };

/** Listens to the upstreams whose option `watch` has a token for it, also while no client does. */
export class UpstreamWatches {
  readonly #registry: UpstreamRegistry;
  readonly #feeds: ChangeFeeds;
  readonly #watched = new Map<Upstream, AbortController>();
  #forget: (() => void) | undefined;

  constructor(registry: UpstreamRegistry, feeds: ChangeFeeds) {
    this.#registry = registry;
    this.#feeds = feeds;
  }

  /** Upstreams that are added and replaced later are watched, too. */
  start(): void {
    this.#forget = this.#registry.onChange(() => this.#follow());
    this.#follow();
  }

  stop(): void {
    this.#forget?.();
    for (const upstream of this.#watched.keys()) this.#end(upstream);
  }

  #follow(): void {
    const all = new Set(this.#registry.all);
    for (const upstream of this.#watched.keys()) if (!all.has(upstream)) this.#end(upstream);
    for (const upstream of all) if (!this.#watched.has(upstream)) this.#begin(upstream);
  }

  #end(upstream: Upstream): void {
    this.#watched.get(upstream)?.abort(new Error('it is watched no more'));
    this.#watched.delete(upstream);
  }

  #begin(upstream: Upstream): void {
    const { watch } = upstream.options;
    if (watch === 'streams') return;
    const stop = new AbortController();
    this.#watched.set(upstream, stop);
    const { claims } = new AnonymousCaller(upstream.options.resource);
    const caller = { claims, token: '' };
    const asking = { caller, callerKey: '', signal: stop.signal, strategy: watch };
    const interest = { filter: ALL_LISTS, listener: NOBODY, asking };
    void this.#feeds.listen(upstream, interest, () => void this.#inSession(upstream, interest));
  }

  async #inSession(upstream: Upstream, { listener, asking }: Interest): Promise<void> {
    const sessions = new UpstreamSessions({ capabilities: {}, clientInfo: undefined });
    await new SessionListener(upstream, sessions, this.#registry, listener).listen(asking);
    await sessions.close();
  }
}
