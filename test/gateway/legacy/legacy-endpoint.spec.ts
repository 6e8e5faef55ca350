import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  McpServer as ModernMcpServer,
  ResourceTemplate as ModernTemplate,
} from '@modelcontextprotocol/server';
import { none } from 'authplane-nestjs/gateway';
import { eventsOf } from '../../support/gateway/event-reader.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import {
  type LegacyUpstream,
  scripted,
  type ScriptedUpstream,
  startLegacyUpstream,
} from '../../support/gateway/legacy-servers.js';
import { type RunningUpstream, startUpstream } from '../../support/gateway/upstream-servers.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

/** Everything hangs until it is cancelled. */
function hanging(cancelled: string[]): ModernMcpServer {
  const server = new ModernMcpServer({ name: 'new', version: '1' });
  const hang = (what: string, signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        cancelled.push(what);
        reject(new Error('cancelled'));
      });
    });
  server.registerTool('t', {}, (ctx) => hang('tools/call', ctx.mcpReq.signal));
  server.registerPrompt('p', {}, (ctx) => hang('prompts/get', ctx.mcpReq.signal));
  server.registerResource('r', 'new://r', {}, (_uri, ctx) =>
    hang('resources/read', ctx.mcpReq.signal),
  );
  server.registerResource(
    'd',
    new ModernTemplate('new://{x}/d', {
      list: undefined,
      complete: { x: () => new Promise(() => undefined) },
    }),
    {},
    ({ href }) => ({ contents: [{ uri: href, text: '' }] }),
  );
  return server;
}

describe('14.F: clients of the 2025 revisions on the wire', () => {
  unhandledRejections();
  let counting: LegacyUpstream;
  let old: ScriptedUpstream;
  let young: RunningUpstream;
  let app: GatewayApp;
  const cancelled: string[] = [];
  beforeAll(async () => {
    counting = await startLegacyUpstream();
    old = await scripted();
    young = await startUpstream(() => hanging(cancelled));
    app = await startGateway({
      gateway: {
        upstreams: {
          counting: { url: counting.url, token: none() },
          old: { url: old.url, token: none() },
          young: { url: young.url, token: none() },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await counting.stop();
    await old.stop();
    await young.stop();
  });

  async function open(protocolVersion: string) {
    const headers: Record<string, string> = {
      authorization: `Bearer ${await app.token()}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    const post = (message: object, signal?: AbortSignal) =>
      fetch(app.mcpUrl, {
        method: 'POST',
        headers,
        body: JSON.stringify(message),
        ...(signal === undefined ? {} : { signal }),
      });
    const clientInfo = { name: 'wire', version: '1' };
    const params = { protocolVersion, capabilities: {}, clientInfo };
    const opened = await post({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
    headers['mcp-session-id'] = opened.headers.get('mcp-session-id') ?? '';
    await opened.text();
    return post;
  }
  const call = (id: number, name: string) => ({
    ...{ jsonrpc: '2.0', id, method: 'tools/call' },
    params: { name, arguments: {} },
  });

  test('a batch of 2025-03-26 is answered request by request, on one stream', async () => {
    const post = await open('2025-03-26');
    const response = await post([
      call(1, 'counting__count'),
      { jsonrpc: '2.0', method: 'notifications/roots/list_changed' },
      { jsonrpc: '2.0', id: 2, method: 'tools/list' },
      call(3, 'counting__nope'),
      { jsonrpc: '2.0', id: 4, method: 'ping' },
      { jsonrpc: '1.0', id: 5, method: 'ping' },
    ]);
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    const answers = new Map<unknown, any>();
    for await (const message of eventsOf(response)) answers.set(message.id, message);
    expect([...answers.keys()].sort()).toEqual([1, 2, 3, 4, 5]);
    expect(answers.get(1).result.content[0].text).toBe('1');
    expect(answers.get(2).result.tools.length).toBeGreaterThan(3);
    expect(answers.get(3).error.code).toBe(-32602);
    expect(answers.get(4).result).toEqual({});
    expect(answers.get(5).error.code).toBe(-32600);
    const silent = await post([{ jsonrpc: '2.0', method: 'notifications/initialized' }]);
    expect([silent.status, await silent.text()]).toEqual([202, '']);
  });

  test('later revisions have no batches, and none may begin a session', async () => {
    const post = await open('2025-11-25');
    expect((await post([call(1, 'counting__count')])).status).toBe(400);
    const older = await open('2025-03-26');
    expect((await older([])).status).toBe(400);
    const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} };
    expect((await older([initialize])).status).toBe(400);
  });

  const OPERATIONS = (prefix: string, scheme: string) =>
    [
      ['tools/call', { name: `${prefix}__t`, arguments: {} }],
      ['prompts/get', { name: `${prefix}__p` }],
      ['resources/read', { uri: `${scheme}://r` }],
      [
        'completion/complete',
        {
          ref: { type: 'ref/resource', uri: `${scheme}://{x}/d` },
          argument: { name: 'x', value: '' },
        },
      ],
    ] as const;

  test.each(OPERATIONS('old', 'old'))(
    '%s: a cancellation reaches an upstream of 2025',
    async (method, params) => {
      for (const era of ['2025', '2026'] as const) {
        old.asked.length = 0;
        const stop = new AbortController();
        const post = await open('2025-11-25');
        const message = { jsonrpc: '2.0', id: 7, method, params };
        const hangs =
          era === '2025'
            ? post(message)
            : app.fetch(method, params, { id: 7, signal: stop.signal, headers: nameOf(params) });
        const ended = Promise.resolve(hangs)
          .then((one) => one.text())
          .catch(() => 'aborted');
        await until(() => old.asked.some((one) => one.method === method));
        if (era === '2026') stop.abort();
        else {
          const reason = { requestId: 7 };
          await post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: reason });
        }
        await until(() => old.asked.some((one) => one.method === 'notifications/cancelled'));
        await ended;
      }
    },
  );

  test.each(OPERATIONS('young', 'new'))(
    '%s: a cancellation reaches an upstream of 2026',
    async (method, params) => {
      young.aborted.length = 0;
      const post = await open('2025-11-25');
      const hangs = post({ jsonrpc: '2.0', id: 7, method, params }).then((one) => one.text());
      await until(() => young.asked.at(-1)?.method === method);
      await post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } });
      await until(() => young.aborted.includes(method));
      await hangs;
    },
  );
});

function nameOf(params: object): Record<string, string> {
  const name = 'name' in params ? params.name : 'uri' in params ? params.uri : undefined;
  return typeof name === 'string' ? { 'mcp-name': name } : {};
}
