import type { ProtocolEra } from '../mcp/answers/consent.js';
import { LISTS } from './listing/list-kinds.js';
import type { BreakerState } from './upstream/upstream-breaker.js';
import type { UpstreamRegistry } from './upstream-registry.js';

/** How an upstream is doing. */
export interface UpstreamState {
  /** Its name in the options. */
  readonly name: string;
  /** Its endpoint. */
  readonly url: string;
  /** What it speaks; `undefined` while nobody has asked it. */
  readonly era: ProtocolEra | undefined;
  /** `open`: it is spared for a while. */
  readonly breaker: BreakerState;
  /** Code of its last failure; `undefined` when the last call went well. */
  readonly lastError: string | undefined;
  /** Tools that it offers, by the newest list; `undefined`: never listed. */
  readonly toolCount: number | undefined;
  /** When that list was read. */
  readonly listedAt: Date | undefined;
}

/** The upstreams of a gateway while it runs. */
export class GatewayUpstreams {
  readonly #registry: UpstreamRegistry;

  /** @internal Made by `AuthplaneGatewayModule`. */
  constructor(registry: UpstreamRegistry) {
    this.#registry = registry;
  }

  /** Of every upstream, in the order of the options. Asks nobody. */
  states(): readonly UpstreamState[] {
    return this.#registry.all.map((upstream) => {
      const newest = this.#registry.catalogue.newest(upstream, LISTS.tools);
      return {
        name: upstream.name,
        url: upstream.options.url,
        era: this.#registry.knownEraOf(upstream),
        breaker: upstream.breaker.state,
        lastError: upstream.lastError,
        toolCount: newest?.list.items.length,
        listedAt: newest === undefined ? undefined : this.#registry.dateOf(newest.readAt),
      };
    });
  }
}
