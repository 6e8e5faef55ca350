import { performance } from 'node:perf_hooks';

/**
 * Runs each case in short slices, in turn, so that a machine whose speed drifts slows all of them
 * alike; compares by the median of the ratios of neighbouring slices.
 */
export async function interleave(cases, { rounds = 30, sliceMs = 60 } = {}) {
  const names = Object.keys(cases);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) await slice(cases[name], sliceMs); // warm-up
  for (let round = 0; round < rounds; round++) {
    for (const name of names) times[name].push(await slice(cases[name], sliceMs));
  }
  return times;
}

export function ratio(times, name, base) {
  return median(times[name].map((time, round) => time / times[base][round]));
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** Microseconds per call. */
async function slice(run, sliceMs) {
  const start = performance.now();
  let calls = 0;
  do {
    for (let i = 0; i < 10; i++) await run();
    calls += 10;
  } while (performance.now() - start < sliceMs);
  return ((performance.now() - start) * 1000) / calls;
}
