import { setTimeout as delay } from 'node:timers/promises';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import { type Asking, META } from '../upstream/modern-rpc.js';
import type { Upstream } from '../upstream/upstream.js';
import { MODERN } from '../wire/modern-request.js';
import { eventsOf } from '../wire/read-message.js';
import { outgoingRequest } from '../wire/upstream-request.js';
import { changesOf, type ListenFilter, listsChangedBy } from './listen-filter.js';
import type { ListenStream } from './listen-stream.js';

const LISTEN = 'subscriptions/listen';
const MAX_EVENT_BYTES = 1_048_576;
const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/** Listens to one upstream for one client, for as long as the client does. */
export class UpstreamListener {
  readonly #upstream: Upstream;
  readonly #registry: UpstreamRegistry;
  readonly #stream: ListenStream;

  constructor(upstream: Upstream, registry: UpstreamRegistry, stream: ListenStream) {
    this.#upstream = upstream;
    this.#registry = registry;
    this.#stream = stream;
  }

  /** Never rejects: an upstream that is away comes back some time, and may have changed then. */
  async listen(filter: ListenFilter, asking: Omit<Asking, 'timeoutMs'>): Promise<void> {
    const { signal } = asking;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        if ((await this.#registry.eraOf(this.#upstream, asking)) !== MODERN) return;
        const events = await this.#open(filter, asking);
        if (events === undefined) return; // it tells of no changes
        if (failures > 0) for (const method of changesOf(filter)) this.#changed(method);
        failures = 0;
        for await (const data of events) this.#pass(data);
      } catch (error) {
        if (!signal.aborted) this.#registry.log(error);
      }
      const pauseMs = Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** Math.min(failures, 5));
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined); // ended: looked at above
    }
  }

  async #open(filter: ListenFilter, asking: Omit<Asking, 'timeoutMs'>) {
    const params = { notifications: filter, _meta: META };
    const { body, status, isEvents } = await this.#upstream.call({
      ...asking,
      ...outgoingRequest({ id: 1, method: LISTEN, params }),
      method: 'POST',
      strategy: this.#upstream.options.token,
      operation: { method: LISTEN },
      timeoutMs: undefined,
    });
    if (status === 200 && isEvents) return eventsOf(body, MAX_EVENT_BYTES);
    body.destroy();
    return undefined;
  }

  #pass(data: string): void {
    const message = parsed(data);
    if (!isJsonObject(message)) return;
    const method = member(message, 'method');
    if (typeof method !== 'string') return;
    const uri = memberOf(member(message, 'params'), 'uri');
    if (method === 'notifications/resources/updated' && typeof uri === 'string') {
      this.#stream.updated(uri);
    } else this.#changed(method);
  }

  #changed(method: string): void {
    for (const shape of listsChangedBy(method))
      this.#registry.catalogue.forget(this.#upstream, shape);
    this.#stream.changed(method);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
