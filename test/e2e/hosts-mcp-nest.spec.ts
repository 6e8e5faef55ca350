import { afterAll, beforeAll } from '@jest/globals';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { HostProcesses } from './apps/hosts-process.js';
import type { HostServer } from './apps/hosts-requests.js';
import { describeHost, type HiddenOperation, SCOPES } from './apps/hosts-suite.js';
import { freePort, type Platform, platforms } from './apps/start-app.js';

const processes = new HostProcesses();
beforeAll(() => processes.compile());
afterAll(() => processes.remove());

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

async function start(platform: Platform, sessions: boolean): Promise<HostServer> {
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
