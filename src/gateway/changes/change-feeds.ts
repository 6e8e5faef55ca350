import { setTimeout as delay } from 'node:timers/promises';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { Upstream } from '../upstream/upstream.js';
import { MODERN } from '../wire/modern-request.js';
import { type Interest, ModernFeed } from './modern-feed.js';
import { pauseAfter } from './upstream-changes.js';

/**
 * What all clients want to hear of upstreams. Those of 2026-07-28 have one stream for each caller, however
 * many of his streams here it is for; in earlier revisions what is heard belongs to a session, which
 * somebody else has.
 */
export class ChangeFeeds {
  readonly #registry: UpstreamRegistry;
  readonly #feeds = new Map<Upstream, Map<string, ModernFeed>>();

  constructor(registry: UpstreamRegistry) {
    this.#registry = registry;
  }

  /** Streams of upstreams that are open. */
  get size(): number {
    return [...this.#feeds.values()].reduce((sum, feeds) => sum + feeds.size, 0);
  }

  /**
   * Until the signal of `interest`. Never rejects: an upstream that is away is asked again what it speaks.
   *
   * @param inSession listens to an upstream of an earlier revision.
   */
  async listen(upstream: Upstream, interest: Interest, inSession: () => void): Promise<void> {
    const { signal } = interest.asking;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const era = await this.#registry.eraOf(upstream, interest.asking);
        return era === MODERN ? await this.join(upstream, interest) : inSession();
      } catch (error) {
        if (!signal.aborted) this.#registry.log(error);
      }
      await delay(pauseAfter(failures), undefined, { signal, ref: false }).catch(() => undefined); // ended: looked at above
    }
  }

  /** An upstream of 2026-07-28: kept once it tells of changes. */
  async join(upstream: Upstream, interest: Interest): Promise<void> {
    const { signal } = interest.asking;
    if (signal.aborted) return;
    const feeds = this.#feeds.get(upstream) ?? new Map<string, ModernFeed>();
    const key = keyOf(interest.asking);
    const feed = feeds.get(key) ?? new ModernFeed(upstream, this.#registry);
    this.#feeds.set(upstream, feeds.set(key, feed));
    const leave = (): void => {
      feed.leave(interest);
      if (feed.isEmpty && feeds.get(key) === feed) feeds.delete(key);
      if (feeds.size === 0) this.#feeds.delete(upstream);
    };
    signal.addEventListener('abort', leave, { once: true });
    await feed.join(interest);
  }
}

/** What an upstream tells may depend on what the caller may. */
function keyOf({ caller, callerKey }: Interest['asking']): string {
  return JSON.stringify([callerKey, [...caller.claims.scopes].sort()]);
}
