/** `npm run bench` and `npm run bench:full`: one bench after the other, each in a process of its own. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const QUICK = ['verify.js', 'peers.js', 'exchange.js', 'herd.js', 'http.js', 'gateway.js'];
const FULL = [...QUICK, 'scale.js', 'import.js'];

const isFull = process.argv[2] === 'full';
for (const name of isFull ? FULL : QUICK) {
  const file = fileURLToPath(new URL(name, import.meta.url));
  if (!existsSync(file)) continue;
  const { status } = spawnSync(process.execPath, ['--expose-gc', file], {
    stdio: 'inherit',
    env: { ...process.env, NODE_NO_WARNINGS: '1', ...(isFull ? { FULL: '1' } : {}) },
  });
  if (status !== 0) process.exitCode = 1;
}
