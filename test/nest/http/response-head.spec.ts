import { afterEach, describe, expect, it } from 'vitest';
import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { headOf, onResponseHead } from '../../../src/nest/http/response-head.js';

let server: Server | undefined;
afterEach(() => void server?.close());

async function answer(respond: (response: ServerResponse) => void): Promise<Response> {
  server = createServer((_, response) => respond(response));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return fetch(`http://127.0.0.1:${port}`);
}

describe('onResponseHead', () => {
  it.each<[string, (response: ServerResponse) => void]>([
    ['set before', (response) => response.setHeader('Mcp-Session-Id', 'a').end()],
    ['an object', (response) => response.writeHead(200, { 'MCP-Session-ID': 'a' }).end()],
    ['a message and an object', (r) => r.writeHead(200, 'OK', { 'mcp-session-id': 'a' }).end()],
    ['a flat list', (response) => response.writeHead(200, ['mcp-session-id', 'a'] as never).end()],
    [
      'an implicit head',
      (response) => response.setHeader('mcp-session-id', 'a').write('x', () => response.end()),
    ],
  ])('sees a header that is %s', async (_, respond) => {
    const seen: unknown[] = [];
    await answer((response) => {
      onResponseHead(response, 'mcp-session-id', (...args) => seen.push(args));
      respond(response);
    });
    expect(seen).toEqual([[200, 'a']]);
  });

  it('what goes out is what was given, the reason included', async () => {
    const given = await answer((response) => {
      onResponseHead(response, 'x-a', () => undefined);
      response.writeHead(201, 'Made', { 'X-A': '1' }).end();
    });
    expect([given.status, given.statusText, given.headers.get('x-a')]).toEqual([201, 'Made', '1']);
  });

  it('who listens below finds the headers in the place where they were', async () => {
    const places: number[] = [];
    const headers = { 'x-a': '1' };
    await answer((response) => {
      const send = response.writeHead.bind(response);
      response.writeHead = (...args: unknown[]) => {
        places.push(args.indexOf(headers));
        return send(Number(args[0]));
      };
      onResponseHead(response, 'x-a', () => undefined);
      response.writeHead(200, headers).end();
    });
    expect(places).toEqual([1]);
  });
});

describe('headOf', () => {
  const headers = { a: '1' };

  it.each<[string, Parameters<typeof headOf>[0], ReturnType<typeof headOf>]>([
    ['a status', [200], { status: 200, message: undefined, headers: undefined }],
    ['headers', [200, headers], { status: 200, message: undefined, headers }],
    ['a reason and headers', [200, 'Fine', headers], { status: 200, message: 'Fine', headers }],
    ['a gap', [200, undefined, headers], { status: 200, message: undefined, headers }],
    ['null', [200, null as never], { status: 200, message: undefined, headers: undefined }],
  ])('reads %s as Node does', (_, args, head) => {
    expect(headOf(args)).toEqual(head);
  });
});

it('13.2: however many listen, one writeHead tells them all', () => {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  const told: unknown[] = [];
  onResponseHead(response, 'x-one', (status, value) => told.push([status, value]));
  const { writeHead } = response;
  onResponseHead(response, 'x-two', (status, value) => told.push([status, value]));
  expect(response.writeHead).toBe(writeHead);
  response.setHeader('x-two', '2');
  response.writeHead(201, { 'X-One': '1' });
  expect(told).toEqual([
    [201, '1'],
    [201, '2'],
  ]);
});
