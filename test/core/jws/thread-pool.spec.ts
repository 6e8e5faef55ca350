import { expect, test } from 'vitest';
import { ThreadPool } from '../../../src/core/jws/thread-pool.js';

test('13.3: so much is under way at once, and the rest has its turn in the order it came', () => {
  const pool = new ThreadPool(2);
  const begun: number[] = [];
  const dones: (() => void)[] = [];
  const add = (name: number) =>
    pool.run((done) => {
      begun.push(name);
      dones.push(done);
    });
  for (let name = 0; name < 5; name++) add(name);
  expect(begun).toEqual([0, 1]);
  dones.shift()?.();
  expect(begun).toEqual([0, 1, 2]);
  for (let done = dones.shift(); done !== undefined; done = dones.shift()) done();
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  add(5);
  expect(begun).toEqual([0, 1, 2, 3, 4, 5]);
});

test('13.3: a queue that is never empty forgets what has begun', () => {
  const pool = new ThreadPool(1);
  let begun = 0;
  const dones: (() => void)[] = [];
  const add = () =>
    pool.run((done) => {
      begun++;
      dones.push(done);
    });
  for (let i = 0; i < 100; i++) add();
  for (let i = 0; i < 5000; i++) {
    add();
    dones.shift()?.();
  }
  expect(begun).toBe(5001);
});
