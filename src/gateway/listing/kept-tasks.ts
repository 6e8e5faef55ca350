import { randomUUID } from 'node:crypto';
import { memberOf } from '../../core/lib/members.js';

type Message = Readonly<Record<string, unknown>>;

/** Of no upstream. */
const OWN = 'authplane-nestjs/kept/';

/** A call that was to be a task, and was over at once. */
export interface FinishedTask {
  /** As 2025-11-25 says it, but for its id. */
  readonly task: Message;
  /** JSON of its result. */
  readonly result: string;
}

/** Of one session: those that it has not asked about for longest are forgotten. */
const PER_SESSION = 64;
const PER_CALLER = 64;
const FINISHED_BYTES = 33_554_432;
/** Of one, beside its result. */
const OVERHEAD_BYTES = 2048;
const LONGEST_MS = 600_000;

interface Kept extends FinishedTask {
  readonly ends: number;
  readonly bytes: number;
}

/** Of one caller, the oldest first. */
interface Share {
  readonly tasks: Map<string, Kept>;
  bytes: number;
}

/** What is remembered of tasks for clients of 2025-11-25, at upstreams that have no sessions to remember them in. */
export class KeptTasks {
  readonly #seen = new WeakMap<object, Map<string, Message>>();
  readonly #finished = new Map<string, Share>();
  #bytes = 0;

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
   * Of too much, the oldest of whoever has most is forgotten, so that one caller cannot have it all.
   *
   * @param ttl milliseconds that the client wants it to be kept for.
   * @returns what stands for the id of an upstream.
   */
  finish(callerKey: string, result: Message, ttl: unknown): string {
    const id = `${OWN}${randomUUID()}`;
    const keptMs = typeof ttl === 'number' && ttl > 0 ? Math.min(ttl, LONGEST_MS) : LONGEST_MS;
    const now = new Date().toISOString();
    const status = result['isError'] === true ? 'failed' : 'completed';
    const task = { status, createdAt: now, lastUpdatedAt: now, ttl: keptMs };
    const text = JSON.stringify(result);
    const bytes = text.length + OVERHEAD_BYTES;
    const share = this.#finished.get(callerKey) ?? { tasks: new Map<string, Kept>(), bytes: 0 };
    this.#finished.set(callerKey, share);
    share.tasks.set(id, { task, result: text, ends: performance.now() + keptMs, bytes });
    share.bytes += bytes;
    this.#bytes += bytes;
    if (share.tasks.size > PER_CALLER) this.#forgetOldest(callerKey, share);
    while (this.#bytes > FINISHED_BYTES) this.#forgetOldest(...this.#largest(callerKey, share));
    return id;
  }

  /** @returns `undefined` for what no call of this caller has left here, or too long ago. */
  finished(id: string, callerKey: string): FinishedTask | undefined {
    const known = this.#finished.get(callerKey)?.tasks.get(id);
    return known !== undefined && performance.now() < known.ends ? known : undefined;
  }

  /** Whether an id stands for one that was left here, at whatever time. */
  isOwn(id: string): boolean {
    return id.startsWith(OWN);
  }

  #largest(callerKey: string, share: Share): [string, Share] {
    let largest: [string, Share] = [callerKey, share];
    for (const one of this.#finished) if (one[1].bytes > largest[1].bytes) largest = one;
    return largest;
  }

  #forgetOldest(callerKey: string, share: Share): void {
    const [oldest] = share.tasks;
    if (oldest === undefined) return;
    const [id, { bytes }] = oldest;
    share.tasks.delete(id);
    share.bytes -= bytes;
    this.#bytes -= bytes;
    if (share.tasks.size === 0) this.#finished.delete(callerKey);
  }
}
