import type { ProtocolEra } from '../mcp/answers/consent.js';
import { ConfigurationError } from '../core/errors/configuration-error.js';
import { resolveAdded } from './options/gateway-options.js';
import type { PinFile } from './options/pins.js';
import { callerKeyOf, type GatewayCaller } from './options/gateway-caller.js';
import type { UpstreamOptions } from './options/upstream-options.js';
import type { Upstream } from './upstream/upstream.js';
import { LISTS } from './listing/list-kinds.js';
import type { ProtectedResource } from '../nest/resources/protected-resources.js';
import type { BreakerState } from './upstream/upstream-breaker.js';
import type { UpstreamRegistry } from './listing/upstream-registry.js';

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
  /**
   * Since when it has failed at every call: no connection, no answer in time, status 5xx, no JSON.
   * `undefined` when the last one went well, or was refused.
   */
  readonly failingSince: Date | undefined;
  /** While `breaker` is not closed: seconds until it is asked again, and callers get 503 until then. */
  readonly retryAfterSeconds: number;
  /** Tools that it offers, by the newest list; `undefined`: never listed. */
  readonly toolCount: number | undefined;
  /** When that list was read. */
  readonly listedAt: Date | undefined;
}

/** A tool of an upstream, and what it takes to call it. */
export interface OfferedTool {
  /** What clients call it. */
  readonly name: string;
  /** What the upstream calls it. */
  readonly own: string;
  /** What callers need for it beside what the endpoint asks of everybody: all of `all`, one of each of `any`. */
  readonly scopes: {
    readonly all: readonly string[];
    readonly any: readonly (readonly string[])[];
  };
}

/** The upstreams of a gateway while it runs. */
export class GatewayUpstreams {
  readonly #registry: UpstreamRegistry;
  readonly #protectedBy: () => ProtectedResource;

  /** @internal Made by `AuthplaneGatewayModule`. */
  constructor(registry: UpstreamRegistry, protectedBy: () => ProtectedResource) {
    this.#registry = registry;
    this.#protectedBy = protectedBy;
  }

  /**
   * A further upstream, from the next request on. Clients that listen are told.
   *
   * @throws ConfigurationError naming every problem, also when there is one of that name; nothing has
   * changed then.
   */
  async add(name: string, options: UpstreamOptions): Promise<void> {
    if (this.#registry.get(name) !== undefined) throw this.#error(name, 'is there already');
    this.#put(name, options);
  }

  /**
   * The same name with other options. Calls that are under way finish as they began.
   *
   * @throws ConfigurationError naming every problem, also when there is none of that name; nothing has
   * changed then.
   */
  async replace(name: string, options: UpstreamOptions): Promise<void> {
    this.#required(name);
    this.#put(name, options);
  }

  /**
   * Its operations are unknown from now on. Calls that are under way finish.
   *
   * @throws ConfigurationError when there is none of that name.
   */
  async remove(name: string): Promise<void> {
    this.#required(name);
    this.#registry.remove(name);
    this.#registry.changed();
  }

  /**
   * Forgets its lists and what it speaks: the next request asks anew.
   *
   * @throws ConfigurationError when there is none of that name.
   */
  async refresh(name: string): Promise<void> {
    this.#registry.forget(this.#required(name));
    this.#registry.changed();
  }

  /**
   * What the tools of all upstreams with `pin` are like now: the content of the file `pins`, to be reviewed
   * and kept in the repository.
   *
   * @param caller who is shown all of them.
   * @throws why an upstream could not be listed.
   */
  async pins(caller: GatewayCaller): Promise<PinFile> {
    const callerKey = callerKeyOf(caller);
    const tools: Record<string, Readonly<Record<string, string>>> = {};
    for (const upstream of this.#registry.all.filter(({ options }) => options.pin !== 'off')) {
      const signal = AbortSignal.timeout(upstream.options.timeoutMs);
      tools[upstream.name] = await this.#registry.toolPins(upstream, { caller, callerKey, signal });
    }
    return { version: 1, tools };
  }

  #put(name: string, options: UpstreamOptions): void {
    const others = this.#registry.all.map((one) => one.options).filter((one) => one.name !== name);
    const {
      ownTools,
      options: { devMode, strategy },
    } = this.#registry;
    this.#registry.put(resolveAdded(name, options, { others, ownTools, devMode, strategy }));
    this.#registry.changed();
  }

  #required(name: string): Upstream {
    const upstream = this.#registry.get(name);
    if (upstream !== undefined) return upstream;
    throw this.#error(name, 'is not there');
  }

  #error(name: string, problem: string): ConfigurationError {
    return new ConfigurationError(`gateway: upstreams.${name}: ${problem}`);
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
        failingSince: this.#dateOf(upstream.breaker.failingSince),
        retryAfterSeconds: upstream.breaker.secondsLeft,
        toolCount: newest?.list.items.length,
        listedAt: this.#dateOf(newest?.readAt),
      };
    });
  }

  /**
   * The tools of one upstream, by the newest list that anybody has read of it, and the scopes that callers
   * need here. Asks nobody. Empty when it was never listed.
   *
   * @throws ConfigurationError when there is none of that name.
   */
  tools(name: string): readonly OfferedTool[] {
    const newest = this.#registry.catalogue.newest(this.#required(name), LISTS.tools);
    const { scopes } = this.#protectedBy().mcp;
    return (newest?.list.items ?? [])
      .filter(({ isBlocked }) => !isBlocked)
      .map(({ name: exposed, own }) => {
        const { all, anyOf } = scopes.staticNeeds({ kind: 'tool', name: exposed });
        return { name: exposed, own, scopes: { all, any: anyOf } };
      });
  }

  #dateOf(elapsed: number | undefined): Date | undefined {
    return elapsed === undefined ? undefined : this.#registry.dateOf(elapsed);
  }
}
