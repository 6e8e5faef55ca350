import { randomUUID } from 'node:crypto';
import { Generations } from '../../core/lib/generations.js';
import { memberOf } from '../../core/lib/members.js';

type Message = Readonly<Record<string, unknown>>;

/** A call that was to be a task, and was over at once. */
export interface FinishedTask {
  /** As 2025-11-25 says it, but for its id. */
  readonly task: Message;
  /** JSON of its result. */
  readonly result: string;
}

/** Of one session: those that it has not asked about for longest are forgotten. */
const PER_SESSION = 64;
const FINISHED = 10_000;
const FINISHED_BYTES = 33_554_432;
const LONGEST_MS = 600_000;

/** What is remembered of tasks for clients of 2025-11-25, at upstreams that have no sessions to remember them in. */
export class KeptTasks {
  readonly #seen = new WeakMap<object, Map<string, Message>>();
  readonly #finished = new Generations<FinishedTask & { readonly ends: number }>(FINISHED, {
    weights: { of: ({ result }) => result.length, max: FINISHED_BYTES },
  });

  /**
   * A task of a session as it was last seen. One that its client has cancelled stays so, whatever becomes of the work
   * (2025-11-25, Tasks).
   */
  note(session: object, task: Message): Message {
    const id = String(task['taskId']);
    const seen = this.#seen.get(session) ?? new Map<string, Message>();
    const isCancelled = memberOf(seen.get(id), 'status') === 'cancelled';
    const noted = isCancelled ? { ...task, status: 'cancelled' } : task;
    seen.delete(id);
    const [oldest] = seen.keys();
    if (seen.size >= PER_SESSION && oldest !== undefined) seen.delete(oldest);
    this.#seen.set(session, seen.set(id, noted));
    return noted;
  }

  /** As they were last seen. */
  of(session: object): readonly Message[] {
    return [...(this.#seen.get(session)?.values() ?? [])];
  }

  /**
   * @param ttl milliseconds that the client wants it to be kept for.
   * @returns what stands for the id of an upstream.
   */
  finish(result: Message, ttl: unknown): string {
    const id = `authplane-${randomUUID()}`;
    const keptMs = typeof ttl === 'number' && ttl > 0 ? Math.min(ttl, LONGEST_MS) : LONGEST_MS;
    const now = new Date().toISOString();
    const status = result['isError'] === true ? 'failed' : 'completed';
    const task = { status, createdAt: now, lastUpdatedAt: now, ttl: keptMs };
    const ends = performance.now() + keptMs;
    this.#finished.set(id, { task, result: JSON.stringify(result), ends });
    return id;
  }

  /** @returns `undefined` for what no call has left here, or too long ago. */
  finished(id: string): FinishedTask | undefined {
    const known = this.#finished.get(id);
    return known !== undefined && performance.now() < known.ends ? known : undefined;
  }
}
