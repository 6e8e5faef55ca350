import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  ElicitRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListRootsRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import {
  calendarServer,
  type RunningUpstream,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';
import { platforms } from '../../support/nest/start-app.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

describe.each(platforms)('14.F: clients and upstreams of 2025-11-25 on %s', (platform) => {
  unhandledRejections();
  let old: LegacyUpstream;
  let calendar: RunningUpstream;
  let app: GatewayApp;
  const tokens: string[] = [];
  beforeAll(async () => {
    old = await startLegacyUpstream();
    calendar = await startUpstream(calendarServer);
    app = await startGateway({
      platform,
      scopes: ['write'],
      gateway: {
        upstreams: {
          old: { url: old.url, token: none() },
          cal: {
            url: calendar.url,
            token: none(),
            breaker: false,
            tools: { create_event: { scopes: ['write'] } },
          },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    const wire = old.received() + calendar.received();
    expect(tokens.filter((token) => wire.includes(token))).toEqual([]);
    await old.stop();
    await calendar.stop();
  });

  async function connectV1(sub = 'user-1', scope = 'write', name = 'Ann'): Promise<Client> {
    const token = await app.token({ sub, scope });
    tokens.push(token);
    const client = new Client(
      { name: 'v1', version: '1' },
      { capabilities: { elicitation: { form: {} }, roots: {} } },
    );
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name } }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({
      roots: [{ uri: `file:///${sub}` }],
    }));
    const transport = new StreamableHTTPClientTransport(new URL(app.mcpUrl), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    });
    await client.connect(transport);
    return client;
  }
  const textOf = (result: object) =>
    (result as { content?: { text: string }[] }).content?.[0]?.text;
  const run = async (client: Client, name: string, args = {}) =>
    textOf(await client.callTool({ name, arguments: args }));

  test('v1: lists of both eras, calls, prompts, resources, completions', async () => {
    const client = await connectV1();
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['old__count', 'old__ask', 'cal__list_events', 'cal__slow']),
    );
    expect(await run(client, 'old__count')).toBe('1');
    expect(await run(client, 'cal__list_events', { day: 'fri' })).toBe('list_events {"day":"fri"}');
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual([
      'old__hello',
      'cal__briefing',
    ]);
    expect((await client.getPrompt({ name: 'cal__briefing' })).messages).toHaveLength(1);
    expect((await client.getPrompt({ name: 'old__hello' })).messages).toHaveLength(1);
    const read = await client.readResource({ uri: 'calendar://days/fri' });
    expect(read).toEqual({ contents: [{ uri: 'calendar://days/fri', text: 'a day' }] });
    expect((await client.readResource({ uri: 'count://all' })).contents).toHaveLength(1);
    const completed = await client.complete({
      ref: { type: 'ref/resource', uri: 'calendar://days/{day}' },
      argument: { name: 'day', value: '' },
    });
    expect(completed.completion.values).toEqual(['fri', 'sat']);
    await client.setLoggingLevel('debug');
    await client.ping();
    await client.close();
  });

  test('progress and questions come on the stream of the very call', async () => {
    const client = await connectV1('zoe', 'write', 'Zoe');
    for (const tool of ['old__slow', 'cal__slow']) {
      const progress: number[] = [];
      const result = await client.callTool({ name: tool, arguments: {} }, undefined, {
        onprogress: (one) => void progress.push(one.progress),
      });
      expect([textOf(result), progress.length >= 2]).toEqual(['slow ran', true]);
    }
    expect(JSON.parse((await run(client, 'old__ask'))!)).toEqual({
      action: 'accept',
      content: { name: 'Zoe' },
    });
    expect(await run(client, 'old__roots')).toBe('file:///zoe');
    await client.close();
  });

  test('an upstream of 2026-07-28 asks by its result, and the client is asked', async () => {
    const client = await connectV1('ivy', 'write', 'Ivy');
    const result = await client.callTool({ name: 'cal__invite', arguments: {} });
    expect(textOf(result)).toBe('invited Ivy');
    expect(result).not.toHaveProperty('resultType');
    await client.close();
  });

  test('many clients at once: sessions and questions never cross', async () => {
    const users = Array.from(
      { length: process.env['AUTHPLANE_STRESS'] === undefined ? 12 : 200 },
      (_, index) => `u${index}`,
    );
    const wrong = await Promise.all(
      users.map(async (user) => {
        const client = await connectV1(user, 'write', user);
        const counts = [await run(client, 'old__count'), await run(client, 'old__count')];
        const [asked, roots] = await Promise.all([
          run(client, 'old__ask'),
          run(client, 'old__roots'),
        ]);
        await (client.transport as StreamableHTTPClientTransport).terminateSession();
        await client.close();
        const isRight =
          counts.join() === '1,2' &&
          asked?.includes(`"${user}"`) === true &&
          roots === `file:///${user}`;
        return isRight ? [] : [user, counts, asked, roots];
      }),
    );
    expect(wrong.flat()).toEqual([]);
  });

  test('a session of an upstream that is lost is opened again, once', async () => {
    const client = await connectV1();
    expect(await run(client, 'old__count')).toBe('1');
    old.forget();
    expect(await run(client, 'old__count')).toBe('1');
    await client.close();
  });

  test('a cancellation reaches the upstream', async () => {
    const client = await connectV1();
    const stop = new AbortController();
    old.log.length = 0;
    const hanging = client.callTool({ name: 'old__hang', arguments: {} }, undefined, {
      signal: stop.signal,
    });
    hanging.catch(() => undefined);
    await until(() => old.log.includes('hanging'));
    stop.abort();
    await until(() => old.log.includes('cancelled'));
    await client.close();
  });

  test('the end of a session ends those of its upstreams', async () => {
    const client = await connectV1();
    await run(client, 'old__count');
    old.log.length = 0;
    await (client.transport as StreamableHTTPClientTransport).terminateSession();
    await until(() => old.log.includes('DELETE session'));
    await expect(client.listTools()).rejects.toThrow();
    await client.close();
  });

  test('sessions that end, by an answer without content, say nothing against their upstream', async () => {
    const clients = await Promise.all(Array.from({ length: 6 }, () => connectV1()));
    await Promise.all(clients.map((client) => run(client, 'old__count')));
    old.log.length = 0;
    for (const { transport } of clients) {
      await (transport as StreamableHTTPClientTransport).terminateSession();
    }
    await until(() => old.log.filter((line) => line === 'DELETE session').length === 6);
    const [next] = await Promise.all([connectV1(), ...clients.map((client) => client.close())]);
    expect(await run(next, 'old__count')).toBe('1');
    await next.close();
  });

  test("a session is nobody else's", async () => {
    const client = await connectV1('owner');
    const { sessionId = '' } = client.transport as StreamableHTTPClientTransport;
    for (const method of ['POST', 'DELETE']) {
      const response = await fetch(app.mcpUrl, {
        method,
        headers: {
          authorization: `Bearer ${await app.token({ sub: 'thief' })}`,
          'content-type': 'application/json',
          'mcp-session-id': sessionId,
        },
        ...(method === 'POST' ? { body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' } : {}),
      });
      expect(response.status).toBe(404);
    }
    expect((await client.listTools()).tools.length).toBeGreaterThan(3);
    await client.close();
  });

  test('failures are said in results and errors, and a missing scope is 403', async () => {
    const client = await connectV1('poor', '');
    await expect(
      client.callTool({ name: 'cal__create_event', arguments: {} }),
    ).rejects.toMatchObject({ code: 403 });
    await expect(client.callTool({ name: 'cal__nope', arguments: {} })).rejects.toMatchObject({
      code: -32602,
    });
    await expect(client.readResource({ uri: 'nowhere://x' })).rejects.toMatchObject({
      code: -32002,
    });
    calendar.intercept = async (_request, response, body) => {
      if (!body.includes('tools/call') && !body.includes('prompts/get')) return false;
      response.writeHead(500).end('secret');
      return true;
    };
    const failed = await client.callTool({ name: 'cal__list_events', arguments: {} });
    expect(failed).toMatchObject({ isError: true });
    expect(textOf(failed)).toBe('cal gave no answer that can be used');
    await expect(client.getPrompt({ name: 'cal__briefing' })).rejects.toMatchObject({
      code: -32603,
    });
    calendar.intercept = undefined;
    await client.close();
  });

  test('v2 of the 2025 era sees the same', async () => {
    const token = await app.token();
    const client = new ClientV2(
      { name: 'v2', version: '2' },
      { versionNegotiation: { mode: 'legacy' } },
    );
    await client.connect(
      new TransportV2(new URL(app.mcpUrl), {
        requestInit: { headers: { authorization: `Bearer ${token}` } },
      }),
    );
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('old__count');
    expect(textOf(await client.callTool({ name: 'old__count', arguments: {} }))).toBe('1');
    expect(textOf(await client.callTool({ name: 'cal__list_events', arguments: {} }))).toBe(
      'list_events {}',
    );
    await client.close();
  });

  test('a client of 2026-07-28 calls an upstream of 2025-11-25 in a session of that call', async () => {
    const client = await app.client(await app.token());
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('old__count');
    old.log.length = 0;
    expect(textOf(await client.callTool({ name: 'old__count', arguments: {} }))).toBe('1');
    expect(textOf(await client.callTool({ name: 'old__count', arguments: {} }))).toBe('1');
    await until(() => old.log.filter((line) => line === 'DELETE session').length === 2);
    const progress: number[] = [];
    const slow = await client.callTool(
      { name: 'old__slow', arguments: {} },
      { onprogress: (one) => void progress.push(one.progress) },
    );
    expect([textOf(slow), progress]).toEqual(['slow ran', [1, 2]]);
    const read = await client.readResource({ uri: 'count://all' });
    expect(read.contents).toHaveLength(1);
    await client.close();
  });
});

/** Lists one of each, but tools only if it is not mute, and answers nothing else before it is told to stop. */
function hanging(log: string[], isMute: boolean): McpServer {
  const { server } = new McpServer({ name: 'hanging', version: '1' });
  const hang = ({ method }: { method: string }, { signal }: { signal: AbortSignal }) => {
    log.push(`begun ${method}`);
    return new Promise<never>(() => {
      signal.addEventListener('abort', () => log.push(`cancelled ${method}`));
    });
  };
  const one = { name: 'it', uri: 'it://it', inputSchema: { type: 'object' as const } };
  server.registerCapabilities({ tools: {} });
  server.setRequestHandler(ListToolsRequestSchema, (request, extra) =>
    isMute ? hang(request, extra) : { tools: [one] },
  );
  if (isMute) return { connect: (to: never) => server.connect(to) } as unknown as McpServer;
  server.registerCapabilities({
    ...{ resources: { subscribe: true }, prompts: {}, completions: {}, logging: {} },
  });
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: [one] }));
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: [one] }));
  server.setRequestHandler(CallToolRequestSchema, hang);
  server.setRequestHandler(GetPromptRequestSchema, hang);
  server.setRequestHandler(ReadResourceRequestSchema, hang);
  server.setRequestHandler(CompleteRequestSchema, hang);
  server.setRequestHandler(SubscribeRequestSchema, hang);
  server.setRequestHandler(SetLevelRequestSchema, hang);
  return { connect: (to: never) => server.connect(to) } as unknown as McpServer;
}

