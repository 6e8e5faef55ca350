import { describe, expect, test } from 'vitest';
import { Bulkhead } from '../../../src/gateway/upstream/bulkhead.js';

const { signal } = new AbortController();
class Busy extends Error {}

function bulkhead(maxInFlight: number, maxQueued: number, perCaller: number) {
  const one = new Bulkhead({ maxInFlight, maxQueued, perCaller });
  const order: string[] = [];
  const enter = (caller: string, patienceMs = 60_000, abort = signal) =>
    one
      .enter({ caller, patienceMs, signal: abort, busyError: () => new Busy() })
      .then((leave) => (order.push(caller), leave));
  return { one, order, enter };
}

describe('14.D: calls at once', () => {
  test('what has no place waits in order, and what finds the queue full is refused at once', async () => {
    const { one, order, enter } = bulkhead(2, 2, 2);
    const [first, second] = await Promise.all([enter('a'), enter('b')]);
    const waiting = [enter('c'), enter('d')];
    await expect(enter('e')).rejects.toBeInstanceOf(Busy);
    first();
    first(); // gives one place back only
    await waiting[0];
    expect([order, one.inFlight]).toEqual([['a', 'b', 'c'], 2]);
    second();
    await waiting[1];
    expect(order).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a caller who has his share waits in a queue of his own', async () => {
    const { order, enter } = bulkhead(4, 2, 2);
    const leave = await enter('greedy');
    await enter('greedy');
    const stop = new AbortController();
    const more = [enter('greedy', 60_000, stop.signal), enter('greedy', 60_000, stop.signal)];
    await expect(enter('greedy')).rejects.toBeInstanceOf(Busy);
    await Promise.all([enter('x'), enter('y')]); // free places are for others
    const others = [enter('z', 60_000, stop.signal), enter('w', 60_000, stop.signal)]; // and so is the queue
    expect(order).toEqual(['greedy', 'greedy', 'x', 'y']);
    leave();
    await more[0]; // came before the others
    expect(order).toEqual(['greedy', 'greedy', 'x', 'y', 'greedy']);
    stop.abort(new Error('gone'));
    const ends = await Promise.allSettled([more[1], ...others]);
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  });

  test('waiting has an end: a deadline, and a client that goes away', async () => {
    const { one, enter } = bulkhead(1, 5, 5);
    const leave = await enter('a');
    await expect(enter('b', 10)).rejects.toBeInstanceOf(Busy);
    const stop = new AbortController();
    const gone = enter('c', 60_000, stop.signal);
    stop.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    leave();
    expect(one.inFlight).toBe(0);
    (await enter('d'))();
  });
});
