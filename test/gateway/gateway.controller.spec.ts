import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AuthplaneModule } from 'authplane-nestjs';
import { AuthplaneGatewayModule, none } from 'authplane-nestjs/gateway';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { gatewayController } from '../../src/gateway/gateway.controller.js';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import {
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../support/gateway/upstream-servers.js';
import { ON_LOOPBACK, platforms, startApp } from '../support/nest/start-app.js';

describe.each(platforms)('the controller that `path` registers, on %s', (platform) => {
  let search: RunningUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    search = await startUpstream(searchServer);
    app = await startGateway({
      platform,
      scopes: ['use'],
      gateway: {
        path: 'mcp',
        scopes: ['use'],
        upstreams: { search: { url: search.url, token: none() } },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await search.stop();
  });

  test('is behind the guard, as an MCP endpoint', async () => {
    const nobody = await app.ask('tools/list', {}, { token: null });
    expect(nobody.status).toBe(401);
    expect(nobody.headers.get('www-authenticate')).toContain('scope="use"');
    const lacking = await app.ask('tools/list', {}, { token: await app.token({ scope: '' }) });
    expect(lacking.status).toBe(403);
    expect(lacking.json).toMatchObject({ id: 1, error: { code: -32003 } }); // its body is judged
    expect(search.asked).toEqual([]);
    expect((await app.ask('tools/list')).json.result.tools).toHaveLength(1);
  });

  test.each(['GET', 'DELETE'])('%s is for the gateway to answer, too', async (method) => {
    const headers = { authorization: `Bearer ${await app.token()}` };
    const response = await fetch(app.mcpUrl, { method, headers });
    await response.text();
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST, GET, DELETE']);
  });
});

/** What an application with a gateway at this path warns of. */
async function warningsOf(
  path: string,
  resource: string,
  run: (url: string) => Promise<void> = () => Promise.resolve(),
) {
  const server = await startAuthorizationServer();
  const warnings: string[] = [];
  const warn = vi.spyOn(Logger.prototype, 'warn').mockImplementation((text: string) => {
    warnings.push(text);
  });
  const { url, close } = await startApp(
    {
      imports: [
        AuthplaneModule.forRoot({ issuer: server.issuer, resource, ...ON_LOOPBACK }),
        AuthplaneGatewayModule.forRoot({ path, upstreams: {} }),
      ],
    },
    { platform: 'fastify', configure: (app) => app.setGlobalPrefix('api') },
  ).finally(() => warn.mockRestore());
  await run(url);
  await close();
  await server.close();
  return warnings.filter((text) => text.startsWith('the gateway is at'));
}

test('its path is below the global prefix', async () => {
  const warnings = await warningsOf('mcp', 'https://gateway.example.com/api/mcp', async (url) => {
    const statusAt = async (path: string) => (await fetch(url + path, { method: 'POST' })).status;
    expect([await statusAt('/api/mcp'), await statusAt('/mcp')]).toEqual([401, 404]);
  });
  expect(warnings).toEqual([]);
});

test('14.5: a path that is not the one that clients are told is warned of', async () => {
  const [warning, ...others] = await warningsOf('/api/tools/', 'https://gateway.example.com/mcp');
  expect(warning).toContain('the gateway is at /api/tools, and tells clients that it is https://');
  expect(others).toEqual([]);
});

test('each gateway has a class of its own: what one asks of callers says nothing of another', () => {
  const route = { path: 'mcp', name: undefined, scopes: ['a'] };
  expect(gatewayController(route)).not.toBe(gatewayController({ ...route, scopes: [] }));
});
