/** What it costs a process to load the package, against a bare start of Node: CPU of the whole child process. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { interleave } from './lib/interleave.js';
import { again, compare, report } from './lib/report.js';

const BARE = 'node';
const TELL = 'const { user, system } = process.cpuUsage(); console.log(user + system);';
const core = process.env.BENCH_CORE ?? 'authplane-nestjs/core';

const started = (code) => async () => {
  const begin = performance.now();
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', `${code}${TELL}`], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  });
  assert.equal(child.status, 0, child.stderr);
  const cpu = Number(child.stdout);
  return { wall: (performance.now() - begin) * 1000, main: cpu, process: cpu };
};

const slices = await interleave(
  {
    [BARE]: started(''),
    [again(BARE)]: started(''),
    'with ./core': started(`await import(${JSON.stringify(core)});`),
    'with jose': started(`await import('jose');`),
  },
  { rounds: Number(process.env.BENCH_ROUNDS ?? (process.env.FULL === '1' ? 25 : 9)) },
);
const goals = { 'with ./core': { most: 1.3 } };
report('import', 'Loading the package', compare(slices, { base: BARE, goals }));
