import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { DPoPSigner } from 'authplane-nestjs';
import { exchange, none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import {
  calendarServer,
  type RunningUpstream,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';

describe('14.F: what clients with sessions hear', () => {
  let calendar: RunningUpstream;
  let search: RunningUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    calendar = await startUpstream(calendarServer);
    search = await startUpstream(calendarServer);
    app = await startGateway({
      scopes: ['use', 'write'],
      options: { mcp: { list: 'hide' }, dpop: await DPoPSigner.generate() },
      resources: [{ url: calendar.url, scopeMap: { use: ['calendar.read'] } }],
      gateway: {
        upstreams: {
          cal: { url: calendar.url, token: exchange({ scope: 'calendar.read' }) },
          open: {
            ...{ url: search.url, token: none() },
            tools: { create_event: { scopes: ['write'] } },
            prompts: { briefing: { scopes: ['write'] } },
            resources: { 'calendar://today': { scopes: ['write'] } },
          },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await calendar.stop();
    await search.stop();
  });

  async function connect(
    sub: string,
    scope: string,
    elicitation: Record<string, object>,
  ): Promise<Client> {
    const client = new Client({ name: 'v1', version: '1' }, { capabilities: { elicitation } });
    const authorization = `Bearer ${await app.token({ sub, scope })}`;
    await client.connect(
      new StreamableHTTPClientTransport(new URL(app.mcpUrl), {
        requestInit: { headers: { authorization } },
      }),
    );
    return client;
  }
  const call = (client: Client, name: string) => client.callTool({ name, arguments: {} });

  test('consent is -32042 for who can open URLs, and words for who cannot', async () => {
    for (const user of ['ann', 'bob']) {
      app.authorizationServer.requireConsent({ resource: calendar.url, flavour: 'connect', user });
    }
    const able = await connect('ann', 'use', { url: {} });
    await expect(call(able, 'cal__list_events')).rejects.toMatchObject({ code: -32042 });
    const unable = await connect('bob', 'use', { form: {} });
    expect(await call(unable, 'cal__list_events')).toMatchObject({ isError: true });
    await expect(unable.getPrompt({ name: 'cal__briefing' })).rejects.toMatchObject({
      code: -32603,
    });
    await able.close();
    await unable.close();
  });

  test('an authorization server that is away is a result in words', async () => {
    const client = await connect('cy', 'use', {});
    app.authorizationServer.fail('token', 503);
    expect(await call(client, 'cal__list_events')).toMatchObject({ isError: true });
    app.authorizationServer.fail('token', null);
    await client.close();
  });

  test('hidden prompts and resources are neither listed nor known', async () => {
    const poor = await connect('dan', 'use', {});
    const rich = await connect('dan', 'use write', {});
    const seen = async (client: Client) => [
      (await client.listPrompts()).prompts.some(({ name }) => name === 'open__briefing'),
      (await client.listResources()).resources.some(({ uri }) => uri === 'calendar://today'),
    ];
    expect([await seen(poor), await seen(rich)]).toEqual([
      [false, false],
      [true, true],
    ]);
    const prompt = poor.getPrompt({ name: 'open__briefing' });
    await expect(prompt).rejects.toMatchObject({ code: -32602 });
    const resource = poor.readResource({ uri: 'calendar://today' });
    await expect(resource).rejects.toMatchObject({ code: -32002 });
    await poor.close();
    await rich.close();
  });

  test('hidden tools are neither listed nor known', async () => {
    const poor = await connect('dan', 'use', {});
    const names = (await poor.listTools()).tools.map(({ name }) => name);
    expect(names).toContain('open__list_events');
    expect(names).not.toContain('open__create_event');
    const hidden = call(poor, 'open__create_event');
    await expect(hidden).rejects.toMatchObject({ code: -32602 });
    await expect(hidden).rejects.toThrow('Unknown tool: open__create_event');
    const rich = await connect('dan', 'use write', {});
    expect(await call(rich, 'open__create_event')).not.toHaveProperty('isError');
    await poor.close();
    await rich.close();
  });

  test('bound tokens go to the upstream with a proof for its URL', async () => {
    const client = await connect('eve', 'use', {});
    await call(client, 'cal__list_events');
    const { headers } = calendar.asked.findLast(({ method }) => method === 'tools/call')!;
    expect(headers.authorization).toMatch(/^DPoP /);
    const proof = JSON.parse(
      Buffer.from(String(headers['dpop']).split('.')[1]!, 'base64url').toString(),
    );
    expect(proof).toMatchObject({ htm: 'POST', htu: calendar.url });
    await client.close();
  });

  test('what is no session, no message or a batch is refused', async () => {
    const authorization = `Bearer ${await app.token()}`;
    const post = async (body: unknown, headers: Record<string, string> = {}) => {
      const response = await fetch(app.mcpUrl, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
      await response.text();
      return response.status;
    };
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    expect(await post(list)).toBe(404);
    expect(await post(list, { 'mcp-session-id': 'made-up' })).toBe(404);
    expect(await post([list])).toBe(404);
    expect(await post({ jsonrpc: '1.0', id: 1, method: 'initialize' })).toBe(400);
    expect(await post({ jsonrpc: '2.0', method: 'initialize' })).toBe(400);
  });
});
