import { expect, test } from 'vitest';
import type * as FreePort from './free-port.js';

/** Another one than that of the specs, as another process has it. */
const instance = async (name: string) => {
  const file = `./free-port.js?${name}`;
  return (await import(/* @vite-ignore */ file)) as typeof FreePort;
};

test('9: no two processes are given a port of the same block, also at the same time', async () => {
  const processes = await Promise.all(['one', 'two', 'three'].map(instance));
  const given = await Promise.all(
    processes.map(({ freePort }) => Promise.all(Array.from({ length: 60 }, () => freePort()))),
  );
  const all = given.flat();
  expect(new Set(all).size).toBe(all.length);
  const blocks = given.map((ports) => Math.max(...ports) - Math.min(...ports));
  expect(blocks.every((length) => length < 250)).toBe(true);
});
