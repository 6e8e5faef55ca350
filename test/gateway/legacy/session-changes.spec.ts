import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { McpServer as ModernMcpServer } from '@modelcontextprotocol/server';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import {
  CreateMessageRequestSchema,
  CreateMessageResultSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  SubscribeRequestSchema,
  ToolListChangedNotificationSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { none } from 'authplane-nestjs/gateway';
import { eventsOf } from '../../support/gateway/event-reader.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { type RunningUpstream, startUpstream } from '../../support/gateway/upstream-servers.js';
import { platforms } from '../../support/nest/start-app.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const OLD = 'old://all';
const NEW = 'new://all';
const subscribable = {
  resources: { subscribe: true, listChanged: true },
  tools: { listChanged: true },
};

function modern(): ModernMcpServer {
  const server = new ModernMcpServer({ name: 'new', version: '1' }, { capabilities: subscribable });
  server.registerTool('a', {}, () => ({ content: [] }));
  server.registerResource('all', NEW, {}, ({ href }) => ({ contents: [{ uri: href, text: '' }] }));
  return server;
}

describe.each(platforms)('14.F: what upstreams say outside of calls on %s', (platform) => {
  unhandledRejections();
  let old: LegacyUpstream;
  let young: RunningUpstream;
  let app: GatewayApp;
  let subscribed: McpServer;
  const log: string[] = [];
  const clients: Client[] = [];
  const stops: AbortController[] = [];

  function legacy(): McpServer {
    const server = new McpServer(
      { name: 'old', version: '1' },
      { capabilities: { ...subscribable, logging: {} } },
    );
    server.registerTool('a', {}, () => ({ content: [] }));
    server.registerResource('all', OLD, {}, ({ href }) => ({
      contents: [{ uri: href, text: '' }],
    }));
    server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
      log.push(`subscribe ${params.uri}`);
      subscribed = server;
      return {};
    });
    server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
      log.push(`unsubscribe ${params.uri}`);
      return {};
    });
    return server;
  }

  beforeAll(async () => {
    old = await startLegacyUpstream(legacy);
    young = await startUpstream(modern);
    app = await startGateway({
      platform,
      gateway: {
        upstreams: {
          old: { url: old.url, token: none() },
          young: { url: young.url, token: none() },
        },
      },
    });
  });
  afterEach(async () => {
    for (const stop of stops.splice(0)) stop.abort();
    await Promise.all(
      clients.splice(0).map(async (client) => {
        await (client.transport as StreamableHTTPClientTransport).terminateSession();
        await client.close();
      }),
    );
    await until(() => old.sessions.size === 0); // also those of listen streams
    log.length = 0;
    old.log.length = 0;
    await until(() => openListens() === 0);
    young.asked.length = 0;
    young.aborted.length = 0;
  });
  afterAll(async () => {
    await app.close();
    await old.stop();
    await young.stop();
  });

  /** With the stream that SDK clients open by themselves, and that both upstreams know of. */
  async function connect(sub = 'user-1') {
    const heard: string[] = [];
    const client = new Client({ name: 'v1', version: '1' }, { capabilities: { sampling: {} } });
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      heard.push(`updated ${params.uri}`);
    });
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      heard.push('tools changed');
    });
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      heard.push(`log ${String(params.data)}`);
    });
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
      model: 'none',
      role: 'assistant',
      content: { type: 'text', text: `${sub}: ${JSON.stringify(params.messages[0]?.content)}` },
    }));
    const streams = old.log.filter((line) => line === 'GET session').length;
    const transport = new StreamableHTTPClientTransport(new URL(app.mcpUrl), {
      requestInit: { headers: { authorization: `Bearer ${await app.token({ sub })}` } },
    });
    await client.connect(transport);
    clients.push(client);
    await until(() => old.log.filter((line) => line === 'GET session').length === streams + 1);
    return { client, heard };
  }
  async function listen(notifications: object) {
    const stop = new AbortController();
    stops.push(stop);
    const response = await app.fetch(
      'subscriptions/listen',
      { notifications },
      { signal: stop.signal },
    );
    const stream = eventsOf(response);
    await stream.next(); // acknowledged
    return { stop, stream };
  }
  const listens = () => young.asked.filter(({ method }) => method === 'subscriptions/listen');
  const openListens = () => listens().length - young.aborted.length;

  test('2025 client, 2025 upstream: subscription, list change, log message and question', async () => {
    const { client, heard } = await connect('ann');
    await client.subscribeResource({ uri: OLD });
    await client.subscribeResource({ uri: OLD });
    expect(log).toEqual([`subscribe ${OLD}`]);
    const server = subscribed;
    await server.server.sendResourceUpdated({ uri: OLD });
    server.sendToolListChanged();
    server.sendToolListChanged();
    await server.server.sendLoggingMessage({ level: 'info', data: 'hello' });
    await until(() => heard.length >= 3);
    expect(heard.sort()).toEqual(['log hello', 'tools changed', `updated ${OLD}`]);
    const asked = await server.server.request(
      {
        method: 'sampling/createMessage',
        params: {
          messages: [{ role: 'user', content: { type: 'text', text: 'who?' } }],
          maxTokens: 1,
        },
      },
      CreateMessageResultSchema,
    );
    expect(JSON.stringify(asked)).toContain('ann');
    await client.unsubscribeResource({ uri: OLD });
    expect(log).toEqual([`subscribe ${OLD}`, `unsubscribe ${OLD}`]);
  });

  test('2025 clients, 2026 upstream: one stream for all sessions of a caller, ended with the last', async () => {
    const one = await connect('bea');
    const other = await connect('bea');
    const else_ = await connect('carl');
    await one.client.subscribeResource({ uri: NEW });
    young.notify.resourceUpdated(NEW);
    await until(() => one.heard.includes(`updated ${NEW}`));
    young.notify.toolsChanged();
    await until(() => [one, other, else_].every(({ heard }) => heard.includes('tools changed')));
    expect(other.heard).toEqual(['tools changed']);
    await until(() => openListens() === 2); // one for each caller: a wider one takes the place of the first
    await one.client.unsubscribeResource({ uri: NEW });
    young.notify.resourceUpdated(NEW);
    young.notify.toolsChanged();
    await until(() => one.heard.filter((what) => what === 'tools changed').length === 2);
    expect(one.heard.filter((what) => what.startsWith('updated'))).toHaveLength(1);
  });

  test('2026 client, 2025 upstream: a session of the stream, subscribed, and ended with it', async () => {
    const { stop, stream } = await listen({ toolsListChanged: true, resourceSubscriptions: [OLD] });
    await until(() => old.log.includes('GET session'));
    expect(log).toEqual([`subscribe ${OLD}`]);
    await subscribed.server.sendResourceUpdated({ uri: OLD });
    expect((await stream.next()).value).toMatchObject({
      method: 'notifications/resources/updated',
      params: { uri: OLD },
    });
    subscribed.sendToolListChanged();
    expect((await stream.next()).value).toMatchObject({
      method: 'notifications/tools/list_changed',
    });
    stop.abort();
    await until(() => old.log.includes('DELETE session'));
  });

  test('2026 clients, 2026 upstream: streams of one caller are one at the upstream', async () => {
    const one = await listen({ toolsListChanged: true });
    await until(() => listens().length === 1);
    const other = await listen({ toolsListChanged: true });
    young.notify.toolsChanged();
    for (const { stream } of [one, other])
      expect((await stream.next()).value.method).toBe('notifications/tools/list_changed');
    expect(listens()).toHaveLength(1);
    one.stop.abort();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(young.aborted).toEqual([]);
    other.stop.abort();
    await until(() => openListens() === 0);
  });

  test('a session that the upstream has lost is opened and subscribed again', async () => {
    const { client, heard } = await connect();
    await client.subscribeResource({ uri: OLD });
    for (const transport of old.sessions.values()) await transport.close();
    old.forget();
    await until(() => log.length === 2);
    await until(() => old.log.filter((line) => line === 'GET session').length >= 3);
    await until(async () => {
      await subscribed.server.sendResourceUpdated({ uri: OLD }); // lost until the stream is there
      return heard.includes(`updated ${OLD}`);
    });
  });

  test('a stream belongs to its session: somebody else gets 404, and without one it is 405', async () => {
    const { client } = await connect('owner');
    const { sessionId = '' } = client.transport as StreamableHTTPClientTransport;
    const get = async (headers: Record<string, string>) => {
      const authorization = `Bearer ${await app.token({ sub: 'thief' })}`;
      const response = await fetch(app.mcpUrl, {
        headers: { accept: 'text/event-stream', authorization, ...headers },
      });
      await response.text();
      return response.status;
    };
    expect([await get({ 'mcp-session-id': sessionId }), await get({})]).toEqual([404, 405]);
  });

  test('what cannot be read cannot be subscribed to', async () => {
    const { client } = await connect();
    await expect(client.subscribeResource({ uri: 'nowhere://x' })).rejects.toMatchObject({
      code: -32002,
    });
    expect(log).toEqual([]);
  });
});
