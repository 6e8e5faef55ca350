import { afterDeadline } from '../../core/lib/deadline.js';

export interface BulkheadLimits {
  readonly maxInFlight: number;
  readonly maxQueued: number;
  readonly perCaller: number;
}

/** Of one call that may have to wait. */
export interface Admission {
  /** Whose share it counts against. */
  readonly caller: string;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  /** What it is refused with. */
  readonly busyError: () => Error;
}

interface Waiter {
  readonly order: number;
  readonly start: () => void;
}

/**
 * The calls that are under way on one upstream, and those that wait. A caller who has his share waits in
 * a queue of his own, so that one agent can neither fill the upstream nor the queue of all others.
 */
export class Bulkhead {
  readonly #limits: BulkheadLimits;
  readonly #running = new Map<string, number>();
  readonly #queues = new Map<string, Set<Waiter>>();
  #inFlight = 0;
  #order = 0;

  constructor(limits: BulkheadLimits) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * @returns gives the place back; once, however often it is called.
   * @throws what `busyError` makes, and the reason of the signal.
   */
  async enter(admission: Admission): Promise<() => void> {
    const { caller, signal, busyError } = admission;
    signal.throwIfAborted();
    if (this.#mayStart(caller) && !this.#queues.has(caller)) this.#start(caller);
    else if (this.#isQueueFull(caller)) throw busyError();
    else await this.#wait(admission);
    let isHeld = true;
    return () => {
      if (isHeld) this.#leave(caller);
      isHeld = false;
    };
  }

  #mayStart(caller: string): boolean {
    return this.#inFlight < this.#limits.maxInFlight && !this.#hasShare(caller);
  }

  #hasShare(caller: string): boolean {
    return (this.#running.get(caller) ?? 0) >= this.#limits.perCaller;
  }

  /** Who has his share fills his own queue only. */
  #isQueueFull(caller: string): boolean {
    const { maxQueued } = this.#limits;
    if (this.#hasShare(caller)) return (this.#queues.get(caller)?.size ?? 0) >= maxQueued;
    let waiting = 0;
    for (const [other, queue] of this.#queues) if (!this.#hasShare(other)) waiting += queue.size;
    return waiting >= maxQueued;
  }

  #start(caller: string): void {
    this.#inFlight++;
    this.#running.set(caller, (this.#running.get(caller) ?? 0) + 1);
  }

  #wait({ caller, patienceMs, signal, busyError }: Admission): Promise<void> {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(caller) ?? new Set();
      const leave = (): void => {
        queue.delete(waiter);
        if (queue.size === 0 && this.#queues.get(caller) === queue) this.#queues.delete(caller);
        callOff();
        signal.removeEventListener('abort', abort);
      };
      const waiter = { order: this.#order++, start: () => (leave(), resolve()) };
      const abort = (): void => (leave(), reject(signal.reason));
      const callOff = afterDeadline(patienceMs, () => (leave(), reject(busyError())), {
        unref: true,
      });
      signal.addEventListener('abort', abort);
      this.#queues.set(caller, queue.add(waiter));
    });
  }

  #leave(caller: string): void {
    const running = (this.#running.get(caller) ?? 1) - 1;
    if (running === 0) this.#running.delete(caller);
    else this.#running.set(caller, running);
    this.#inFlight--;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#start(next.caller);
      next.waiter.start();
    }
  }

  /** Whoever waits longest of those that may start. */
  #next(): { readonly caller: string; readonly waiter: Waiter } | undefined {
    let next: { readonly caller: string; readonly waiter: Waiter } | undefined;
    for (const [caller, queue] of this.#queues) {
      const [waiter] = queue;
      if (waiter === undefined || !this.#mayStart(caller)) continue;
      if (next === undefined || waiter.order < next.waiter.order) next = { caller, waiter };
    }
    return next;
  }
}
