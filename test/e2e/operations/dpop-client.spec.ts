import { afterEach, describe, expect, it } from 'vitest';
import { Client, DpopSession, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { InboundDPoPOptions } from 'authplane-nestjs';
import { MemoryOAuthProvider } from '../../../sample-app/walk/memory-oauth-provider.js';
import {
  type ProtectedMcpServer,
  startProtectedMcpServer,
} from '../../support/nest/mcp-endpoint-app.js';
import { platforms } from '../../support/nest/start-app.js';

const CALLBACK = 'http://127.0.0.1:1/callback';

const modes: [string, InboundDPoPOptions][] = [
  ['supported', {}],
  ['required', { required: true }],
  ['required, with nonce', { required: true, nonce: true }],
  ['supported, with a shared nonce secret', { nonce: { secret: 's'.repeat(32), ttlSeconds: 60 } }],
];

describe.each(platforms)('the MCP client SDK v2 with its DPoP session on %s', (platform) => {
  let server: ProtectedMcpServer;

  afterEach(() => server.close());

  it.each(modes)(
    'DPoP %s: authorizes with a bound token and calls tools',
    async (_, inboundDPoP) => {
      server = await startProtectedMcpServer(platform, {}, { inboundDPoP });
      const session = await DpopSession.create();
      const provider = new MemoryOAuthProvider(CALLBACK, session);
      const connect = () => {
        const client = new Client({ name: 'dpop', version: '2' });
        const transport = new StreamableHTTPClientTransport(new URL(server.mcpUrl), {
          authProvider: provider,
        });
        return { client, transport, connected: client.connect(transport) };
      };

      const first = connect();
      await expect(first.connected).rejects.toThrow();
      const callback = await server.authorizationServer.approve(provider.authorizationUrl as URL);
      await first.transport.finishAuth(callback.searchParams);
      expect(provider.tokens()?.token_type).toBe('DPoP');

      const { client, connected } = connect();
      await connected;
      for (let call = 1; call <= 5; call++) {
        const result = await client.callTool({ name: 'add', arguments: { a: call, b: 1 } });
        expect(result.content).toEqual([{ type: 'text', text: String(call + 1) }]);
      }
      await client.close();

      // The token alone, as a thief has it, is worth nothing.
      const stolen = provider.tokens()?.access_token ?? '';
      for (const scheme of ['Bearer', 'DPoP']) {
        const response = await fetch(server.mcpUrl, {
          method: 'POST',
          headers: { authorization: `${scheme} ${stolen}`, 'content-type': 'application/json' },
          body: '{}',
        });
        expect(response.status).toBe(401);
      }
    },
  );

  it('a hijacked MCP answer carries DPoP-Nonce', async () => {
    server = await startProtectedMcpServer(platform, {}, { inboundDPoP: { nonce: true } });
    const nonces: (string | null)[] = [];
    const cacheControls: { type: string | null; says: string | null }[] = [];
    const provider = new MemoryOAuthProvider(CALLBACK, await DpopSession.create());
    const options = {
      authProvider: provider,
      fetch: async (url: string | URL, init?: RequestInit) => {
        const response = await fetch(url, init);
        if (String(url) === server.mcpUrl && response.ok) {
          nonces.push(response.headers.get('dpop-nonce'));
          const { headers } = response;
          const [type, says] = [headers.get('content-type'), headers.get('cache-control')];
          cacheControls.push({ type, says });
        }
        return response;
      },
    };
    const first = new StreamableHTTPClientTransport(new URL(server.mcpUrl), options);
    await expect(new Client({ name: 'a', version: '1' }).connect(first)).rejects.toThrow();
    const callback = await server.authorizationServer.approve(provider.authorizationUrl as URL);
    await first.finishAuth(callback.searchParams);
    const client = new Client({ name: 'a', version: '1' });
    await client.connect(new StreamableHTTPClientTransport(new URL(server.mcpUrl), options));
    await client.listTools();
    await client.close();
    expect(nonces.length).toBeGreaterThan(1);
    expect(nonces.every((nonce) => nonce !== null && nonce.length >= 43)).toBe(true);
    // 10.23: RFC 9449 §8.2; the transport says something of its own for event streams
    const ours = cacheControls.filter(({ type }) => type !== 'text/event-stream');
    expect(ours.length).toBeGreaterThan(0);
    for (const { says } of ours) expect(says).toBe('no-store');
    for (const { says } of cacheControls) expect(says).toMatch(/no-store|no-cache/);
  });
});
