import { once } from 'node:events';
import { createServer } from 'node:net';

/** For the two servers behind the gateway, whose addresses have to be known before they run. */
export async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()].map((server) => server.listen(0, 'localhost'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const [first, second] = servers.map((server) => server.address());
  for (const server of servers) server.close();
  if (typeof first !== 'object' || typeof second !== 'object' || !first || !second) {
    throw new Error('no free port');
  }
  return [first.port, second.port];
}
