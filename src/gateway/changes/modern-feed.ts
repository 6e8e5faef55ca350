import { setTimeout as delay } from 'node:timers/promises';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { TASKS_EXTENSION } from '../../core/mcp/json-rpc.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import { type Asking, META, strategyOf } from '../upstream/modern-rpc.js';
import type { Upstream } from '../upstream/upstream.js';
import { eventsOf } from '../wire/read-message.js';
import { MODERN_TASK_NEWS } from '../wire/task-shapes.js';
import { outgoingRequest } from '../wire/upstream-request.js';
import type { ChangeListener } from './event-stream.js';
import { changesOf, covers, type ListenFilter, unionOf } from './listen-filter.js';
import { noteChange, pauseAfter } from './upstream-changes.js';

/** Of one listener: what he wants to hear, and whose token may ask for it. */
export interface Interest {
  readonly filter: ListenFilter;
  readonly listener: ChangeListener;
  readonly asking: Omit<Asking, 'timeoutMs'>;
}

const LISTEN = 'subscriptions/listen';
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';
/** Whoever listens to tasks can handle them. */
const ABLE = {
  ...META,
  'io.modelcontextprotocol/clientCapabilities': { extensions: { [TASKS_EXTENSION]: {} } },
};
const MAX_EVENT_BYTES = 1_048_576;

interface Stream {
  readonly filter: ListenFilter;
  readonly stop: AbortController;
  /** The upstream tells of changes from now on; or has said that it does not. */
  readonly ready: Promise<void>;
}

/**
 * One stream of changes of one upstream of 2026-07-28, for all listeners of one caller. It asks for what
 * they want together, and ends with the last of them.
 */
export class ModernFeed {
  readonly #upstream: Upstream;
  readonly #registry: UpstreamRegistry;
  readonly #interests = new Set<Interest>();
  #stream: Stream | undefined;
  #opening: Promise<void> | undefined;

  constructor(upstream: Upstream, registry: UpstreamRegistry) {
    this.#upstream = upstream;
    this.#registry = registry;
  }

  get isEmpty(): boolean {
    return this.#interests.size === 0;
  }

  /** Heard once the promise is kept, until {@link leave}. Never rejects. */
  async join(interest: Interest): Promise<void> {
    this.#interests.add(interest);
    // Whoever joins at the same moment is asked for together.
    this.#opening ??= Promise.resolve().then(() => this.#widen());
    await this.#opening;
    await this.#stream?.ready;
  }

  leave(interest: Interest): void {
    this.#interests.delete(interest);
    if (!this.isEmpty) return;
    this.#stream?.stop.abort(new Error('nobody listens any more'));
    this.#stream = undefined;
  }

  /** The new stream is there before the old one ends, so that nothing is missed. */
  #widen(): void {
    this.#opening = undefined;
    const filter = unionOf([...this.#interests].map((one) => one.filter));
    const before = this.#stream;
    if (this.isEmpty || (before !== undefined && covers(before.filter, filter))) return;
    const stop = new AbortController();
    const ready = new Promise<void>((resolve) => {
      void this.#run(filter, stop.signal, resolve);
    });
    this.#stream = { filter, stop, ready };
    void ready.then(() => before?.stop.abort(new Error('another stream has taken its place')));
  }

  /** Never rejects: an upstream that is away comes back some time, and may have changed then. */
  async #run(filter: ListenFilter, signal: AbortSignal, ready: () => void): Promise<void> {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const events = await this.#open(filter, signal);
        if (events === undefined) break; // it tells of no changes
        if (failures > 0) for (const method of changesOf(filter)) this.#changed(method);
        failures = 0;
        for await (const data of events) this.#pass(data, ready);
      } catch (error) {
        if (!signal.aborted) this.#registry.log(error);
      }
      ready(); // nobody waits for one that is away
      await delay(pauseAfter(failures), undefined, { signal, ref: false }).catch(() => undefined); // ended: looked at above
    }
    ready();
  }

  async #open(filter: ListenFilter, signal: AbortSignal) {
    const newest = [...this.#interests].at(-1);
    if (newest === undefined) return undefined;
    const params = { notifications: filter, _meta: filter.taskIds === undefined ? META : ABLE };
    const { body, status, isEvents } = await this.#upstream.call({
      ...newest.asking,
      ...outgoingRequest({ id: 1, method: LISTEN, params }),
      signal,
      method: 'POST',
      strategy: strategyOf(newest.asking, this.#upstream),
      operation: { method: LISTEN },
      timeoutMs: undefined,
    });
    if (status === 200 && isEvents) return eventsOf(body, MAX_EVENT_BYTES);
    body.destroy();
    return undefined;
  }

  #pass(data: string, ready: () => void): void {
    const message = parsed(data);
    const method = member(message, 'method');
    if (typeof method !== 'string') return;
    const uri = memberOf(member(message, 'params'), 'uri');
    if (method === ACKNOWLEDGED) ready();
    else if (method === 'notifications/resources/updated' && typeof uri === 'string') {
      for (const { filter, listener } of this.#interests) {
        if (filter.resourceSubscriptions?.includes(uri) === true) listener.updated(uri);
      }
    } else if (method === MODERN_TASK_NEWS) this.#tellTask(member(message, 'params'));
    else this.#changed(method);
  }

  /** Told to whoever has asked for this very task. */
  #tellTask(task: unknown): void {
    const id = memberOf(task, 'taskId');
    if (!isJsonObject(task) || typeof id !== 'string') return;
    for (const { filter, listener } of this.#interests) {
      if (filter.taskIds?.includes(id) === true) listener.task?.(task);
    }
  }

  #changed(method: string): void {
    if (!noteChange(this.#upstream, method, this.#registry)) return;
    for (const { filter, listener } of this.#interests) {
      if (changesOf(filter).includes(method)) listener.changed(method);
    }
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const message: unknown = JSON.parse(text);
    return isJsonObject(message) ? message : {};
  } catch {
    return {};
  }
}
