/**
 * `npm run bench` and `npm run bench:full`: one bench after the other, each in a process of its own. `ci` is the least
 * that says anything, and keeps nothing. What one of them takes too long for is left out, not waited for.
 */
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

const QUICK = ['http', 'duel', 'verify', 'peers', 'exchange', 'herd'];
const RUNS = {
  quick: { benches: QUICK, env: { BENCH_ONLY: 'http-request,http-mcp,bearers,proofs' } },
  full: {
    benches: [...QUICK, 'scale', 'import', 'gateway', 'gateway-faults'],
    env: { FULL: '1' },
    secondsForAll: 20 * 60,
  },
  ci: {
    benches: ['import', 'http'],
    env: { BENCH_ONLY: 'http-request', BENCH_ROUNDS: '3', BENCH_KEEP: 'no' },
    secondsForAll: 30, // nobody waits for figures that fail nothing
  },
};

const { benches, env, secondsForAll = Infinity } = RUNS[process.argv[2] ?? 'quick'];
const end = performance.now() + secondsForAll * 1000;
for (const name of benches) {
  const began = performance.now();
  if (began >= end) break;
  const file = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  const { status, error } = spawnSync(process.execPath, ['--expose-gc', file], {
    stdio: 'inherit',
    env: { ...process.env, NODE_NO_WARNINGS: '1', ...env },
    ...(end === Infinity ? {} : { timeout: Math.ceil(end - began) }),
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(
    error === undefined ? `\n${name}: ${seconds} s` : `\n${name}: left off after ${seconds} s`,
  );
  if (status !== 0 && error === undefined) process.exitCode = 1;
}
