/** What docs/proxy.md says of servers that are each to be seen by themselves. */

import { AuthplaneModule } from 'authplane-nestjs';
import { AuthplaneGatewayModule, none } from 'authplane-nestjs/gateway';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import {
  calendarServer,
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../support/gateway/upstream-servers.js';

const BASE = 'https://proxy.example.com';

/** As on the page. */
const proxied = (name: string, url: string) => [
  AuthplaneModule.forFeature({
    name,
    baseUrl: BASE,
    mcpPath: `/${name}/mcp`,
    scopes: [`proxy:${name}`],
    enforceScopesOnAllRequests: true,
  }),
  AuthplaneGatewayModule.forRoot({
    name,
    path: `${name}/mcp`,
    upstreams: { [name]: { url, token: none(), prefix: false } },
  }),
];

describe('14.9: a proxy for each of several servers', () => {
  let calendar: RunningUpstream;
  let search: RunningUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    calendar = await startUpstream(calendarServer);
    search = await startUpstream(searchServer);
    app = await startGateway({
      gateway: { upstreams: {} },
      metadata: {
        imports: [...proxied('calendar', calendar.url), ...proxied('search', search.url)],
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await Promise.all([calendar.stop(), search.stop()]);
  });

  async function client(name: string, claims: Record<string, unknown>): Promise<Client> {
    const authorization = `Bearer ${await app.token(claims)}`;
    const url = new URL(app.mcpUrl.replace('/mcp', `/${name}/mcp`));
    const one = new Client({ name: 'c', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await one.connect(
      new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization } } }),
    );
    return one;
  }

  test('shows the tools of its server as they are called there, and calls them', async () => {
    const one = await client('search', { aud: [`${BASE}/search/mcp`], scope: 'proxy:search' });
    expect((await one.listTools()).tools.map(({ name }) => name)).toEqual(['web']);
    expect((await one.callTool({ name: 'web', arguments: {} })).content).toEqual([
      { type: 'text', text: 'found' },
    ]);
    await one.close();
  });

  test('takes no token for the other one, and none without its scope', async () => {
    const ofSearch = { aud: [`${BASE}/search/mcp`], scope: 'proxy:search proxy:calendar' };
    await expect(client('calendar', ofSearch)).rejects.toThrow(/401|Unauthorized/i);
    const without = { aud: [`${BASE}/calendar/mcp`], scope: 'proxy:search' };
    await expect(client('calendar', without)).rejects.toThrow(/scope|403/i);
    expect(calendar.asked).toEqual([]);
  });
});
