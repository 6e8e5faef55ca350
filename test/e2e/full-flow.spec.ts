import { afterEach, describe, expect, it } from 'vitest';
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Person } from '../../sample-app/walk/person.js';
import { signIn, stepUp } from '../../sample-app/walk/sign-in.js';
import { numbered } from '../../sample-app/walk/step.js';
import { MemoryOAuthProvider } from '../../sample-app/walk/memory-oauth-provider.js';
import {
  type ProtectedMcpServer,
  startProtectedMcpServer,
} from '../support/nest/mcp-endpoint-app.js';
import { platforms } from '../support/nest/start-app.js';

const CALLBACK = 'http://127.0.0.1:1/callback';

describe.each(platforms)('a real MCP client against a protected server on %s', (platform) => {
  let server: ProtectedMcpServer;

  afterEach(() => server.close());

  it('SDK v1: finds the authorization server from our 401, authorizes, and calls tools', async () => {
    server = await startProtectedMcpServer(platform);
    const provider = new MemoryOAuthProvider(CALLBACK);
    const connect = async () => {
      const client = new Client({ name: 'v1', version: '1' });
      const transport = new StreamableHTTPClientTransport(new URL(server.mcpUrl), {
        authProvider: provider, // its types are those of v2; the shapes are the same
      });
      return { client, transport, connected: client.connect(transport) };
    };

    const first = await connect();
    await expect(first.connected).rejects.toBeInstanceOf(UnauthorizedError);
    const authorizationUrl = provider.authorizationUrl as URL;
    expect(authorizationUrl.searchParams.get('resource')).toBe(server.mcpUrl);
    expect(authorizationUrl.searchParams.get('scope')).toBe('mcp:tools');
    const callback = await server.authorizationServer.approve(authorizationUrl, { user: 'alice' });
    await first.transport.finishAuth(callback.searchParams.get('code') ?? '');

    const { client, connected } = await connect();
    await connected;
    expect((await client.listTools()).tools.map((tool) => tool.name)).toContain('whoami');
    const result = await client.callTool({ name: 'whoami', arguments: {} });
    expect(caller(result.content)).toEqual({
      subject: 'alice',
      client: provider.clientInformation()?.client_id,
      agent: '',
      agentChain: [],
      scopes: ['mcp:tools'],
    });
    await client.close();
  });

  it.each(['legacy', 'auto'] as const)(
    'SDK v2 (%s era): finds the authorization server from our 401, authorizes, and calls tools',
    async (mode) => {
      server = await startProtectedMcpServer(platform);
      const provider = new MemoryOAuthProvider(CALLBACK);
      const connect = () => {
        const client = new ClientV2({ name: 'v2', version: '2' }, { versionNegotiation: { mode } });
        const transport = new TransportV2(new URL(server.mcpUrl), {
          authProvider: provider,
        });
        return { client, transport, connected: client.connect(transport) };
      };

      const first = connect();
      await expect(first.connected).rejects.toThrow();
      const authorizationUrl = provider.authorizationUrl as URL;
      const callback = await server.authorizationServer.approve(authorizationUrl, { user: 'bob' });
      await first.transport.finishAuth(callback.searchParams);

      const { client, connected } = connect();
      await connected;
      const result = await client.callTool({ name: 'whoami', arguments: {} });
      expect(caller(result.content)).toMatchObject({ subject: 'bob', scopes: ['mcp:tools'] });
      await client.close();
    },
  );

  it.each([false, true])(
    'SDK v2: signs in, and steps up in the middle of a session, DPoP: %s',
    async (dpop) => {
      server = await startProtectedMcpServer(
        platform,
        {},
        dpop ? { inboundDPoP: { required: true } } : {},
      );
      const lines: string[] = [];
      const step = numbered((line) => lines.push(line));
      const person = await Person.with({
        ...{ mcpUrl: server.mcpUrl, name: 'alice', era: 'legacy', dpop },
        approve: (url) => server.authorizationServer.approve(url),
      });
      await signIn(person, step);
      expect(await person.call('add', { a: 2, b: 3 })).toBe('5');
      await stepUp(person, 'now_utc', step);
      await person.close();
      const titles = lines.filter((line) => /^\n\d+\. /.test(line)).map((line) => line.trim());
      const token = dpop ? /^5\. .* bound to its key$/ : /^5\. .* \(PKCE, resource indicator\)$/;
      expect(titles).toEqual([
        '1. no token: HTTP 401 and a challenge',
        expect.stringMatching(/^2\. the challenge leads to the resource metadata: http/),
        '3. the MCP client finds the authorization server and registers',
        expect.stringMatching(/^4\. the user is sent to the authorization server/),
        expect.stringMatching(token),
        '6. tools/call now_utc: HTTP 403, the tool needs a scope',
        expect.stringMatching(/^7\. the client asks the user for it/),
        '8. the new token has the scopes mcp:tools mcp:time; the same call again',
      ]);
      const detailsOf = (step: number) =>
        lines
          .slice(lines.indexOf(`\n${titles[step - 1]}`) + 1)
          .slice(0, 1)
          .join();
      expect(detailsOf(6)).toContain('error="insufficient_scope", scope="mcp:tools mcp:time"');
      expect(new URL(detailsOf(7).trim()).searchParams.get('scope')).toBe('mcp:tools mcp:time');
      expect(Date.parse(detailsOf(8).trim())).toBeGreaterThan(Date.now() - 60_000);
    },
  );

  it('SDK v1: a client that was refused for a missing scope asks for it and succeeds', async () => {
    server = await startProtectedMcpServer(platform, { issueRefreshTokens: false });
    const provider = new MemoryOAuthProvider(CALLBACK);
    const withoutScope = await server.authorizationServer.issueToken({ scope: 'other' });
    provider.saveTokens({ access_token: withoutScope, token_type: 'Bearer' });

    const client = new Client({ name: 'v1', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(server.mcpUrl), {
      authProvider: provider,
    });
    await expect(client.connect(transport as never)).rejects.toBeInstanceOf(UnauthorizedError);
    const authorizationUrl = provider.authorizationUrl as URL;
    expect(authorizationUrl.searchParams.get('scope')).toBe('mcp:tools');
    const callback = await server.authorizationServer.approve(authorizationUrl);
    await transport.finishAuth(callback.searchParams.get('code') ?? '');

    const again = new Client({ name: 'v1', version: '1' });
    await again.connect(
      new StreamableHTTPClientTransport(new URL(server.mcpUrl), {
        authProvider: provider,
      }),
    );
    expect((await again.callTool({ name: 'add', arguments: { a: 1, b: 2 } })).content).toEqual([
      { type: 'text', text: '3' },
    ]);
    await again.close();
  });
});

function caller(content: unknown): unknown {
  const [first] = content as { text: string }[];
  return JSON.parse(first?.text ?? 'null');
}
