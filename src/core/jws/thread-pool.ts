/** Enough to keep the threads busy; whatever else uses them, such as name resolution, waits for no more. */
const MOST_AT_ONCE = 16;
/** Places of the queue that are kept although their work has begun. */
const MOST_BEHIND = 1024;

/** Work that calls back when it is done. */
export type PooledWork = (done: () => void) => void;

/** Work for the thread pool of the process: so much at once, the rest in the order it came. */
export class ThreadPool {
  readonly #most: number;
  #running = 0;
  #waiting: PooledWork[] = [];
  #next = 0;

  constructor(mostAtOnce = MOST_AT_ONCE) {
    this.#most = mostAtOnce;
  }

  run(work: PooledWork): void {
    if (this.#running >= this.#most) this.#waiting.push(work);
    else this.#start(work);
  }

  #start(work: PooledWork): void {
    this.#running++;
    work(this.#done);
  }

  readonly #done = (): void => {
    this.#running--;
    const next = this.#waiting[this.#next];
    if (next === undefined) return;
    this.#next++;
    if (this.#next === this.#waiting.length || this.#next === MOST_BEHIND) this.#forgetBehind();
    this.#start(next);
  };

  #forgetBehind(): void {
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
  }
}
