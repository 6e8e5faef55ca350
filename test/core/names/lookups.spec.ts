import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CallbackError } from '../../../src/core/errors/request-errors.js';
import { Lookups } from '../../../src/core/names/lookups.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

describe('row 11: what an application is asked for others', () => {
  let clock: ManualClock;
  let lookups: Lookups<boolean>;
  let asked: string[];

  beforeEach(() => {
    clock = new ManualClock();
    lookups = new Lookups({ name: 'isResource', clock, isYes: (value) => value });
    asked = [];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const find = (key: string, answer: boolean | Promise<boolean> = true) =>
    lookups.find(key, () => {
      asked.push(key);
      return answer;
    });

  it('is asked once for all who want to know at the same time', async () => {
    const all = await Promise.all(Array.from({ length: 1000 }, async () => find('a', false)));
    expect(new Set(all)).toEqual(new Set([false]));
    expect(asked).toEqual(['a']);
  });

  it('is not asked again for what is known, and then without waiting', async () => {
    await find('a');
    expect(find('a')).toBe(true);
    expect(asked).toEqual(['a']);
  });

  it('keeps a yes for 60 seconds, and a no for 10', async () => {
    await find('yes');
    await find('no', false);
    clock.advance(9.9);
    await find('yes');
    await find('no', false);
    expect(asked).toEqual(['yes', 'no']);
    clock.advance(0.2);
    await find('yes');
    await find('no', false);
    expect(asked).toEqual(['yes', 'no', 'no']);
    clock.advance(50);
    await find('yes');
    expect(asked).toEqual(['yes', 'no', 'no', 'yes']);
  });

  it('keeps no failure, whether it is thrown or rejected', async () => {
    const down = new Error('database down');
    const failing = async (fail: () => never | Promise<never>) => lookups.find('a', fail);
    await expect(failing(() => Promise.reject(down))).rejects.toMatchObject({
      code: 'callback_failed',
      message: 'isResource failed',
      cause: down,
    });
    await expect(
      failing(() => {
        throw down;
      }),
    ).rejects.toBeInstanceOf(CallbackError);
    expect(await find('a')).toBe(true);
  });

  it('keeps 1000 answers, and lets go those that were not used for longest', async () => {
    for (let index = 0; index < 1000; index++) await find(`${index}`);
    await find('0');
    await find('new');
    expect(lookups.size).toBe(1000);
    asked = [];
    await find('0');
    expect(asked).toEqual([]);
    await find('1');
    expect(asked).toEqual(['1']);
  });

  it('waits for 100 answers at most, and still knows what it knew', async () => {
    await find('known');
    let answer: (value: boolean) => void = () => undefined;
    const slow = new Promise<boolean>((resolve) => (answer = resolve));
    const waiting = Array.from({ length: 100 }, (_, index) => find(`slow ${index}`, slow));
    expect(() => find('one more')).toThrow(CallbackError);
    expect(find('known')).toBe(true);
    answer(true);
    for (const one of waiting) await one;
    expect(await find('one more')).toBe(true);
  });

  it('gives up after 5 seconds, for this question only', async () => {
    vi.useFakeTimers();
    const never = new Promise<boolean>(() => undefined);
    const hanging = Promise.resolve(find('a', never)).catch((error: unknown) => error);
    expect(await find('b')).toBe(true);
    await vi.advanceTimersByTimeAsync(5100);
    expect(await hanging).toMatchObject({ message: 'isResource gave no answer within 5000 ms' });
    expect(await find('a')).toBe(true);
  });
});
