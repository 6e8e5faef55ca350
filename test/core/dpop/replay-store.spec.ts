import { describe, expect, it } from 'vitest';

import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { DPoPReplayDetectedError } from '../../../src/core/errors/dpop-errors.js';
import {
  type DPoPReplayStore,
  InMemoryDPoPReplayStore,
  processReplayMemory,
  ReplayStoreError,
} from '../../../src/core/dpop/replay-store.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';
import { replayChecked } from '../../support/tokens/dpop-proofs.js';

const NOW = 1_790_000_000;

function storeAt(start: number, options: { maxEntries?: number } = {}) {
  const clock = { time: start, now: () => clock.time, elapsed: () => 0 };
  return { clock, store: new InMemoryDPoPReplayStore({ ...options, clock }) };
}

describe('InMemoryDPoPReplayStore', () => {
  it('rfc9449-dpop-replay-must-be-detected: true once, then false', async () => {
    const { store } = storeAt(NOW);
    expect(await store.checkAndStore('proof-1', NOW + 300)).toBe(true);
    expect(await store.checkAndStore('proof-1', NOW + 300)).toBe(false);
    expect(await store.checkAndStore('proof-2', NOW + 300)).toBe(true);
  });

  it('finds a key whatever expiry it comes with', async () => {
    const { store } = storeAt(NOW);
    await store.checkAndStore('proof-1', NOW + 10);
    for (const expiry of [NOW + 10, NOW + 130, NOW + 500, NOW + 100_000]) {
      expect(await store.checkAndStore('proof-1', expiry)).toBe(false);
    }
  });

  it('T31: 100 at once, one is first', async () => {
    const { store } = storeAt(NOW);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => store.checkAndStore('proof-1', NOW + 300)),
    );
    expect(answers.filter(Boolean)).toHaveLength(1);
  });

  it('rfc9449-dpop-replay-store-must-evict-expired-entries', async () => {
    const { store, clock } = storeAt(NOW, { maxEntries: 1 });
    await store.checkAndStore('proof-1', NOW + 5);
    clock.time += 6;
    expect(await store.checkAndStore('proof-2', NOW + 300)).toBe(true);
    expect(store.size).toBe(1);
    clock.time += 500;
    expect(await store.checkAndStore('proof-3', clock.time + 300)).toBe(true);
    expect(store.size).toBe(1);
  });

  describe('hardening: an expired entry takes up no room', () => {
    it('that expires meanwhile', async () => {
      const { store, clock } = storeAt(NOW, { maxEntries: 1 });
      expect(await store.checkAndStore('a', NOW + 1)).toBe(true);
      clock.time += 2;
      expect(store.size).toBe(0);
      expect(await store.checkAndStore('b', NOW + 60)).toBe(true);
      expect(await store.checkAndStore('b', NOW + 60)).toBe(false);
      expect(store.size).toBe(1);
    });

    it('whatever else is there', async () => {
      const { store, clock } = storeAt(NOW, { maxEntries: 3 });
      for (const [key, seconds] of Object.entries({ late: 500, early: 5, live: 30 })) {
        await store.checkAndStore(key, NOW + seconds);
      }
      clock.time += 6;
      expect(await store.checkAndStore('next', NOW + 60)).toBe(true);
      for (const key of ['late', 'live', 'next']) {
        expect(await store.checkAndStore(key, NOW + 900)).toBe(false);
      }
      const refused = store.checkAndStore('one more', NOW + 60);
      await expect(refused).rejects.toHaveProperty('retryAfterSeconds', 24);
    });

    it('is looked for at most once a second', async () => {
      const { store, clock } = storeAt(NOW, { maxEntries: 2 });
      await store.checkAndStore('a', NOW + 1);
      await store.checkAndStore('b', NOW + 2);
      clock.time = NOW + 1.9;
      expect(await store.checkAndStore('c', NOW + 60)).toBe(true);
      clock.time = NOW + 2.8;
      const full = store.checkAndStore('d', NOW + 60);
      await expect(full).rejects.toHaveProperty('retryAfterSeconds', 1);
      clock.time = NOW + 2.9;
      expect(await store.checkAndStore('d', NOW + 60)).toBe(true);
    });

    it('a clock that steps back admits it not twice', async () => {
      const { store, clock } = storeAt(NOW, { maxEntries: 1 });
      await store.checkAndStore('a', NOW + 1);
      clock.time += 2;
      await store.checkAndStore('b', NOW + 60);
      clock.time = NOW - 10;
      const again = store.checkAndStore('a', NOW + 1);
      await expect(again).rejects.toBeInstanceOf(ReplayStoreError);
    });
  });

  it('P16: holds an entry up to its last instant, in steps of 1 ms', async () => {
    for (const expiry of [NOW + 5, NOW + 80, NOW + 81]) {
      const { store, clock } = storeAt(NOW);
      await store.checkAndStore('proof-1', expiry);
      for (let ms = -2000; ms <= 0; ms++) {
        clock.time = expiry + ms / 1000;
        expect(await store.checkAndStore('proof-1', expiry)).toBe(false);
      }
    }
  });

  it.each([0, -1, -3600])(
    '10.11d: what expired %i s ago is refused, and not forgotten at once',
    async (seconds) => {
      const { store } = storeAt(NOW);
      const late = store.checkAndStore('proof-1', NOW + seconds);
      await expect(late).rejects.toThrow(/expired before it was stored.*compare the clocks/);
      expect(store.size).toBe(0);
    },
  );

  it('10.11d: a resource whose clock is behind that of the store lets no proof pass twice', async () => {
    const { store, clock } = storeAt(NOW);
    const proof = () => store.checkAndStore('proof-1', NOW - 3600 + 390);
    await expect(proof()).rejects.toBeInstanceOf(ReplayStoreError);
    clock.time += 1;
    await expect(proof()).rejects.toBeInstanceOf(ReplayStoreError);
  });

  it('10.11d: after a clock step Retry-After is the real rest', async () => {
    const { store, clock } = storeAt(NOW);
    clock.time = NOW + 3600;
    await store.checkAndStore('ahead', clock.time + 390);
    clock.time += 600; // dropped
    await store.checkAndStore('also ahead', clock.time + 390);
    clock.time = NOW;
    const fresh = () => store.checkAndStore('fresh', Math.ceil(clock.time) + 390);
    const refused = await fresh().catch((error: ReplayStoreError) => error);
    const { retryAfterSeconds } = refused as ReplayStoreError;
    expect(retryAfterSeconds).toBe(3601);
    clock.time += retryAfterSeconds - 1;
    await expect(fresh()).rejects.toHaveProperty('retryAfterSeconds', 1);
    clock.time += 1;
    expect(await fresh()).toBe(true);
  });

  describe('9.10: one proof key cannot fill the store for all', () => {
    const fill = async (store: InMemoryDPoPReplayStore, proofKey: string, most: number) => {
      for (let i = 0; i < most; i++) {
        const put = store.checkAndStore(`${proofKey} ${i}`, NOW + 300, proofKey);
        const refusal = await put.catch((error: unknown) => error);
        if (refusal !== true) return { stored: i, refusal };
      }
      return { stored: most, refusal: undefined };
    };

    it('it gets a fifth, then 503 with the time when some of it is free again', async () => {
      const { store, clock } = storeAt(NOW, { maxEntries: 1000 });
      const { stored, refusal } = await fill(store, 'greedy', 1000);
      expect(stored).toBe(200);
      expect(refusal).toBeInstanceOf(ReplayStoreError);
      expect(String(refusal)).toMatch(/fills its share/);
      expect(await store.checkAndStore('greedy 0', NOW + 300, 'greedy')).toBe(false);
      expect(await store.checkAndStore('other', NOW + 300, 'other')).toBe(true);
      clock.time += (refusal as ReplayStoreError).retryAfterSeconds;
      expect(await store.checkAndStore('later', clock.time + 300, 'greedy')).toBe(true);
    });

    it('a caller with many keys leaves room for the next one, too', async () => {
      const { store } = storeAt(NOW, { maxEntries: 1000 });
      for (let key = 0; key < 12; key++) await fill(store, `greedy-${key}`, 1000);
      expect((await fill(store, 'honest', 10)).stored).toBe(10);
    });
  });

  describe('9.9g: the memory of the process', () => {
    const clock = { now: () => NOW, elapsed: () => 0 };

    it('is one for all', async () => {
      expect(await processReplayMemory(clock).checkAndStore('k', NOW + 60)).toBe(true);
      expect(await processReplayMemory(clock).checkAndStore('k', NOW + 60)).toBe(false);
    });

    it('says nothing of another clock', async () => {
      const other = { now: () => NOW, elapsed: () => 0 };
      expect(await processReplayMemory(other).checkAndStore('k', NOW + 60)).toBe(true);
    });
  });

  it('a key may come again after its expiry', async () => {
    const { store, clock } = storeAt(NOW);
    await store.checkAndStore('proof-1', NOW + 5);
    clock.time += 6;
    expect(await store.checkAndStore('proof-1', NOW + 300)).toBe(true);
    expect(await store.checkAndStore('proof-1', NOW + 300)).toBe(false);
  });

  it('T31: a clock that steps back admits nothing twice', async () => {
    for (const step of [1, 10, 100, 1000, 100_000]) {
      const { store, clock } = storeAt(NOW);
      const expiry = NOW + 300;
      await store.checkAndStore('proof-1', expiry);
      clock.time = NOW + 600; // dropped
      await store.checkAndStore('proof-2', clock.time + 300);
      clock.time = expiry - step;
      await expect(store.checkAndStore('proof-1', expiry)).rejects.toBeInstanceOf(ReplayStoreError);
      await expect(store.checkAndStore('proof-2', NOW + 900)).resolves.toBe(false);
    }
  });

  it('a clock that jumps ahead and back again does not lock out new proofs', async () => {
    const { store, clock } = storeAt(NOW);
    await store.checkAndStore('proof-1', NOW + 300);
    clock.time = NOW + 3600;
    await store.checkAndStore('proof-2', NOW + 3600 + 300);
    clock.time = NOW + 2;
    expect(await store.checkAndStore('proof-3', NOW + 302)).toBe(true);
  });

  it('refuses an expiry that is no time', async () => {
    const { store } = storeAt(NOW);
    for (const expiry of [Number.NaN, Infinity, -Infinity]) {
      await expect(store.checkAndStore('a', expiry)).rejects.toBeInstanceOf(ReplayStoreError);
    }
  });

  it('refuses a bound that is none', () => {
    for (const maxEntries of [0, -1, 1.5, Number.NaN, Infinity]) {
      expect(() => new InMemoryDPoPReplayStore({ maxEntries })).toThrow(ConfigurationError);
    }
  });

  it('T32: full, it refuses new proofs and forgets no old one', async () => {
    const { store, clock } = storeAt(NOW, { maxEntries: 3 });
    for (const key of ['a', 'b', 'c']) expect(await store.checkAndStore(key, NOW + 60)).toBe(true);
    const refused = store.checkAndStore('d', NOW + 60);
    await expect(refused).rejects.toMatchObject({ code: 'replay_store_unavailable' });
    await expect(refused).rejects.toHaveProperty('retryAfterSeconds', 60);
    for (const key of ['a', 'b', 'c']) expect(await store.checkAndStore(key, NOW + 60)).toBe(false);
    clock.time += 400;
    expect(await store.checkAndStore('d', clock.time + 60)).toBe(true);
    expect(store.size).toBe(1);
  });
});

