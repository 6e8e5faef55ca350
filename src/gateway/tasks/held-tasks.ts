import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import { HeldTask, type HeldParts } from './held-task.js';

const SWEEP_MS = 30_000;
const PER_CALLER = 32;

/** Tasks of upstreams with sessions, for clients that have none: each has a session of its own for as long as it lasts. */
export class HeldTasks {
  readonly #registry: UpstreamRegistry;
  readonly #held = new Map<string, HeldTask>();
  readonly #sweep: NodeJS.Timeout;

  constructor(registry: UpstreamRegistry) {
    this.#registry = registry;
    this.#sweep = setInterval(() => this.#endDone(), SWEEP_MS).unref();
    registry.onChange(() => this.#keepOnly(new Set(registry.all)));
  }

  get size(): number {
    return this.#held.size;
  }

  /** Whether one more can be held for this caller; of his that are over, the oldest makes room. */
  makesRoom(callerKey: string): boolean {
    const { maxSessions } = this.#registry.options;
    const all = [...this.#held.values()];
    const own = all.filter(({ parts }) => parts.callerKey === callerKey);
    const isFull = own.length >= PER_CALLER || all.length >= maxSessions;
    const old = isFull ? own.find((task) => task.isOver && !task.isListenedTo) : undefined;
    if (old !== undefined) this.end(old);
    return !isFull || old !== undefined;
  }

  hold(parts: Omit<HeldParts, 'registry'>): HeldTask {
    const task = new HeldTask({ ...parts, registry: this.#registry });
    const before = this.#held.get(parts.id);
    if (before !== undefined) this.end(before); // an upstream that uses an id once more
    this.#held.set(parts.id, task);
    return task;
  }

  /** By the id that the client has, which is good for him alone. */
  find(id: unknown, callerKey: string): HeldTask | undefined {
    const task = typeof id === 'string' ? this.#held.get(id) : undefined;
    return task?.parts.callerKey === callerKey ? task : undefined;
  }

  end(task: HeldTask): void {
    const { id } = task.parts;
    if (this.#held.get(id) === task) this.#held.delete(id);
    void task.close();
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    const all = [...this.#held.values()];
    this.#held.clear();
    await Promise.all(all.map((task) => task.close()));
  }

  #endDone(): void {
    const { sessionIdleMs } = this.#registry.options;
    for (const task of this.#held.values()) if (task.isDone(sessionIdleMs)) this.end(task);
  }

  #keepOnly(upstreams: ReadonlySet<unknown>): void {
    for (const task of this.#held.values())
      if (!upstreams.has(task.parts.route.upstream)) this.end(task);
  }
}
