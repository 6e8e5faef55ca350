import type { Clock } from '../lib/clock.js';
import { CircuitOpenError } from '../errors/server-errors.js';
import type { HttpAnswer } from '../http/answer.js';
import { OutboundHttpError } from '../http/errors.js';

export interface CircuitBreakerOptions {
  /** What is behind it, for messages. */
  readonly name: string;
  readonly clock: Clock;
  /** Failures in a row that open it. */
  readonly threshold: number;
  /** How long it stays open, in seconds. */
  readonly cooldownSeconds: number;
}

/** The call that finds out whether the endpoint is back. */
interface Probe {
  readonly startedAt: number;
}

/** What the outcome of a call says about the endpoint. */
type Health = 'up' | 'down' | 'unknown';

/**
 * Spares one endpoint that is down, and the callers who would wait for it.
 *
 * Connection failures, timeouts and 5xx answers count; any other answer proves the endpoint alive.
 * What went wrong before an answer could come, a mistake of the caller for example, says nothing.
 * After the cool-down one call goes through, and its outcome decides; a call without outcome gives
 * the place to the next.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  #failures = 0;
  #openSince: number | undefined;
  #probe: Probe | undefined;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
  }

  /** @throws CircuitOpenError without calling `work`; otherwise whatever `work` throws. */
  async run(work: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
    const probe = this.#enter();
    let health: Health = 'unknown';
    try {
      const answer = await work();
      health = answer.status >= 500 ? 'down' : 'up';
      return answer;
    } catch (error) {
      health = healthOf(error);
      throw error;
    } finally {
      this.#leave(probe, health);
    }
  }

  #enter(): Probe | undefined {
    if (this.#openSince === undefined) return undefined;
    const { clock, cooldownSeconds } = this.#options;
    const now = clock.elapsed();
    const remaining = this.#openSince + cooldownSeconds - now;
    if (remaining > 0) throw this.#openError(remaining);
    // A probe that never ends must not keep the breaker open for ever.
    const probing = this.#probe !== undefined && now - this.#probe.startedAt < cooldownSeconds;
    if (probing) throw this.#openError(1);
    this.#probe = { startedAt: now };
    return this.#probe;
  }

  #leave(probe: Probe | undefined, health: Health): void {
    if (probe === this.#probe) this.#probe = undefined;
    if (health === 'unknown') return;
    // Begun before it opened: the probe knows better.
    if (this.#openSince !== undefined && probe === undefined) return;
    if (health === 'up') {
      this.#failures = 0;
      this.#openSince = undefined;
      return;
    }
    this.#failures += 1;
    if (this.#failures < this.#options.threshold) return;
    this.#openSince = this.#options.clock.elapsed();
  }

  #openError(retryAfterSeconds: number): CircuitOpenError {
    return new CircuitOpenError(
      `${this.#options.name} of the authorization server failed ${this.#failures} times in a row; ` +
        `it is asked again after a pause`,
      { retryAfterSeconds },
    );
  }
}

/** Redirects, oversized bodies and refused URLs are no outage: waiting would not mend them. */
function healthOf(error: unknown): Health {
  if (!(error instanceof OutboundHttpError)) return 'unknown';
  return error.reason === 'connection' || error.reason === 'timeout' ? 'down' : 'unknown';
}
