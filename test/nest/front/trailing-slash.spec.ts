import { afterEach, describe, expect, it } from 'vitest';
import { Logger } from '@nestjs/common';
import { AuthplaneModule } from 'authplane-nestjs';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { type ClientName, walk } from '../../support/hosts/hosts-clients.js';
import type { HostServer } from '../../support/hosts/hosts-requests.js';
import { McpController, mcp, NotesServer } from '../../support/hosts/hosts-sdk-v2.js';
import { SCOPES } from '../../support/hosts/hosts-suite.js';
import { freePort, type StartOptions, startApp } from '../../support/nest/start-app.js';

let server: HostServer;
afterEach(() => server.close());

let warnings: string[];

const ignore = () => undefined;
const logger = {
  log: ignore,
  error: ignore,
  debug: ignore,
  warn: (message: string) => warnings.push(message),
};

async function start(options: StartOptions, path = '/mcp'): Promise<HostServer> {
  warnings = [];
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const resource = `${baseUrl}${path}`;
  const authorizationServer = await startAuthorizationServer({
    issueRefreshTokens: false,
    resources: [{ uri: resource, scopes: SCOPES }],
  });
  const { issuer } = authorizationServer;
  const app = await startApp(
    {
      imports: [AuthplaneModule.forRoot({ issuer, resource, devMode: true, scopes: SCOPES, mcp })],
      controllers: [McpController],
      providers: [NotesServer],
    },
    { ...options, port, configure: () => Logger.overrideLogger(logger) },
  );
  return {
    mcpUrl: `${baseUrl}/mcp/`,
    authorizationServer,
    close: async () => {
      Logger.overrideLogger(false);
      await app.close();
      await authorizationServer.close();
    },
  };
}

const found = () => warnings.filter((line) => line.includes('ignoreTrailingSlash'));
const statusOf = async (url: string) => (await fetch(url, { method: 'POST' })).status;

describe('10.14a: the path of the resource and a slash, on Fastify', () => {
  it('is 404, and one warning says what to do', async () => {
    server = await start({ platform: 'fastify' });
    for (const end of ['', '?a=/', '']) expect(await statusOf(server.mcpUrl + end)).toBe(404);
    expect(found()).toEqual([expect.stringContaining(server.mcpUrl.slice(0, -1))]);
  });

  it('also behind a proxy that takes the beginning of the path off', async () => {
    server = await start({ platform: 'fastify' }, '/api/v1/mcp');
    expect(await statusOf(server.mcpUrl)).toBe(404);
    expect(found()).toHaveLength(1);
  });

  it('other paths, and the right one, say nothing', async () => {
    server = await start({ platform: 'fastify' });
    const origin = new URL(server.mcpUrl).origin;
    for (const path of ['/', '/cp/', '/mcp/x/', '/x/mcp/', '//']) {
      expect(await statusOf(origin + path)).toBe(404);
    }
    expect(await statusOf(`${origin}/mcp`)).toBe(401);
    expect(found()).toEqual([]);
  });

  it.each<ClientName>(['SDK v1', 'SDK v2 (2025 era)', 'SDK v2 (2026 era)'])(
    'with ignoreTrailingSlash %s finds the server, calls and steps up',
    async (client) => {
      const fastify = { routerOptions: { ignoreTrailingSlash: true } };
      server = await start({ platform: 'fastify', fastify });
      const { asked, result } = await walk(client, server, 'add_note', { note: 'milk' });
      expect(asked).toEqual(['notes:use', expect.stringContaining('notes:write')]);
      expect(result).toMatchObject({ content: [{ type: 'text' }] });
      expect(result).not.toMatchObject({ isError: true });
      expect(found()).toEqual([]);
    },
  );
});

it('10.14a: Express takes both, and says nothing', async () => {
  server = await start({ platform: 'express' });
  const { asked } = await walk('SDK v2 (2026 era)', server, 'add_note', { note: 'milk' });
  expect(asked).toHaveLength(2);
  expect(found()).toEqual([]);
});
