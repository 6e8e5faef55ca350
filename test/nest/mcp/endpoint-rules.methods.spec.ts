import { afterEach, describe, expect, it } from 'vitest';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { platforms } from '../../support/nest/start-app.js';
import {
  Host,
  type McpApp,
  type McpHost,
  request,
  startMcpApp,
} from '../../support/nest/mcp-app.js';

const INFO = { name: 'vendor', version: '1' };

const hosts: Record<string, (ran: string[]) => McpHost> = {
  'SDK v1': (ran) => async (incoming, response, body) => {
    const server = new Server(INFO, { capabilities: {} });
    for (const method of ['vendor/run', 'vendor/other'] as const) {
      server.setRequestHandler(z.object({ method: z.literal(method) }), () => {
        ran.push(method);
        return {};
      });
    }
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
    response.on('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(incoming, response, body);
  },
  'SDK v2': (ran) => {
    const handler = toNodeHandler(
      createMcpHandler(() => {
        const server = new McpServer(INFO, { capabilities: {} });
        for (const method of ['vendor/run', 'vendor/other']) {
          server.server.setRequestHandler(method, { params: z.looseObject({}) }, () => {
            ran.push(method);
            return {};
          });
        }
        return server;
      }),
    );
    return (incoming, response, body) => handler(incoming as never, response, body);
  },
};

let server: McpApp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const cases = platforms.flatMap((platform) =>
  Object.keys(hosts).map((host) => ({ platform, host })),
);

describe.each(cases)('methods of a server of its own, $host on $platform', ({ platform, host }) => {
  const ran: string[] = [];

  async function start(mcp: object): Promise<McpApp['post']> {
    ran.length = 0;
    const handle = hosts[host]?.(ran) as McpHost;
    server = await startMcpApp({
      platform,
      mcp,
      metadata: { providers: [{ provide: Host, useValue: new Host(handle) }] },
    });
    return server.post;
  }

  it('9.9a: need what mcp.methods says, in a batch, too, and without a token the challenge names it', async () => {
    const post = await start({ methods: { 'vendor/run': ['vendor:run'] } });
    const run = request('vendor/run');
    for (const body of [run, [request('ping'), { ...run, id: 2 }]]) {
      const refused = await post(body);
      expect([refused.status, refused.json.scope]).toEqual([403, 'vendor:run']);
      const anonymous = await post(body, { scope: null });
      expect(anonymous.headers.get('www-authenticate')).toContain('scope="vendor:run"');
    }
    expect(ran).toEqual([]);
    expect((await post(run, { scope: 'vendor:run' })).status).toBe(200);
    expect((await post(request('vendor/other'))).status).toBe(200);
    expect(ran).toEqual(['vendor/run', 'vendor/other']);
  });

  it("9.9a: unknownMethods: 'refuse' lets in those of MCP and of mcp.methods only", async () => {
    const post = await start({
      methods: { 'vendor/run': ['vendor:run'] },
      unknownMethods: 'refuse',
    });
    for (const method of ['vendor/other', 'Ping', 'constructor', 'tools/call ']) {
      const refused = await post(request(method));
      expect([refused.status, refused.json.error]).toEqual([403, 'access_denied']);
    }
    expect((await post({ jsonrpc: '2.0', method: 'notifications/vendor' })).status).toBe(403);
    expect((await post(request('ping'))).status).toBe(200);
    expect((await post(request('vendor/run'), { scope: 'vendor:run' })).status).toBe(200);
    expect(ran).toEqual(['vendor/run']);
  });

  it('a rule sees the method and its parameters; nothing is hidden', async () => {
    const seen: unknown[] = [];
    const rule = (operation: unknown) => {
      seen.push(operation);
      return false;
    };
    const post = await start({ list: 'hide', methods: { 'vendor/run': rule } });
    expect((await post(request('vendor/run', { a: 1 }))).json.error).toBe('access_denied');
    const expected = {
      ...{ kind: 'method', method: 'vendor/run', name: 'vendor/run', params: { a: 1 } },
      variables: {},
    };
    expect(seen).toEqual([expected]);
    expect(ran).toEqual([]);
  });
});
