import type { Clock } from '../../core/lib/clock.js';
import type { UpstreamBreakerOptions } from '../options/upstream-options.js';

/** `open`: nothing is sent. `half-open`: one call finds out whether it is back. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** What the outcome of a call says about the upstream. */
export type Health = 'up' | 'down' | 'unknown';

/** The way of one call through the breaker. */
export interface Passage {
  /** The first word counts. */
  leave(health: Health): void;
}

/**
 * Spares an upstream that is down, and the callers who would wait for it. After the pause one call goes
 * through, and its outcome decides; one that ends without an outcome gives the place to the next.
 */
export class UpstreamBreaker {
  readonly #options: Required<UpstreamBreakerOptions> | false;
  readonly #clock: Clock;
  #failures = 0;
  #openSince: number | undefined;
  #probeSince: number | undefined;
  #failingSince: number | undefined;

  constructor(options: Required<UpstreamBreakerOptions> | false, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get state(): BreakerState {
    if (this.#openSince === undefined) return 'closed';
    return this.secondsLeft > 0 && this.#probeSince === undefined ? 'open' : 'half-open';
  }

  /** Of the first of its failures in a row; `undefined`: the last call went well. */
  get failingSince(): number | undefined {
    return this.#failingSince;
  }

  /** Until it lets a call through; 0: it does. */
  get secondsLeft(): number {
    if (this.#options === false || this.#openSince === undefined) return 0;
    const { cooldownSeconds } = this.#options;
    const now = this.#clock.elapsed();
    // A probe that never ends must not keep it open for ever.
    const isProbing = this.#probeSince !== undefined && now - this.#probeSince < cooldownSeconds;
    return isProbing ? 1 : Math.max(0, Math.ceil(this.#openSince + cooldownSeconds - now));
  }

  /** `undefined`: it is open, for another {@link secondsLeft}. */
  enter(): Passage | undefined {
    if (this.secondsLeft > 0) return undefined;
    const isProbe = this.#openSince !== undefined;
    const since = this.#clock.elapsed();
    if (isProbe) this.#probeSince = since;
    let isOver = false;
    return {
      leave: (health) => {
        if (isOver) return;
        isOver = true;
        if (isProbe && this.#probeSince === since) this.#probeSince = undefined;
        this.#note(health, isProbe);
      },
    };
  }

  #note(health: Health, isProbe: boolean): void {
    if (health === 'unknown') return;
    if (this.#openSince !== undefined && !isProbe) return; // begun before it opened: the probe knows better
    if (health === 'up') {
      this.#failures = 0;
      this.#openSince = undefined;
      this.#failingSince = undefined;
      return;
    }
    this.#failingSince ??= this.#clock.elapsed();
    if (this.#options === false) return;
    this.#failures++;
    if (this.#failures >= this.#options.threshold) this.#openSince = this.#clock.elapsed();
  }
}
