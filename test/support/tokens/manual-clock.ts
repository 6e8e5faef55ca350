import type { Clock } from '../../../src/core/lib/clock.js';
import { NOW } from './keys-and-tokens.js';

/** A clock that stands still until it is told to go. */
export class ManualClock implements Clock {
  #wall = NOW;
  #monotonic = 0;

  now(): number {
    return this.#wall;
  }

  elapsed(): number {
    return this.#monotonic;
  }

  /** Time passes. */
  advance(seconds: number): void {
    this.#wall += seconds;
    this.#monotonic += seconds;
  }

  /** Somebody sets the machine's clock; no time passes. */
  setWall(seconds: number): void {
    this.#wall = seconds;
  }
}
