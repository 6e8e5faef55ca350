import type { Clock } from 'authplane-nestjs';

/** Time that a test may let pass, the same for all parties. */
export class TravelClock implements Clock {
  #ahead = 0;

  readonly now = (): number => Date.now() / 1000 + this.#ahead;
  readonly elapsed = (): number => performance.now() / 1000 + this.#ahead;

  travel(seconds: number): void {
    this.#ahead += seconds;
  }
}
