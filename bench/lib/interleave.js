import { performance } from 'node:perf_hooks';
import { mainThreadCpu, processCpu } from './cpu.js';

/**
 * A case is a function that runs one slice and gives what a call of it has cost in microseconds:
 * `{ wall, main, process }`. `calls` makes one for this process; one of a server asks that for its CPU.
 *
 * Runs a slice of each in turn, forwards and backwards, so that a machine whose speed drifts slows all of
 * them alike. None has two in a row: what runs next to itself finds its code and data in the caches, and is
 * some microseconds cheaper for each request. The last one stays the last one for that.
 *
 * @returns the slices of each, by name; those of one round belong together.
 */
export async function interleave(cases, { rounds = 21, warmUps = 2 } = {}) {
  const names = Object.keys(cases);
  const slices = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) for (let times = 0; times < warmUps; times++) await cases[name]();
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? names : [...names.slice(0, -1).reverse(), ...names.slice(-1)];
    for (const name of order) slices[name].push(await cases[name]());
  }
  return slices;
}

/** Slices of several runs of {@link interleave}, such as of servers that were started anew. */
export function joined(runs) {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, runs.flatMap((run) => run[name])]));
}

/**
 * A case in this process: `run(i)`, as often as fits into `sliceMs` of CPU, `atOnce` at a time. The number of
 * calls is set when it is warm, because slices of a set time hold too few calls when the CPU is taken away.
 */
export function calls(run, { sliceMs = 50, atOnce = 1, warmUp = 300, most = 200_000 } = {}) {
  let next = 0;
  let count;
  const slice = async (size) => {
    let left = size;
    const before = { main: mainThreadCpu(), process: processCpu(), wall: performance.now() };
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (left-- > 0) {
          const answer = run(next++);
          if (answer instanceof Promise) await answer;
        }
      }),
    );
    return {
      wall: ((performance.now() - before.wall) * 1000) / size,
      main: (mainThreadCpu() - before.main) / size,
      process: (processCpu() - before.process) / size,
    };
  };
  return async () => {
    if (count === undefined) {
      await slice(warmUp);
      const { process } = await slice(warmUp);
      count = Math.min(most, Math.max(16, Math.ceil((sliceMs * 1000) / Math.max(process, 0.02))));
    }
    return slice(count);
  };
}
