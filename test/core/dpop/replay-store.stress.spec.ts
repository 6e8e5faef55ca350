import { expect, it } from 'vitest';
import { sha256 } from '../../../src/core/lib/digest.js';
import { InMemoryDPoPReplayStore, ReplayStoreError } from '../../../src/core/dpop/replay-store.js';
import { heapAfterCollection } from '../../support/time/collect-garbage.js';

const NOW = 1_790_000_000;
const isFull = process.env['AUTHPLANE_STRESS'] !== undefined;
/** In full, as many as the store takes by default. */
const PROOFS = isFull ? 1_000_000 : 50_000;

it(`T32, P17: ${PROOFS} proofs in bounded memory, the first still refused`, async () => {
  const clock = { time: NOW, now: () => clock.time, elapsed: () => 0 };
  const store = new InMemoryDPoPReplayStore({ clock, ...(isFull ? {} : { maxEntries: PROOFS }) });
  const perSecond = PROOFS / 333;
  const before = heapAfterCollection();
  for (let i = 0; i < PROOFS; i++) {
    clock.time = NOW + i / perSecond;
    if (!(await store.checkAndStore(keyOf(i), NOW + Math.floor(i / perSecond) + 390))) {
      throw new Error('a new key was refused');
    }
  }
  expect(store.size).toBe(PROOFS);
  expect(heapAfterCollection() - before).toBeLessThan(PROOFS * 262);
  expect(await store.checkAndStore(keyOf(0), NOW + 390)).toBe(false);
  expect(await store.checkAndStore(keyOf(PROOFS - 1), NOW + 700)).toBe(false);
  await expect(store.checkAndStore('one more', NOW + 700)).rejects.toBeInstanceOf(ReplayStoreError);
  clock.time = NOW + 2000;
  expect(await store.checkAndStore('later', NOW + 2390)).toBe(true);
  expect(store.size).toBe(1);
});

/** What keys look like: strings put together of pieces would take up twice the room. */
function keyOf(i: number): string {
  return sha256(`${i}`);
}
