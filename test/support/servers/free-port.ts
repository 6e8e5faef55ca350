import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST = 11_000;
/** For each worker of a run, so that none is given what another one has just been given. */
const PORTS_EACH = 2_000;
const WORKERS = 9;

const given = new Set<number>();

/**
 * A free port: the resource URI has to be known before the application listens. It is below those that
 * systems give to clients and to `listen(0)`, so that nobody is given it in between.
 */
export async function freePort(): Promise<number> {
  const first = FIRST + (Number(process.env['VITEST_POOL_ID'] ?? 0) % WORKERS) * PORTS_EACH;
  for (;;) {
    const port = randomInt(first, first + PORTS_EACH);
    if (given.has(port)) continue;
    given.add(port);
    if (given.size > PORTS_EACH / 2) given.clear();
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
