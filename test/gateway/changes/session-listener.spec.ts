import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { CreateMessageResultSchema, EmptyResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { memberOf } from '../../../src/core/lib/members.js';
import { SessionListener } from '../../../src/gateway/changes/session-listener.js';
import { UpstreamSessions } from '../../../src/gateway/upstream/upstream-sessions.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import { bodyOf, cleanUp, sendJson, serve } from '../../support/servers/http-servers.js';
import { until } from '../../support/time/until.js';

const client = { capabilities: { sampling: {} }, clientInfo: { name: 'c', version: '1' } };
const question = {
  method: 'sampling/createMessage' as const,
  params: { messages: [], maxTokens: 1 },
};

describe('SessionListener', () => {
  let old: LegacyUpstream;
  /** Of the session that was opened last. */
  let server: McpServer;
  let stop: AbortController;
  let heard: unknown[];
  let forgotten: string[];
  let logged: unknown[];
  let isAsked: boolean;
  beforeEach(async () => {
    [heard, forgotten, logged, isAsked] = [[], [], [], true];
    stop = new AbortController();
    old = await startLegacyUpstream(() => {
      const changing = { listChanged: true };
      const capabilities = { logging: {}, tools: changing, resources: { subscribe: true } };
      server = new McpServer({ name: 'old', version: '1' }, { capabilities });
      server.registerTool('a', {}, () => ({ content: [] }));
      return server;
    });
  });
  afterEach(async () => {
    stop.abort();
    await old.stop();
    await cleanUp();
  });

  function listening(url: string) {
    const upstream = upstreamAt(url);
    const sessions = new UpstreamSessions(client);
    const catalogue = {
      forget: (_: unknown, { kind }: { kind: string }) => forgotten.push(kind),
    };
    const registry = { catalogue, log: (error: unknown) => logged.push(error) };
    const listener = new SessionListener(upstream, sessions, registry as never, {
      changed: (method) => heard.push(method),
      updated: (uri) => heard.push(uri),
      told: ({ params }) => heard.push(memberOf(params, 'data')),
      asked: ({ id }, session) => {
        const role = 'assistant' as const;
        const result = { role, model: 'none', content: { type: 'text', text: 'hello' } };
        if (isAsked) session.answer(id, { result }, askingAs());
        return isAsked;
      },
    });
    const asking = askingAs('ann', { signal: stop.signal });
    return { sessions, asking, upstream, done: listener.listen(asking) };
  }
  /** The stream is there once something comes of it. */
  const ready = () =>
    until(async () => {
      await server.server.sendLoggingMessage({ level: 'debug', data: 'ready' });
      return heard.length > 0;
    });
  const streams = (count: number) =>
    until(() => old.log.filter((line) => line === 'GET session').length === count);

  test('hears of lists, resources, and whatever else it is told', async () => {
    listening(old.url);
    await streams(1);
    await ready();
    server.sendToolListChanged();
    await server.server.sendResourceUpdated({ uri: 'a://b' });
    await server.server.sendLoggingMessage({ level: 'info', data: 'hello' });
    await until(() => heard.includes('hello'));
    expect(heard.filter((one) => one !== 'ready')).toEqual([
      'notifications/tools/list_changed',
      'a://b',
      'hello',
    ]);
    expect([forgotten, logged]).toEqual([['tools'], []]);
  });

  test('questions are for the client, if one is there; whether somebody lives is not', async () => {
    listening(old.url);
    await streams(1);
    await ready();
    const answer = await server.server.request(question, CreateMessageResultSchema);
    expect(answer.content).toEqual({ type: 'text', text: 'hello' });
    isAsked = false;
    const refused = server.server.request(question, CreateMessageResultSchema);
    await expect(refused).rejects.toMatchObject({ code: -32601 });
    expect(await server.server.request({ method: 'ping' }, EmptyResultSchema)).toEqual({});
  });

  test('a session that the upstream has lost is opened again', async () => {
    const { sessions, asking, upstream } = listening(old.url);
    await streams(1);
    const lost = await sessions.with(upstream, asking);
    for (const transport of old.sessions.values()) await transport.close();
    old.forget();
    await streams(3); // 404 for the one that was lost
    expect(await sessions.all()).not.toContain(lost);
    heard = [];
    await ready();
  });

  test('ends with its signal', async () => {
    const { done } = listening(old.url);
    await streams(1);
    stop.abort(new Error('nobody listens'));
    await done;
    expect(logged).toEqual([]);
  });

  test('a server that says nothing outside of calls is left alone', async () => {
    let asked = 0;
    const { url } = await serve(async (request, response) => {
      if (request.method === 'GET') return void (asked++, response.writeHead(405).end());
      const { id } = JSON.parse(await bodyOf(request)) as { id?: string };
      if (id === undefined) response.writeHead(202).end();
      else sendJson(response, { jsonrpc: '2.0', id, result: { protocolVersion: '2025-11-25' } });
    });
    await listening(`${url}/mcp`).done;
    expect(asked).toBe(1);
  });
});
