import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../peers/', import.meta.url));

/** Installs the other libraries where they are not. @returns whether there is something to compare with. */
export function hasPeers() {
  if (existsSync(`${FOLDER}node_modules`)) return true;
  const options = { cwd: FOLDER, stdio: 'inherit', shell: process.platform === 'win32' };
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], options);
  if (status === 0) return true;
  console.log('the other libraries cannot be installed: nothing is compared with them');
  return false;
}
