import { expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import type { ModuleMetadata, Type } from '@nestjs/common';
import { AuthplaneModule, type McpOptions } from 'authplane-nestjs';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import type { Era, HostServer } from '../../support/hosts/hosts-requests.js';
import * as v1 from '../../support/hosts/hosts-sdk-v1.js';
import * as v2 from '../../support/hosts/hosts-sdk-v2.js';
import {
  describeHost,
  type HiddenOperation,
  type HostTraits,
  SCOPES,
} from '../../support/hosts/hosts-suite.js';
import { freePort, type Platform, platforms, startApp } from '../../support/nest/start-app.js';

interface Example extends Pick<ModuleMetadata, 'providers'> {
  readonly controller: Type;
  readonly mcp: McpOptions;
}

const examples = {
  v1: { controller: v1.McpController, mcp: v1.mcp, providers: [v1.NotesServer] },
  v1Sessions: { controller: v1.SessionsController, mcp: v1.mcp, providers: [v1.NotesServer] },
  v2: { controller: v2.McpController, mcp: v2.mcp, providers: [v2.NotesServer] },
} satisfies Record<string, Example>;

const legacyClients = ['SDK v1', 'SDK v2 (2025 era)'] as const;

/** With `list: 'hide'` everything that has scopes. */
const hidden: readonly HiddenOperation[] = [
  operation('tools/list', 'tools/call', 'name', 'add_note', 'notes:write'),
  operation('resources/list', 'resources/read', 'uri', 'notes://all', 'notes:read'),
  operation('prompts/list', 'prompts/get', 'name', 'summary', 'notes:read'),
];

for (const platform of platforms) {
  const cell = (example: Example, era: Era, clients: HostTraits['clients'], sessions = false) => ({
    era,
    sessions,
    clients,
    hidden,
    start: () => start(platform, example),
    startHiding: () => start(platform, { ...example, mcp: { ...example.mcp, list: 'hide' } }),
  });
  describeHost(`SDK v1 on ${platform}`, cell(examples.v1, '2025', legacyClients));
  describeHost(
    `SDK v1 with sessions on ${platform}`,
    cell(examples.v1Sessions, '2025', legacyClients, true),
  );
  describeHost(`SDK v2 on ${platform}, 2025 era`, cell(examples.v2, '2025', legacyClients));
  describeHost(`SDK v2 on ${platform}, 2026 era`, cell(examples.v2, '2026', ['SDK v2 (2026 era)']));
}

it.each([
  ['docs/hosts-sdk-v1.md', 'hosts-sdk-v1'],
  ['docs/hosts-sdk-v2.md', 'hosts-sdk-v2'],
  ['docs/hosts-mcp-nest.md', 'hosts-mcp-nest'],
])('%s shows the application of these tests: %s', (page, file) => {
  const example = readFileSync(`test/support/hosts/${file}.ts`, 'utf8').trim();
  expect(readFileSync(page, 'utf8')).toContain(`\`\`\`ts\n${example}\n`);
});

async function start(
  platform: Platform,
  { controller, mcp: shown, providers = [] }: Example,
): Promise<HostServer> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const authorizationServer = await startAuthorizationServer({
    issueRefreshTokens: false, // with one, a v1 client would refresh the old scopes
    resources: [{ uri: mcpUrl, scopes: SCOPES }],
  });
  const { issuer } = authorizationServer;
  const mcp = { ...shown, allowedOrigins: ['https://app.example.com'] };
  const options = { issuer, baseUrl, devMode: true, scopes: SCOPES, mcp };
  const app = await startApp(
    { imports: [AuthplaneModule.forRoot(options)], controllers: [controller], providers },
    { platform, port },
  );
  return {
    mcpUrl,
    authorizationServer,
    close: async () => {
      await app.close();
      await authorizationServer.close();
    },
  };
}

function operation(
  list: string,
  method: string,
  member: 'name' | 'uri',
  name: string,
  scope: string,
): HiddenOperation {
  return { list, method, member, name, scope };
}