describe('checkReplay', () => {
  const rejections = unhandledRejections();

  const answering = (answer: () => unknown): DPoPReplayStore => ({
    checkAndStore: () => answer() as boolean,
  });

  it('lets the first use pass, given at once or later', async () => {
    await replayChecked(
      answering(() => true),
      'k',
      NOW,
    );
    await replayChecked(
      answering(() => Promise.resolve(true)),
      'k',
      NOW,
    );
  });

  it('rfc9449-dpop-replay-must-be-detected: refuses the second', async () => {
    for (const answer of [() => false, () => Promise.resolve(false)]) {
      const check = replayChecked(answering(answer), 'k', NOW);
      await expect(check).rejects.toBeInstanceOf(DPoPReplayDetectedError);
    }
  });

  it.each([undefined, null, 1, 'OK', {}, 'true'])(
    'F25: takes the answer %p for none',
    async (answer) => {
      const check = replayChecked(
        answering(() => answer),
        'k',
        NOW,
      );
      await expect(check).rejects.toBeInstanceOf(ReplayStoreError);
    },
  );

  it('F22: a store that throws or rejects is away; the reason is the cause', async () => {
    const cause = new Error('ECONNREFUSED');
    const thrown = answering(() => {
      throw cause;
    });
    for (const store of [thrown, answering(() => Promise.reject(cause))]) {
      await expect(replayChecked(store, 'k', NOW)).rejects.toMatchObject({
        code: 'replay_store_unavailable',
        retryAfterSeconds: 5,
        cause,
      });
    }
  });

  it('F23: a slow store is away after the deadline, and its late answer is nobody’s crash', async () => {
    const settled: (() => void)[] = [];
    const late = (
      settle: (resolve: (value: boolean) => void, reject: (e: Error) => void) => void,
    ) =>
      answering(
        () =>
          new Promise<boolean>((resolve, reject) => {
            settled.push(() => settle(resolve, reject));
          }),
      );
    const stores = [
      late((resolve) => resolve(true)),
      late((_resolve, reject) => reject(new Error('late'))),
      answering(() => new Promise(() => undefined)),
    ];
    for (const store of stores) {
      const check = replayChecked(store, 'k', NOW, { deadlineMs: 20 });
      await expect(check).rejects.toBeInstanceOf(ReplayStoreError);
    }
    for (const settle of settled) settle();
    await new Promise(setImmediate); // the late answers have come
    expect(rejections).toEqual([]);
  });

  it('F23: waits 250 ms by default', async () => {
    const started = performance.now();
    const check = replayChecked(
      answering(() => new Promise(() => undefined)),
      'k',
      NOW,
    );
    await expect(check).rejects.toThrow('250 ms');
    expect(performance.now() - started).toBeGreaterThan(240);
  });

  it('passes on what the store itself says about retrying', async () => {
    const store = answering(() => {
      throw new ReplayStoreError('full', { retryAfterSeconds: 90 });
    });
    await expect(replayChecked(store, 'k', NOW)).rejects.toHaveProperty('retryAfterSeconds', 90);
  });
});
