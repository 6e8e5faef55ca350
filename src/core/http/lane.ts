import { afterDeadline } from '../lib/deadline.js';
import type { CallStop } from './call-stop.js';

/** How long a call waits for its turn, and what becomes of one that never had it. */
export interface Turn {
  /** Ends the wait with its reason. */
  readonly stop: CallStop;
  readonly patienceMs: number;
  readonly timeoutError: () => Error;
}

/**
 * The calls to one endpoint: so many at once, the others in the order they came. Deadlines of calls
 * begin with their turn, so what waits here says nothing of the endpoint.
 */
export class Lane {
  readonly #width: number;
  readonly #waiting = new Set<() => void>(); // in the order they came
  #running = 0;

  constructor(width: number) {
    this.#width = width;
  }

  get isIdle(): boolean {
    return this.#running === 0;
  }

  /** @throws that of `turn.timeoutError`, the reason of `turn.stop`, or whatever `work` throws. */
  async run<T>(work: () => Promise<T>, turn: Turn): Promise<T> {
    if (this.#running < this.#width) this.#running++;
    else await this.#wait(turn);
    try {
      return await work();
    } finally {
      this.#passOn();
    }
  }

  #wait({ stop, patienceMs, timeoutError }: Turn): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(start);
        callOff();
      };
      const start = (): void => (leave(), resolve());
      const giveUp = (): void => (leave(), reject(timeoutError()));
      const callOff = afterDeadline(patienceMs, giveUp, { unref: true });
      this.#waiting.add(start);
      stop.onStop((reason) => (leave(), reject(reason)));
    });
  }

  /** The place goes to whoever waits longest. */
  #passOn(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#running--;
    else next();
  }
}
