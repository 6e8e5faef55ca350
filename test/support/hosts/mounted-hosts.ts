import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer as McpServerV2 } from '@modelcontextprotocol/server';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { AuthContext, AuthplaneMiddleware, AuthplaneModule } from 'authplane-nestjs';
import type { AuthplaneModuleOptions } from 'authplane-nestjs';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import express from 'express';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ON_LOOPBACK, freePort, type Platform, startApp } from '../nest/start-app.js';
import type { HostServer } from './hosts-requests.js';

export type MountedRequest = IncomingMessage & { readonly body?: unknown };
export type MountedHandler = (request: MountedRequest, response: ServerResponse) => void;

/** What has run, and for whom. */
export type Runs = string[];

export interface MountedServer extends HostServer {
  readonly runs: Runs;
  /** Requests that the application has sent to itself, and that are answered. */
  readonly selfChecks: string[];
  readonly app: INestApplication;
}

/** How a host gets its requests: none of these is a route of Nest's. */
export const mounts = {
  'app.use on express': ['express', mountWithUse],
  'app.use on fastify': ['fastify', mountWithUse],
  'a router of Express': ['express', mountRouter],
  'a route of a Fastify plugin': ['fastify', mountPlugin],
} as const satisfies Record<string, readonly [Platform, Mount]>;
export type MountName = keyof typeof mounts;

type Mount = (app: INestApplication, handler: MountedHandler) => void;

/** Real servers of both SDKs, which are given the body. */
export const servers = {
  'SDK v1': hostV1,
  'SDK v1 with sessions': hostV1WithSessions,
  'SDK v2': hostV2,
};

export async function startMounted(
  mount: MountName | readonly [Platform, Mount],
  host: (caller: AuthContext, runs: Runs) => MountedHandler,
  options: Partial<AuthplaneModuleOptions> = {},
  module: ModuleMetadata = {},
): Promise<MountedServer> {
  const [platform, mountOn] = typeof mount === 'string' ? mounts[mount] : mount;
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const scopes = ['notes:read', 'notes:write'];
  const authorizationServer = await startAuthorizationServer({
    issueRefreshTokens: false, // with one, a v1 client would refresh the old scopes
    resources: [{ uri: mcpUrl, scopes }],
  });
  const runs: Runs = [];
  const selfChecks: string[] = [];
  const configure = (made: INestApplication) => {
    made.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
      const asked = `${request.method} ${request.url}`;
      const isOwn = request.headers['user-agent'] === 'authplane-nestjs self-check';
      if (isOwn) response.once('close', () => selfChecks.push(asked));
      next();
    });
    mountOn(made, host(made.get(AuthContext), runs));
  };
  const { app } = await startApp(
    {
      ...module,
      imports: [
        ...(module.imports ?? []),
        AuthplaneModule.forRoot({
          issuer: authorizationServer.issuer,
          baseUrl,
          scopes,
          ...ON_LOOPBACK,
          mcp: { tools: { read: ['notes:read'], write: ['notes:write'] } },
          ...options,
        }),
      ],
    },
    { platform, port, configure },
  );
  return {
    app,
    authorizationServer,
    mcpUrl,
    runs,
    selfChecks,
    close: async () => {
      await app.close();
      await authorizationServer.close();
    },
  };
}

function mountWithUse(app: INestApplication, handler: MountedHandler): void {
  app.use('/mcp', app.get(AuthplaneMiddleware).for());
  app.use('/mcp', handler);
}

function mountRouter(app: INestApplication, handler: MountedHandler): void {
  const router = express.Router();
  router.use(app.get(AuthplaneMiddleware).for());
  router.all('/', handler);
  app.use('/mcp', router);
}

/** The platform parses the body of its routes, and keeps it on its own request. */
function mountPlugin(app: INestApplication, handler: MountedHandler): void {
  app.use('/mcp', app.get(AuthplaneMiddleware).for());
  const fastify = app.getHttpAdapter().getInstance() as FastifyInstance;
  void fastify.register((instance, _options, done) => {
    instance.all('/mcp', (request: FastifyRequest, reply: FastifyReply) => {
      reply.hijack();
      handler(Object.assign(request.raw, { body: request.body }), reply.raw);
    });
    done();
  });
}

function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}

function serverV1(caller: AuthContext, runs: Runs): McpServer {
  const server = new McpServer({ name: 'mounted', version: '1.0.0' });
  for (const name of ['read', 'write', 'free']) {
    server.registerTool(name, { inputSchema: { note: z.string().optional() } }, ({ note }) => {
      runs.push(`${caller.claims.sub} ${name}${note === undefined ? '' : ` ${note}`}`);
      return text(`${name} for ${caller.claims.sub}`);
    });
  }
  return server;
}

function hostV1(caller: AuthContext, runs: Runs): MountedHandler {
  const serve = async (request: MountedRequest, response: ServerResponse) => {
    const server = serverV1(caller, runs);
    const transport = new StreamableHTTPServerTransport({});
    response.on('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(request, response, request.body);
  };
  return (request, response) => void serve(request, response);
}

function hostV1WithSessions(caller: AuthContext, runs: Runs): MountedHandler {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const open = async () => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    await serverV1(caller, runs).connect(transport);
    return transport;
  };
  const serve = async (request: MountedRequest, response: ServerResponse) => {
    const known = sessions.get(String(request.headers['mcp-session-id']));
    await (known ?? (await open())).handleRequest(request, response, request.body);
  };
  return (request, response) => void serve(request, response);
}

function hostV2(caller: AuthContext, runs: Runs): MountedHandler {
  const handler = toNodeHandler(
    createMcpHandler(() => {
      const server = new McpServerV2({ name: 'mounted', version: '1.0.0' });
      for (const name of ['read', 'write', 'free']) {
        const inputSchema = z.object({ note: z.string().optional() });
        server.registerTool(name, { inputSchema }, ({ note }) => {
          runs.push(`${caller.claims.sub} ${name}${note === undefined ? '' : ` ${note}`}`);
          return text(`${name} for ${caller.claims.sub}`);
        });
      }
      return server;
    }),
  );
  return (request, response) =>
    void handler(request as Parameters<typeof handler>[0], response, request.body);
}

/** Reads what it runs from the request, as servers do that are given no body. */
export function readsItself(caller: AuthContext, runs: Runs): MountedHandler {
  const serve = async (request: MountedRequest, response: ServerResponse) => {
    const server = serverV1(caller, runs);
    const transport = new StreamableHTTPServerTransport({});
    response.on('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(request, response);
  };
  return (request, response) => void serve(request, response);
}
