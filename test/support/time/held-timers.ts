import { onTestFinished, vi } from 'vitest';
import { until } from './until.js';

const NEVER_MS = 2 ** 31 - 1;

export interface HeldTimers {
  /** Fires those that have been set and not called off, as soon as there are so many. */
  fire(count: number): Promise<void>;
  /** Only so many of them: those that were set first. */
  fireFirst(count: number): Promise<void>;
}

/** Until the test is over, timers of exactly this delay wait for `fire` instead of the time. */
export function holdTimers(delayMs: number): HeldTimers {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const held = new Map<unknown, () => void>();
  const setting = vi.spyOn(globalThis, 'setTimeout').mockImplementation(((
    run: (...args: unknown[]) => void,
    delay?: number,
    ...args: unknown[]
  ) => {
    if (delay !== delayMs) return set(run, delay, ...args);
    const timer = set(() => undefined, NEVER_MS);
    held.set(timer, () => run(...args));
    return timer;
  }) as typeof setTimeout);
  const clearing = vi.spyOn(globalThis, 'clearTimeout').mockImplementation((timer) => {
    held.delete(timer);
    clear(timer);
  });
  onTestFinished(() => {
    setting.mockRestore();
    clearing.mockRestore();
    for (const timer of held.keys()) clear(timer as NodeJS.Timeout);
  });
  const fire = (some: readonly (readonly [unknown, () => void])[]): void => {
    for (const [timer, run] of some) {
      globalThis.clearTimeout(timer as NodeJS.Timeout);
      run();
    }
  };
  return {
    async fire(count) {
      await until(() => held.size >= count);
      fire([...held]);
    },
    async fireFirst(count) {
      await until(() => held.size >= count);
      fire([...held].slice(0, count));
    },
  };
}
