import { describe, expect, it } from 'vitest';
import { clockProblem, systemClock } from '../../../src/core/lib/clock.js';

const zero = (): number => 0;

describe('the clock of the system', () => {
  it('says seconds since 1970, and seconds that never step back', () => {
    const [before, elapsed] = [Date.now() / 1000, systemClock.elapsed()];
    expect(systemClock.now()).toBeGreaterThanOrEqual(before);
    expect(systemClock.now()).toBeLessThanOrEqual(Date.now() / 1000);
    expect(systemClock.elapsed()).toBeGreaterThanOrEqual(elapsed);
    expect(systemClock.elapsed() - elapsed).toBeLessThan(60);
  });

  it.each([[null], ['clock'], [{}], [{ now: zero }], [{ now: zero, elapsed: 0 }]])(
    '%p is none',
    (value) => {
      expect(clockProblem(value)).toBe('must be an object with now and elapsed');
    },
  );

  it('what has both functions is one', () => {
    expect(clockProblem(systemClock)).toBeUndefined();
  });
});
