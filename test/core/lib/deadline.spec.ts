import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { afterDeadline, within } from '../../../src/core/lib/deadline.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const late = (): Error => new Error('too late');
const never = (): Promise<string> => new Promise(() => undefined);

describe('within', () => {
  unhandledRejections();

  it('gives the answer, had at once or later', async () => {
    expect(await within(1000, () => 'now', late)).toBe('now');
    expect(await within(1000, () => delay(5, 'later'), late)).toBe('later');
  });

  it('gives what the question throws, at once or later', async () => {
    const error = new Error('mine');
    const throwing = (): never => {
      throw error;
    };
    await expect(within(1000, throwing, late)).rejects.toBe(error);
    await expect(within(1000, () => Promise.reject(error), late)).rejects.toBe(error);
  });

  it('ends with an error of the caller’s choice when nothing comes', async () => {
    const started = performance.now();
    await expect(within(30, never, late)).rejects.toThrow('too late');
    expect(performance.now() - started).toBeGreaterThan(25);
  });

  it('a failure that comes too late is nobody’s crash', async () => {
    const failing = async (): Promise<never> => {
      await delay(40);
      throw new Error('late failure');
    };
    await expect(within(10, failing, late)).rejects.toThrow('too late');
    await delay(60);
  });

  it('leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout');
    const before = timers().length;
    await within(60_000, () => 'now', late);
    await within(60_000, () => Promise.reject(late()), late).catch(() => undefined);
    expect(timers()).toHaveLength(before);
  });

  it('hardening: an answer that arrived while this process stood still is in time', async () => {
    await new Promise(setImmediate); // timers come next, and only then what has arrived
    const asked = within(5, () => stat('.'), late);
    const until = performance.now() + 50;
    while (performance.now() < until); // now the timer and the answer are both due
    expect((await asked).isDirectory()).toBe(true);
  });
});

describe('afterDeadline', () => {
  it('can be called off as long as nothing was given up, also between the timer and what is read', async () => {
    let isLate = false;
    const callOff = afterDeadline(5, () => (isLate = true));
    setTimeout(callOff, 6);
    const until = performance.now() + 20;
    while (performance.now() < until); // now both are due, one after the other
    await delay(20);
    expect(isLate).toBe(false);
  });

  it('unref: keeps no process alive', () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout');
    const before = timers().length;
    const callOff = afterDeadline(60_000, () => undefined, { unref: true });
    expect(timers()).toHaveLength(before);
    callOff();
  });
});
