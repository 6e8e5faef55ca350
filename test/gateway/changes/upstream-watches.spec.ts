import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { McpServer } from '@modelcontextprotocol/server';
import { McpServer as LegacyMcpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { clientCredentials, none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { type RunningUpstream, startUpstream } from '../../support/gateway/upstream-servers.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const empty = () => ({ content: [] });

describe('14.2: option watch of an upstream', () => {
  unhandledRejections();
  let young: RunningUpstream;
  let old: LegacyUpstream;
  let app: GatewayApp;
  const names = new Set(['first']);
  const servers = new Set<LegacyMcpServer>();

  beforeAll(async () => {
    young = await startUpstream(() => {
      const server = new McpServer({ name: 'young', version: '1' });
      for (const name of names) server.registerTool(name, {}, empty);
      return server;
    });
    young.intercept = (_request, response, body) => {
      if (!body.includes('"tools/list"')) return false;
      const tools = [...names].map((name) => ({ name, inputSchema: { type: 'object' } }));
      const result = { resultType: 'complete', ttlMs: 600_000, tools };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }));
      return true;
    };
    old = await startLegacyUpstream(() => {
      const server = new LegacyMcpServer(
        { name: 'old', version: '1' },
        { capabilities: { tools: { listChanged: true } } },
      );
      for (const name of names) server.registerTool(name, {}, empty);
      server.server.onclose = () => servers.delete(server);
      servers.add(server);
      return server;
    });
    app = await startGateway({
      resources: [{ url: young.url, scopeMap: { use: ['listen'] } }],
      scopes: ['use'],
      gateway: {
        upstreams: {
          young: {
            url: young.url,
            token: none(),
            listsAre: 'public',
            watch: clientCredentials({ scope: 'listen' }),
          },
          old: { url: old.url, token: none(), watch: none() },
          unwatched: { url: young.url, token: none() },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await Promise.all([young.stop(), old.stop()]);
  });

  const listens = () => young.asked.filter(({ method }) => method === 'subscriptions/listen');
  const listed = async (): Promise<string[]> =>
    (await app.ask('tools/list')).json.result.tools.map(({ name }: { name: string }) => name);

  test('listens while no client does, with a token of the gateway, and lists are never old', async () => {
    await until(() => listens().length === 1 && old.log.includes('GET session'));
    const token = listens()[0]?.token?.split('.')[1] ?? '';
    const claims = JSON.parse(Buffer.from(token, 'base64url').toString());
    expect(claims).toMatchObject({ client_id: 'gateway', scope: 'listen' });
    expect(await listed()).toEqual(['young__first', 'old__first', 'unwatched__first']);
    names.add('second');
    const wanted: string[] = [
      'young__first',
      'young__second',
      'old__first',
      'old__second',
      'unwatched__first',
    ];
    await until(async () => {
      young.notify.toolsChanged(); // heard once the stream is there
      for (const server of servers) server.sendToolListChanged();
      return (await listed()).join() === wanted.join();
    });
  });

  test('ends with the upstream, and begins with one that is added', async () => {
    await app.upstreams.remove('young');
    await until(() => young.aborted.includes('subscriptions/listen'));
    const before = listens().length;
    await app.upstreams.add('again', { url: young.url, token: none(), watch: none() });
    await until(() => listens().length === before + 1);
    expect(listens().at(-1)?.token).toBeUndefined();
    await app.upstreams.replace('again', { url: young.url, token: none() });
    await until(
      () => young.aborted.filter((method) => method === 'subscriptions/listen').length === 2,
    );
    expect(listens()).toHaveLength(before + 1);
  });

  test('a token of a caller is none for it', async () => {
    const watch = (() => undefined) as never;
    await expect(app.upstreams.add('x', { url: young.url, token: none(), watch })).rejects.toThrow(
      "upstreams.x.watch: must be 'streams', clientCredentials(…) or none()",
    );
  });
});
