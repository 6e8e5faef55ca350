/** What `docs/clients.md` says that clients do. */

import { afterEach, describe, expect, it } from 'vitest';
import {
  Client as ClientV2,
  InsufficientScopeError,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { AuthplaneModule } from 'authplane-nestjs';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { type ClientName, walk } from '../../support/hosts/hosts-clients.js';
import type { HostServer } from '../../support/hosts/hosts-requests.js';
import { McpController, mcp, NotesServer } from '../../support/hosts/hosts-sdk-v2.js';
import { SCOPES } from '../../support/hosts/hosts-suite.js';
import { freePort, startApp } from '../../support/nest/start-app.js';

const ADD = { name: 'add_note', arguments: { note: 'milk' } };

let server: HostServer;
afterEach(() => server.close());

async function start(issueRefreshTokens: boolean): Promise<HostServer> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const authorizationServer = await startAuthorizationServer({
    issueRefreshTokens,
    resources: [{ uri: mcpUrl, scopes: SCOPES }],
  });
  const { issuer } = authorizationServer;
  const options = { issuer, baseUrl, devMode: true, scopes: SCOPES, mcp };
  const app = await startApp(
    {
      imports: [AuthplaneModule.forRoot(options)],
      controllers: [McpController],
      providers: [NotesServer],
    },
    { platform: 'express', port },
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

describe('with a refresh token', () => {
  it('a client of SDK v1 refreshes the old scopes and fails', async () => {
    server = await start(true);
    const failure = await walk('SDK v1', server, ADD.name, ADD.arguments).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ message: 'the client did not ask' });
    const { cause } = failure as Error;
    expect((cause as Error).message).toContain('403 after trying upscoping');
  });

  it.each<ClientName>(['SDK v2 (2025 era)', 'SDK v2 (2026 era)'])(
    'a client of %s asks the user',
    async (client) => {
      server = await start(true);
      const { asked } = await walk(client, server, ADD.name, ADD.arguments);
      expect(asked).toEqual(['notes:use', 'notes:use notes:write']);
    },
  );
});

describe('without an OAuth provider', () => {
  const requestInit = async () => {
    const token = await server.authorizationServer.issueToken({
      aud: server.mcpUrl,
      scope: 'notes:use',
    });
    return { headers: { authorization: `Bearer ${token}` } };
  };

  it('a call of a client of SDK v1 fails with the answer', async () => {
    server = await start(false);
    const client = new Client({ name: 'v1', version: '1' });
    const url = new URL(server.mcpUrl);
    const transport = new StreamableHTTPClientTransport(url, { requestInit: await requestInit() });
    await client.connect(transport);
    await expect(client.callTool(ADD)).rejects.toThrow(/insufficient_scope/);
    await client.close();
  });

  it('a call of a client of SDK v2 fails with InsufficientScopeError', async () => {
    server = await start(false);
    const client = new ClientV2({ name: 'v2', version: '2' });
    const url = new URL(server.mcpUrl);
    await client.connect(new TransportV2(url, { requestInit: await requestInit() }));
    await expect(client.callTool(ADD)).rejects.toBeInstanceOf(InsufficientScopeError);
    await client.close();
  });
});
