import { describe, expect, test } from 'vitest';
import { CallStop } from '../../../src/core/http/call-stop.js';
import { Lane, type Turn } from '../../../src/core/http/lane.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const PATIENT: Turn = {
  stop: new CallStop(),
  patienceMs: 60_000,
  timeoutError: () => new Error('never had its turn'),
};

async function inTurn<T>(lane: Lane, turn: Turn, work: () => Promise<T>): Promise<T> {
  if (!lane.enter()) await lane.wait(turn);
  try {
    return await work();
  } finally {
    lane.leave();
  }
}

/** Work whose end the test decides, and what has been started so far. */
function jobs(lane: Lane, turn: Partial<Turn> = {}) {
  const started: number[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const run = (id: number, own: Partial<Turn> = {}): Promise<number> =>
    inTurn(lane, { ...PATIENT, ...turn, ...own }, () => {
      started.push(id);
      return new Promise<number>((resolve, reject) => {
        ends[id] = (error) => (error === undefined ? resolve(id) : reject(error));
      });
    });
  return { started, ends, run };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('10.11a: a lane', () => {
  unhandledRejections();

  test('lets so many run at once, and the others in the order they came', async () => {
    const lane = new Lane(2);
    const { started, ends, run } = jobs(lane);
    const results = Promise.all([0, 1, 2, 3].map((id) => run(id)));
    await settled();
    expect(started).toEqual([0, 1]);
    ends[1]?.();
    await settled();
    expect(started).toEqual([0, 1, 2]);
    for (const id of [0, 2]) ends[id]?.();
    await settled();
    ends[3]?.();
    expect(await results).toEqual([0, 1, 2, 3]);
    expect(lane.isIdle).toBe(true);
  });

  test('work that fails passes its place on', async () => {
    const lane = new Lane(1);
    const { started, ends, run } = jobs(lane);
    const [first, second] = [run(0), run(1)];
    await settled();
    ends[0]?.(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    await settled();
    expect(started).toEqual([0, 1]);
    ends[1]?.();
    expect(await second).toBe(1);
  });

  test('who never had a turn is told so, and takes no place later', async () => {
    const lane = new Lane(1);
    const { started, ends, run } = jobs(lane);
    const [first, hasty, patient] = [run(0), run(1, { patienceMs: 20 }), run(2)];
    await expect(hasty).rejects.toThrow('never had its turn');
    ends[0]?.();
    await first;
    await settled();
    expect(started).toEqual([0, 2]);
    ends[2]?.();
    await patient;
    expect(lane.isIdle).toBe(true);
  });

  test('the end of its call ends the wait with its reason', async () => {
    const lane = new Lane(1);
    const { started, ends, run } = jobs(lane);
    const stop = new CallStop();
    const [first, ended] = [run(0), run(1, { stop })];
    await settled();
    stop.stop(new Error('closed'));
    await expect(ended).rejects.toThrow('closed');
    ends[0]?.();
    await first;
    expect(started).toEqual([0]);
    expect(lane.isIdle).toBe(true);
  });

  test('a place that becomes free while this process stood still is still had', async () => {
    const lane = new Lane(1);
    const { started, ends, run } = jobs(lane);
    const [first, second] = [run(0), run(1, { patienceMs: 5 })];
    await settled();
    setImmediate(() => ends[0]?.()); // due, like the end of the patience, when the loop turns again
    const until = performance.now() + 30;
    while (performance.now() < until);
    await first;
    await settled();
    expect(started).toEqual([0, 1]);
    ends[1]?.();
    expect(await second).toBe(1);
  });
});
