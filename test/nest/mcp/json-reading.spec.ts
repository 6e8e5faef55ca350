import { afterEach, describe, expect, test } from 'vitest';
import {
  type MountedServer,
  readsItself,
  startMounted,
} from '../../support/hosts/mounted-hosts.js';

const READ = 'notes:read';
let server: MountedServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** One request with exactly these bytes. */
async function post(
  { mcpUrl, authorizationServer }: MountedServer,
  body: string | Uint8Array<ArrayBuffer> | string[],
  headers: Record<string, string> = {},
  scope: string | null = READ,
) {
  const claims = { sub: 'alice', aud: [mcpUrl], scope: scope ?? '' };
  const token = `Bearer ${await authorizationServer.issueToken(claims)}`;
  const response = await fetch(mcpUrl, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...(scope === null ? {} : { authorization: token }),
      ...headers,
    },
    body: Array.isArray(body) ? ReadableStream.from(body.map((part) => Buffer.from(part))) : body,
    duplex: 'half',
  });
  await response.arrayBuffer(); // else an upload that was refused half-way is never given up
  return response;
}

describe.each(['app.use on express', 'app.use on fastify'] as const)(
  '12.5: bodies in front of all parsers, %s',
  (mount) => {
    const message = (name: string, note?: string) =>
      JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name, arguments: { note } },
      });

    test('a server that reads the request itself runs what was judged', async () => {
      server = await startMounted(mount, readsItself);
      expect((await post(server, message('read', 'äöü'))).status).toBe(200);
      const twice =
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","name":"read","arguments":{}}}';
      expect((await post(server, twice)).status).toBe(200);
      expect(server.runs).toEqual(['alice read äöü', 'alice read']);
    });

    test('a chunked body, and one of nearly 4 MB', async () => {
      server = await startMounted(mount, readsItself);
      expect((await post(server, message('write', 'x'.repeat(4_000_000)))).status).toBe(403);
      expect((await post(server, message('read', 'x'.repeat(4_000_000)))).status).toBe(200);
      expect(server.runs[0]).toHaveLength('alice read '.length + 4_000_000);
    });

    test.each([
      ['more than 4 MB', 413, 'x'.repeat(4 * 1024 * 1024 + 1), {}],
      ['more than 4 MB in chunks', 413, ['x'.repeat(4 * 1024 * 1024), 'x'], {}],
      ['UTF-16', 415, message('read'), { 'content-type': 'application/json; charset=utf-16' }],
      ['bytes that are no UTF-8', 415, Uint8Array.from([0x22, 0xff, 0x22]), {}],
      ['a byte order mark', 400, `\uFEFF${message('read')}`, {}],
      ['no JSON', 400, '{"jsonrpc"', {}],
      ['a text', 400, '"text"', {}],
      ['another type', 400, message('read'), { 'content-type': 'text/plain' }],
      ['compressed', 400, message('read'), { 'content-encoding': 'gzip' }],
      ['too deep', 400, '['.repeat(100_000) + ']'.repeat(100_000), {}],
      ['a number of which null would be written', 400, '{"a":[1e400]}', {}],
    ])('%s: %i, and 401 without a token', async (_, status, body, headers) => {
      server = await startMounted(mount, readsItself);
      expect((await post(server, body, headers as Record<string, string>, null)).status).toBe(401);
      expect((await post(server, body, headers as Record<string, string>)).status).toBe(status);
      expect((await post(server, message('read'))).status).toBe(200); // the connection goes on
      expect(server.runs).toEqual(['alice read']);
    });
  },
);
