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

  /** Whether there is a place for it now. Whoever has one leaves it, however it ends. */
  enter(): boolean {
    if (this.#running >= this.#width) return false;
    this.#running++;
    return true;
  }

  /** Until it has a place. @throws that of `turn.timeoutError`, and the reason of `turn.stop`. */
  wait({ stop, patienceMs, timeoutError }: Turn): Promise<void> {
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
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#running--;
    else next();
  }
}
