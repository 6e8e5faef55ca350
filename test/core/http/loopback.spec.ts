import { createServer, type RequestListener, type Server } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { askLocally } from '../../../src/core/http/loopback.js';

let server: Server;
afterEach(() => new Promise((resolve) => server.close(resolve)));

async function listen(at: number | string, listener: RequestListener) {
  server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(at, resolve));
  const address = server.address();
  if (address === null) throw new Error('no address');
  return { address, isTls: false };
}

const never = new AbortController().signal;
const get = { method: 'GET', path: '/x', headers: { Host: 'a.example' } } as const;

test('asks a server that listens everywhere, or on a socket in the file system', async () => {
  const listener: RequestListener = (request, response) => {
    response.end(`${request.headers.host} ${request.url}`);
  };
  expect(await askLocally(await listen(0, listener), get, never)).toMatchObject({
    status: 200,
    text: 'a.example /x',
  });
  await new Promise((resolve) => server.close(resolve));
  const folder = mkdtempSync(join(tmpdir(), 'loopback-'));
  const local = await listen(join(folder, 's'), listener);
  expect(await askLocally(local, get, never)).toMatchObject({ text: 'a.example /x' });
  rmSync(folder, { recursive: true });
});

test('leaves an event stream at once, and keeps no connection', async () => {
  const local = await listen(0, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
  });
  expect(await askLocally(local, get, never)).toMatchObject({ status: 200, text: '' });
});

test('reads the beginning of a long document', async () => {
  const local = await listen(0, (_, response) => response.end('x'.repeat(1_000_000)));
  const { text } = await askLocally(local, get, never);
  expect(text.length).toBeLessThan(200_000);
});

test('is given up when it is told so', async () => {
  const local = await listen(0, () => undefined);
  const stop = new AbortController();
  const asked = askLocally(local, get, stop.signal);
  stop.abort();
  await expect(asked).rejects.toThrow(/abort/i);
  server.closeAllConnections();
});
