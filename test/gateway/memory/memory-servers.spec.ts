import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { McpServer as ServerV2 } from '@modelcontextprotocol/server';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer as ServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import {
  ElicitRequestSchema,
  ElicitResultSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { platforms } from '../../support/nest/start-app.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const text = (value: unknown) => ({
  content: [{ type: 'text' as const, text: JSON.stringify(value) }],
});

describe.each(platforms)('14: servers in this process on %s', (platform) => {
  unhandledRejections();
  let app: GatewayApp;
  let open = 0;
  let asked: ServerV1 | undefined;

  function first(): ServerV1 {
    const server = new ServerV1(
      { name: 'one', version: '1' },
      { capabilities: { tools: { listChanged: true } } },
    );
    open++;
    server.server.onclose = () => open--;
    let count = 0;
    server.registerTool('count', {}, () => text(++count));
    server.registerTool('who', {}, ({ authInfo }) => {
      asked = server;
      return text([authInfo, authInfo?.extra?.['sub']]);
    });
    server.registerTool('ask', {}, async (extra) => {
      const params = {
        message: 'ok?',
        requestedSchema: { type: 'object' as const, properties: {} },
      };
      return text(
        await extra.sendRequest({ method: 'elicitation/create', params }, ElicitResultSchema),
      );
    });
    server.registerTool('hang', {}, async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return text('never');
    });
    return server;
  }
  function second(): ServerV2 {
    const server = new ServerV2({ name: 'two', version: '1' });
    server.registerTool('hello', {}, () => text('hello'));
    server.registerPrompt('greet', {}, () => ({
      messages: [{ role: 'user', content: { type: 'text', text: 'greet me' } }],
    }));
    return server;
  }

  beforeAll(async () => {
    app = await startGateway({
      platform,
      scopes: ['write'],
      gateway: {
        upstreams: {
          one: { server: first, tools: { count: { scopes: ['write'] } } },
          two: { server: second, prefix: false },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    expect(open).toBe(0);
  });

  async function connect(sub: string, scope = 'write') {
    const client = new Client({ name: 'v1', version: '1' }, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { sub } }));
    const transport = new StreamableHTTPClientTransport(new URL(app.mcpUrl), {
      requestInit: { headers: { authorization: `Bearer ${await app.token({ sub, scope })}` } },
    });
    await client.connect(transport);
    const run = async (name: string) => {
      const { content } = await client.callTool({ name, arguments: {} });
      return JSON.parse((content as { text: string }[])[0]!.text) as unknown;
    };
    return { client, transport, run };
  }

  test('a server for each session, of SDK v1 and v2, asked as any other', async () => {
    const ann = await connect('ann');
    const bob = await connect('bob');
    expect((await ann.client.listTools()).tools.map(({ name }) => name)).toEqual([
      'one__count',
      'one__who',
      'one__ask',
      'one__hang',
      'hello',
    ]);
    expect([await ann.run('one__count'), await ann.run('one__count')]).toEqual([1, 2]);
    expect(await bob.run('one__count')).toBe(1);
    expect(await ann.run('one__ask')).toEqual({ action: 'accept', content: { sub: 'ann' } });
    expect(await ann.run('hello')).toBe('hello');
    expect((await ann.client.getPrompt({ name: 'greet' })).messages).toHaveLength(1);
    for (const { client, transport } of [ann, bob]) {
      await transport.terminateSession();
      await client.close();
    }
  });

  test('who calls is told, and the token is not', async () => {
    const { client, run } = await connect('eve');
    expect(await run('one__who')).toEqual([
      expect.objectContaining({ token: '', clientId: 'agent', scopes: ['write'] }),
      'eve',
    ]);
    await client.close();
  });

  test('scopes of rules are asked for, a cancellation arrives, and a change of tools is told', async () => {
    const poor = await connect('poor', '');
    await expect(poor.client.callTool({ name: 'one__count', arguments: {} })).rejects.toMatchObject(
      {
        code: 403,
      },
    );
    const heard = new Promise<void>((resolve) => {
      poor.client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    });
    const stop = new AbortController();
    const hanging = poor.client.callTool({ name: 'one__hang', arguments: {} }, undefined, stop);
    setTimeout(() => stop.abort(), 30);
    await expect(hanging).rejects.toThrow();
    await poor.run('one__who');
    let told = false;
    void heard.then(() => (told = true));
    while (!told) {
      asked?.sendToolListChanged();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await poor.client.close();
  });

  test('a client of 2026-07-28 has a server for each call', async () => {
    for (let times = 0; times < 2; times++) {
      const counted = await app.ask('tools/call', { name: 'one__count', arguments: {} });
      expect(counted.json.result).toMatchObject({
        resultType: 'complete',
        content: [{ text: '1' }],
      });
    }
  });

  test('options that contradict each other are refused', async () => {
    await expect(
      app.upstreams.add('three', { server: second, url: 'http://127.0.0.1:1/mcp' }),
    ).rejects.toThrow('upstreams.three.server: not with url');
    await expect(app.upstreams.add('three', {})).rejects.toThrow(
      'upstreams.three.url: is required',
    );
  });
});
