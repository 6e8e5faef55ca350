import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { HostProcesses } from '../../support/hosts/hosts-process.js';
import { type HostServer, RawClient } from '../../support/hosts/hosts-requests.js';
import {
  BASE,
  describeHost,
  type HiddenOperation,
  SCOPES,
} from '../../support/hosts/hosts-suite.js';
import { freePort, type Platform, platforms } from '../../support/nest/start-app.js';

const processes = new HostProcesses();
const servers = new Map<string, Promise<HostServer>>();
beforeAll(() => processes.compile());
afterAll(async () => {
  const started = await Promise.all(servers.values());
  await Promise.all(started.map((server) => server.close()));
  processes.remove();
});

/** What the example marks with `{ list: 'hide' }`. */
const hidden: readonly HiddenOperation[] = [
  { list: 'tools/list', method: 'tools/call', member: 'name', name: 'forget_all' },
  { list: 'resources/list', method: 'resources/read', member: 'uri', name: 'notes://secret' },
  { list: 'prompts/list', method: 'prompts/get', member: 'name', name: 'confession' },
].map((one) => ({ ...one, scope: 'notes:admin' }) as HiddenOperation);

for (const platform of platforms) {
  const server = (sessions: boolean) => ({
    start: () => start(platform, sessions),
    startHiding: () => start(platform, sessions),
    hidden,
  });
  describeHost(`MCP-Nest 2 on ${platform}, 2025 era`, {
    ...server(false),
    era: '2025',
    sessions: false,
    clients: ['SDK v1', 'SDK v2 (2025 era)'],
  });
  describeHost(`MCP-Nest 2 with sessions on ${platform}, 2025 era`, {
    ...server(true),
    era: '2025',
    sessions: true,
    clients: ['SDK v1', 'SDK v2 (2025 era)'],
  });
  describeHost(`MCP-Nest 2 on ${platform}, 2026 era`, {
    ...server(false),
    era: '2026',
    sessions: false,
    clients: ['SDK v2 (2026 era)'],
  });
}

describe.each(platforms)('URIs of resources on %s', (platform) => {
  let server: HostServer;
  let client: RawClient;
  beforeAll(async () => {
    server = await start(platform, false);
    client = new RawClient(server, '2025');
  });

  const read = (uri: string, scope: string | null) =>
    client.send({ method: 'resources/read', params: { uri } }, { scope });

  const statusWithoutToken = async (uri: string, signal: AbortSignal) => {
    const answer = await fetch(server.mcpUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"${uri}"}}`,
      signal,
    });
    await answer.text();
    return answer.status;
  };

  test.each([
    ['files://acme/private/plan', 'a private file'],
    ['files://acme{?/private/plan}', 'a private file'],
    ['odd://one', 'nested groups'],
    ['odd://one/x/y', 'nested groups'],
    ['odd://three/x', 'a quoted name'],
  ])('9.1b, 9.1f: %s needs the scope of its template', async (uri, text) => {
    const refused = await read(uri, BASE);
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('notes:read');
    const allowed = await read(uri, `${BASE} notes:read`);
    expect(allowed.status).toBe(200);
    expect(allowed.text).toContain(text);
  });

  test.each([
    'ruled://cabinet/of/private',
    ' ruled://cabinet/of/private',
    'RULED://cabinet/of/private',
    'zz://cabinet/of/private',
    'cabinet/of/private',
    'ruled://cabinet/of/private/',
    'ruled://cabinet/of/%70rivate',
    'ruled://cabinet/of/private?x=1',
  ])('9.9c: no spelling passes a rule that compares: %j', async (uri) => {
    const [base, one, both] = [BASE, `${BASE} notes:read`, `${BASE} notes:read notes:write`];
    for (const scope of [base, one]) expect((await read(uri, scope)).status).toBe(403);
    expect((await read(uri, both)).text).toContain('the handler got private');
    expect((await read('ruled://cabinet/of/today', base)).text).toContain('the handler got today');
  });

  test.each([
    [50, 98 * 1024],
    [1, 1_048_000],
  ])(
    '9.1a: %d URIs of %d bytes made for a RegExp that backtracks are refused without asking it',
    async (count, length) => {
      const uri = '{?'.repeat(length / 2);
      const tooLarge = platform === 'express' && length > 100 * 1024; // for its parser
      const soon = AbortSignal.timeout(50_000); // one alone takes a second, if it is asked
      for (let sent = 0; sent < count; sent++)
        expect(await statusWithoutToken(uri, soon)).toBe(tooLarge ? 413 : 401);
      expect((await read(uri, BASE)).status).toBe(tooLarge ? 413 : 400);
    },
  );
});

describe.each(platforms)('tools that other decorators have wrapped, on %s', (platform) => {
  let server: HostServer;
  let client: RawClient;
  beforeAll(async () => {
    server = await start(platform, false);
    client = new RawClient(server, '2025');
  });

  const call = (name: string, scope: string) =>
    client.send({ method: 'tools/call', params: { name, arguments: {} } }, { scope });

  test.each([
    ['wrapped', 'wrapped ran'],
    ['wrapped_below', 'below ran'],
  ])('9.1b: %s needs its scope before dispatch', async (name, text) => {
    const refused = await call(name, BASE);
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('notes:admin');
    const allowed = await call(name, `${BASE} notes:admin`);
    expect(allowed.status).toBe(200);
    expect(allowed.text).toContain(text);
  });

  test('9.1g: a tool that another one runs is refused where it runs, as a JSON-RPC error', async () => {
    const refused = await call('detour', BASE);
    expect(refused.status).toBe(200);
    expect(refused.text).not.toContain('ran');
    expect(refused.text).toContain('"code":-32003');
    expect(refused.text).toContain('"error":"insufficient_scope","scope":"notes:admin"');
    expect((await call('detour', `${BASE} notes:admin`)).text).toContain('inner ran');
  });
});

/** One for all tests that ask for the same: a process takes longer to start than to test. */
async function start(platform: Platform, sessions: boolean): Promise<HostServer> {
  const key = `${platform} ${sessions}`;
  const server = servers.get(key) ?? startProcess(platform, sessions);
  servers.set(key, server);
  return { ...(await server), close: () => Promise.resolve() };
}

async function startProcess(platform: Platform, sessions: boolean): Promise<HostServer> {
  const port = await freePort();
  const mcpUrl = `http://127.0.0.1:${port}/mcp`;
  const authorizationServer = await startAuthorizationServer({
    issueRefreshTokens: false,
    resources: [{ uri: mcpUrl, scopes: SCOPES }],
  });
  const { issuer } = authorizationServer;
  const stop = await processes.start({ platform, sessions, issuer, port });
  return {
    mcpUrl,
    authorizationServer,
    close: async () => {
      await stop();
      await authorizationServer.close();
    },
  };
}
