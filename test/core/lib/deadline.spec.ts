import { setTimeout as delay } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { afterDeadline, within } from '../../../src/core/lib/deadline.js';
import { standStill } from '../../support/time/stand-still.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const late = (): Error => new Error('too late');
const never = (): Promise<string> => new Promise(() => undefined);

describe('within', () => {
  unhandledRejections();

  it('gives the answer, had at once or later', async () => {
    expect(await within(1000, () => 'now', late)).toBe('now');
    expect(await within(60_000, () => delay(5, 'later'), late)).toBe('later');
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
    let fail: (error: Error) => void = () => undefined;
    const failing = () => new Promise<never>((_resolve, reject) => (fail = reject));
    await expect(within(10, failing, late)).rejects.toThrow('too late');
    fail(new Error('late failure'));
    await new Promise(setImmediate);
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
    const { port1, port2 } = new MessageChannel();
    const asked = within(5, () => new Promise((resolve) => port2.once('message', resolve)), late);
    port1.postMessage('in time');
    standStill(50); // now the timer and the answer are both due
    expect(await asked).toBe('in time');
    port1.close();
  });
});

describe('afterDeadline', () => {
  it('can be called off as long as nothing was given up, also between the timer and what is read', async () => {
    let isLate = false;
    const callOff = afterDeadline(5, () => (isLate = true));
    setTimeout(callOff, 6);
    standStill(20); // now both are due, one after the other
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
