import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inputRequired, McpServer as ModernMcpServer } from '@modelcontextprotocol/server';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { ElicitResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { none } from 'authplane-nestjs/gateway';
import { z } from 'zod';
import { eventsOf } from '../../support/gateway/event-reader.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { type RunningUpstream, startUpstream } from '../../support/gateway/upstream-servers.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const CALLS = process.env['AUTHPLANE_STRESS'] === undefined ? 30 : 100;
const RELATED = 'io.modelcontextprotocol/related-task';
const inputSchema = z.object({ key: z.string() });
const form = (key: string) => ({
  message: key,
  requestedSchema: { type: 'object' as const, properties: {} },
});
const text = (value: unknown) => ({
  content: [{ type: 'text' as const, text: JSON.stringify(value) }],
});

/** Tells, asks and tells again, always with the key of the call. */
function legacy(): McpServer {
  const server = new McpServer({ name: 'old', version: '1' }, { capabilities: { logging: {} } });
  server.registerTool('ask', { inputSchema: inputSchema.shape }, async ({ key }, extra) => {
    const tell = (data: string) =>
      extra.sendNotification({
        method: 'notifications/message',
        params: { level: 'info', data },
      });
    await tell(key);
    const answer = await extra.sendRequest(
      { method: 'elicitation/create', params: form(key) },
      ElicitResultSchema,
    );
    await tell(key);
    return text([key, answer.content]);
  });
  server.registerTool('take-back', { inputSchema: inputSchema.shape }, async (_, extra) => {
    const question = { method: 'elicitation/create' as const, params: form('wait') };
    const stop = new AbortController();
    const asked = extra.sendRequest(question, ElicitResultSchema, { signal: stop.signal });
    setImmediate(() => stop.abort());
    await asked.catch(() => undefined);
    return text('no more');
  });
  server.registerTool('ask-for-task', { inputSchema: inputSchema.shape }, async (_, extra) => {
    const params = { ...form('who?'), _meta: { [RELATED]: { taskId: 'its own' } } };
    const question = { method: 'elicitation/create' as const, params };
    return text((await extra.sendRequest(question, ElicitResultSchema))._meta);
  });
  return server;
}

function modern(): ModernMcpServer {
  const server = new ModernMcpServer({ name: 'new', version: '1' });
  server.registerTool('ask', { inputSchema }, async ({ key }, ctx) => {
    const answers = ctx.mcpReq.inputResponses as Record<string, { content?: object }> | undefined;
    const answer = answers?.['one']?.content;
    if (answer !== undefined) return text([key, answer]);
    return inputRequired({
      inputRequests: { one: inputRequired.elicit({ mode: 'form', ...form(key) }) },
    });
  });
  return server;
}

describe('14.F: what an upstream says goes to the call that it is about', () => {
  unhandledRejections();
  let old: LegacyUpstream;
  let young: RunningUpstream;
  let app: GatewayApp;
  let headers: Record<string, string>;
  beforeAll(async () => {
    old = await startLegacyUpstream(legacy);
    young = await startUpstream(modern);
    app = await startGateway({
      gateway: {
        perCallerInFlight: CALLS,
        upstreams: {
          old: { url: old.url, token: none(), maxInFlight: 2 * CALLS },
          narrow: { url: old.url, token: none(), maxInFlight: 1 },
          young: { url: young.url, token: none(), maxInFlight: 2 * CALLS },
        },
      },
    });
    headers = {
      authorization: `Bearer ${await app.token()}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    const opened = await post({
      id: 0,
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: { elicitation: {} },
        clientInfo: { name: 'wire', version: '1' },
      },
    });
    await opened.text();
    headers['mcp-session-id'] = opened.headers.get('mcp-session-id') ?? '';
  });
  afterAll(async () => {
    await app.close();
    await old.stop();
    await young.stop();
  });
  const post = (message: object) =>
    fetch(app.mcpUrl, {
      method: 'POST',
      headers,
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });

  /** @returns the keys of all messages on the stream of this call */
  async function call(tool: string, id: number): Promise<string[]> {
    const key = `key-${id}-`;
    const response = await post({
      id,
      method: 'tools/call',
      params: { name: tool, arguments: { key } },
    });
    const keys: string[] = [];
    for await (const message of eventsOf(response)) {
      if (message.method === 'elicitation/create') {
        keys.push(message.params.message);
        const result = { action: 'accept', content: { said: message.params.message } };
        await post({ id: message.id, result });
      } else if (message.method === 'notifications/message') keys.push(message.params.data);
      else
        keys.push(
          ...JSON.parse(message.result.content[0].text).map(String),
          message.result.content[0].text,
        );
    }
    const isRight = keys.at(-1) === JSON.stringify([key, { said: key }]);
    return isRight ? keys.slice(0, -2).filter((one) => one !== key) : [key, ...keys];
  }

  test.each([
    ['old__ask', 'sampling, forms and notifications of 2025-11-25'],
    ['young__ask', 'questions in results of 2026-07-28'],
  ])(`%s: ${CALLS} of ${CALLS} at once in one session (%s)`, async (tool) => {
    const calls = Array.from({ length: CALLS }, (_, index) => call(tool, index + 1));
    const wrong = (await Promise.all(calls)).filter((keys) =>
      keys.some((key) => key.startsWith('key-')),
    );
    expect(wrong).toEqual([]);
  });

  test('14.2: an answer is of the task that the upstream knows, and has nothing of another hop', async () => {
    const response = await post({
      id: 3000,
      method: 'tools/call',
      params: { name: 'old__ask-for-task', arguments: { key: '' } },
    });
    const seen: unknown[] = [];
    for await (const { id, params, result } of eventsOf(response)) {
      seen.push(params?._meta[RELATED].taskId ?? JSON.parse(result.content[0].text));
      if (params === undefined) continue;
      const _meta = { ...params._meta, 'io.modelcontextprotocol/x': 1, 'com.example/a': 1 };
      await post({ id, result: { action: 'decline', _meta } });
    }
    const its = { [RELATED]: { taskId: 'its own' }, 'com.example/a': 1 };
    expect(seen).toEqual([expect.not.stringContaining('its own'), its]);
  });

  test('14.2: a question that the upstream takes back is taken back by the id that the client has', async () => {
    const params = { name: 'old__take-back', arguments: { key: '' } };
    const response = await post({ id: 4000, method: 'tools/call', params });
    const seen: unknown[] = [];
    for await (const { id, method, params: said } of eventsOf(response)) {
      seen.push([method, method === 'notifications/cancelled' ? said.requestId : id]);
    }
    const id = (seen as [unknown, unknown][])[0]?.[1];
    expect(id).toMatch(/^gateway-/);
    expect(seen).toEqual([
      ['elicitation/create', id],
      ['notifications/cancelled', id],
      [undefined, 4000],
    ]);
  });

  test('an answer takes no place of its own: the call that waits for it has one', async () => {
    expect(await call('narrow__ask', 2000)).toEqual([]);
  });

  test('a session with an upstream that is removed ends', async () => {
    await call('old__ask', 1000);
    old.log.length = 0;
    await app.upstreams.remove('old');
    const end = async () => {
      while (!old.log.includes('DELETE session'))
        await new Promise((resolve) => setTimeout(resolve, 5));
      return 'ended';
    };
    expect(await end()).toBe('ended');
  });
});

describe("14.2: option session: 'call' of an upstream", () => {
  unhandledRejections();

  test('each call has a session of its own, which ends with it', async () => {
    const old = await startLegacyUpstream();
    const app = await startGateway({
      gateway: {
        upstreams: {
          kept: { url: old.url, token: none() },
          fresh: { url: old.url, token: none(), session: 'call' },
        },
      },
    });
    const client = await app.client(await app.token(), 'legacy');
    const count = async (name: string) => {
      const { content } = await client.callTool({ name: `${name}__count`, arguments: {} });
      return (content as { text: string }[])[0]?.text;
    };
    expect([await count('kept'), await count('kept')]).toEqual(['1', '2']);
    expect([await count('fresh'), await count('fresh')]).toEqual(['1', '1']);
    await until(() => old.sessions.size <= 2); // of the other one, and of the stream of the client
    expect([await count('kept'), await count('fresh')]).toEqual(['3', '1']);
    await client.close();
    await app.close();
    await old.stop();
  });
});
