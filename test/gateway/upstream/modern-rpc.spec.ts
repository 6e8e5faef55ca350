import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { askModern, readReply } from '../../../src/gateway/upstream/modern-rpc.js';
import type { Upstream } from '../../../src/gateway/upstream/upstream.js';
import { RpcError, UpstreamError } from '../../../src/gateway/wire/gateway-errors.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import {
  calendarServer,
  type RunningUpstream,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';

describe('14.B: askModern, of a server of the SDK', () => {
  let server: RunningUpstream;
  let upstream: Upstream;
  beforeAll(async () => {
    server = await startUpstream(calendarServer);
    upstream = upstreamAt(server.url);
  });
  afterEach(() => (server.intercept = undefined));
  afterAll(() => server.stop());

  const answering = (result: object) => {
    server.intercept = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, ...result }));
      return true;
    };
  };

  test('gives the result, asked for in the name of the gateway', async () => {
    const result = await askModern(upstream, 'tools/list', {}, askingAs());
    expect(result['tools']).toHaveLength(6);
    const [asked] = server.asked;
    expect(JSON.parse(asked?.body ?? '')).toMatchObject({
      method: 'tools/list',
      params: { _meta: { 'io.modelcontextprotocol/clientCapabilities': {} } },
    });
    expect([asked?.token, asked?.headers['mcp-method']]).toEqual([undefined, 'tools/list']);
  });

  test('an error of it is thrown with its status', async () => {
    const failing = askModern(upstream, 'vendor/unknown', {}, askingAs());
    await expect(failing).rejects.toBeInstanceOf(RpcError);
    await expect(failing).rejects.toMatchObject({ rpc: { code: -32601 } });
    answering({ error: { code: 'no number', data: { a: 1 } } });
    await expect(askModern(upstream, 'tools/list', {}, askingAs())).rejects.toMatchObject({
      ...{ status: 200, rpc: { code: -32603, message: '', data: { a: 1 } } },
    });
  });

  test.each([{ result: 'text' }, {}, { result: null }])(
    'what is no result is a failure: %j',
    async (message) => {
      answering(message);
      await expect(askModern(upstream, 'tools/list', {}, askingAs())).rejects.toMatchObject({
        code: 'upstream_failed',
      });
    },
  );
});

describe('readReply', () => {
  const upstream = upstreamAt('http://127.0.0.1:9/mcp');
  const read = (status: number, text: string, isEvents = false) => {
    const body = Object.assign(Readable.from([Buffer.from(text)]), { headers: {} });
    return readReply(upstream, { status, isEvents, body: body as never }, 1);
  };

  test('the response with our id, of a document or of events', async () => {
    const response = { jsonrpc: '2.0', id: 1, result: { a: 1 } };
    expect(await read(200, JSON.stringify(response))).toEqual(response);
    const other = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message' });
    const events = `data: ${other}\n\ndata: ${JSON.stringify(response)}\n\n`;
    expect(await read(200, events, true)).toEqual(response);
  });

  test('an error of JSON-RPC that came with a 4xx', async () => {
    const refused = { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'no session' } };
    expect(await read(404, JSON.stringify(refused))).toEqual(refused);
  });

  test.each<[number, string, string]>([
    [404, 'Not found', 'cal: it answers 404'],
    [403, '{"error":"insufficient_scope"}', 'cal: it answers 403'],
    [200, '{"jsonrpc":"2.0","id":2,"result":{}}', 'cal: its answer cannot be read'],
    [200, '{', 'cal: its answer cannot be read'],
  ])('%d %s cannot be read', async (status, text, message) => {
    const error = await read(status, text).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UpstreamError);
    expect(error).toMatchObject({ code: 'upstream_failed', status, message });
  });
});
