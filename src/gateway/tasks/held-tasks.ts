import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { Asking } from '../upstream/modern-rpc.js';
import { HeldTask, type HeldParts } from './held-task.js';

const SWEEP_MS = 30_000;
const PER_CALLER = 32;

/** What one caller has: tasks, and calls that may become one. */
interface Share {
  readonly tasks: Set<HeldTask>;
  promised: number;
}

/** Tasks of upstreams with sessions, for clients that have none: each has a session of its own for as long as it lasts. */
export class HeldTasks {
  readonly #registry: UpstreamRegistry;
  readonly #held = new Map<string, HeldTask>();
  readonly #shares = new Map<string, Share>();
  readonly #sweep: NodeJS.Timeout;
  #promised = 0;

  constructor(registry: UpstreamRegistry) {
    this.#registry = registry;
    this.#sweep = setInterval(() => this.#endDone(), SWEEP_MS).unref();
    registry.onChange(() => this.#keepOnly(new Set(registry.all)));
  }

  get size(): number {
    return this.#held.size;
  }

  /**
   * A place for one more of this caller; of his that are over, the oldest makes room.
   *
   * @returns gives it back, once the task is held, or there is none; `undefined`: he has too many
   */
  place(callerKey: string): (() => void) | undefined {
    const share = this.#shareOf(callerKey);
    if (this.#isFull(share)) this.#endSpare(share);
    if (this.#isFull(share)) return this.#forget(callerKey, share);
    share.promised++;
    this.#promised++;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      share.promised--;
      this.#promised--;
      this.#forget(callerKey, share);
    };
  }

  /** @throws UpstreamError when its upstream went, or was replaced, while it was made */
  hold(parts: Omit<HeldParts, 'registry'>, asking: Omit<Asking, 'timeoutMs'>): HeldTask {
    const { id, callerKey, route } = parts;
    if (!this.#registry.all.includes(route.upstream)) {
      throw route.upstream.error('upstream_failed', 'it was replaced while a task was made', {});
    }
    const task = new HeldTask({ ...parts, registry: this.#registry }, asking);
    this.#held.set(id, task);
    this.#shareOf(callerKey).tasks.add(task);
    return task;
  }

  /** By the id that the client has, which is good for him alone. */
  find(id: unknown, callerKey: string): HeldTask | undefined {
    const task = typeof id === 'string' ? this.#held.get(id) : undefined;
    return task?.parts.callerKey === callerKey ? task : undefined;
  }

  end(task: HeldTask): void {
    const { id, callerKey } = task.parts;
    if (!this.#held.delete(id)) return;
    const share = this.#shareOf(callerKey);
    share.tasks.delete(task);
    this.#forget(callerKey, share);
    void task.close();
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    const all = [...this.#held.values()];
    this.#held.clear();
    this.#shares.clear();
    await Promise.all(all.map((task) => task.close()));
  }

  #shareOf(callerKey: string): Share {
    const share = this.#shares.get(callerKey) ?? { tasks: new Set<HeldTask>(), promised: 0 };
    this.#shares.set(callerKey, share);
    return share;
  }

  #forget(callerKey: string, { tasks, promised }: Share): undefined {
    if (tasks.size + promised === 0) this.#shares.delete(callerKey);
  }

  #isFull({ tasks, promised }: Share): boolean {
    const { maxSessions } = this.#registry.options;
    return tasks.size + promised >= PER_CALLER || this.#held.size + this.#promised >= maxSessions;
  }

  #endSpare({ tasks }: Share): void {
    const spare = [...tasks].find(({ isSpare }) => isSpare);
    if (spare !== undefined) this.end(spare);
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
