import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Below those that systems give to clients and to `listen(0)`, so that nobody is given one in between. */
const FIRST = 11_000;
const BLOCKS = 80;
const PORTS_EACH = 250;

let ownBlock: Promise<number> | undefined;
let given = 0;

/**
 * A free port: the resource URI has to be known before the application listens. Of a block that this process
 * has for itself, in turn: no other worker and no other run on this machine is given it.
 */
export async function freePort(): Promise<number> {
  const first = await (ownBlock ??= takeBlock());
  for (;;) {
    given = (given % (PORTS_EACH - 1)) + 1;
    const port = first + given;
    if (await isFree(port)) return port;
  }
}

/** Whoever listens on the first port of a block has it, until the process ends. */
async function takeBlock(): Promise<number> {
  const start = randomInt(BLOCKS);
  for (let tried = 0; tried < BLOCKS; tried++) {
    const first = FIRST + ((start + tried) % BLOCKS) * PORTS_EACH;
    if (await canListen(createServer().unref(), first)) return first;
  }
  throw new Error('other processes have all blocks of ports');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isFree = await canListen(server, port);
  server.close();
  return isFree;
}

async function canListen(server: Server, port: number): Promise<boolean> {
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
    return true;
  } catch {
    return false;
  }
}