describe('14.2: a client in a session cancels', () => {
  unhandledRejections();
  let works: LegacyUpstream;
  let mute: LegacyUpstream;
  let app: GatewayApp;
  let headers: Record<string, string>;
  beforeAll(async () => {
    works = await startLegacyUpstream((log) => hanging(log, false));
    mute = await startLegacyUpstream((log) => hanging(log, true));
    const timeoutMs = 600_000;
    app = await startGateway({
      gateway: {
        upstreams: {
          works: { url: works.url, token: none(), timeoutMs },
          mute: { url: mute.url, token: none(), timeoutMs, listTimeoutMs: timeoutMs },
        },
      },
    });
    headers = {
      authorization: `Bearer ${await app.token()}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    const clientInfo = { name: 'wire', version: '1' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
    const opened = await post({ id: 0, method: 'initialize', params });
    await opened.text();
    headers['mcp-session-id'] = opened.headers.get('mcp-session-id') ?? '';
  });
  afterAll(async () => {
    await app.close();
    await works.stop();
    await mute.stop();
  });
  const post = (message: object) => {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    return fetch(app.mcpUrl, { method: 'POST', headers, body });
  };

  const ref = { type: 'ref/prompt', name: 'works__it' };
  test.each<[string, object]>([
    ['tools/call', { name: 'works__it', arguments: {} }],
    ['prompts/get', { name: 'works__it' }],
    ['resources/read', { uri: 'it://it' }],
    ['completion/complete', { ref, argument: { name: 'a', value: '' } }],
    ['resources/subscribe', { uri: 'it://it' }],
    ['logging/setLevel', { level: 'debug' }],
    ['tools/list', {}],
  ])('%s, which ends', async (method, params) => {
    const log = method === 'tools/list' ? mute.log : works.log;
    const answer = post({ id: method, method, params }).then((response) => response.text());
    await until(() => log.includes(`begun ${method}`));
    const cancelled = { method: 'notifications/cancelled', params: { requestId: method } };
    await (await post(cancelled)).text();
    expect(await answer).toMatch(/"error"|"isError":true/);
    const isOperation = !['tools/list', 'resources/subscribe', 'logging/setLevel'].includes(method);
    if (isOperation) await until(() => log.includes(`cancelled ${method}`));
  });
});
