import { createRequire } from 'node:module';
import { Server as ServerV1 } from '@modelcontextprotocol/sdk/server/index.js';
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { type ConsentOptions, type McpServe, withConsent } from 'authplane-nestjs/mcp';
import { z } from 'zod';
import type { Calendar } from './consent-calendar.js';

/** Prepares what serves one HTTP request to the MCP endpoint. */
export type McpHost = (sessionId: string | undefined) => McpServe | Promise<McpServe>;

export type HostFactory = (calendar: Calendar, options: ConsentOptions) => McpHost;

const INFO = { name: 'calendar', version: '1.0.0' };
/** A server makes one for itself otherwise, which takes longer than its request. */
const SHARED = { jsonSchemaValidator: new AjvJsonSchemaValidator() };

const { McpServer: McpServerV1Cjs } = createRequire(import.meta.url)(
  '@modelcontextprotocol/sdk/server/mcp.js',
) as { McpServer: typeof McpServerV1 };

/** Every way to run an SDK server by hand. */
export const hosts = {
  'SDK v1': statelessV1((calendar, options) =>
    register(withConsent(new McpServerV1(INFO, SHARED), options), calendar),
  ),
  'SDK v1 (CommonJS copy)': statelessV1((calendar, options) =>
    register(withConsent(new McpServerV1Cjs(INFO, SHARED), options), calendar),
  ),
  'SDK v1 with sessions': statefulV1((calendar, options) =>
    register(
      withConsent(new McpServerV1(INFO, { ...SHARED, capabilities: { tools: {} } }), options),
      calendar,
    ),
  ),
  'SDK v1 low-level': statelessV1(lowLevelV1),
  'SDK v2': (calendar, options) => {
    const handler = createMcpHandler(() =>
      register(withConsent(new McpServer(INFO), options), calendar),
    );
    const serve = toNodeHandler(handler) as McpServe;
    return () => serve;
  },
} satisfies Record<string, HostFactory>;

/** What both generations of `McpServer` have in common. */
interface Registering {
  registerTool(name: string, config: object, handler: (...args: never[]) => unknown): unknown;
  registerPrompt(name: string, config: object, handler: () => unknown): unknown;
  registerResource(
    name: string,
    uri: string,
    config: object,
    handler: (uri: URL) => unknown,
  ): unknown;
}

/** Tools without a single `try`. */
function register<Server extends object>(server: Server, calendar: Calendar): Server {
  const registering = server as Registering;
  registering.registerTool(
    'events',
    {
      description: 'Events of a day',
      inputSchema: z.object({ day: z.string() }),
      outputSchema: z.object({ events: z.string() }),
    },
    async ({ day }: { day: string }) => {
      const events = await calendar.events();
      return { ...text(`${day}: ${events}`), structuredContent: { events } };
    },
  );
  registering.registerTool('delete_all', { description: 'Deletes all' }, () =>
    text(calendar.deleteAll()),
  );
  registering.registerTool('bug', { description: 'Has a bug' }, () => {
    throw new Error('a bug of the application');
  });
  registering.registerPrompt('briefing', { description: 'A briefing' }, async () => ({
    messages: [{ role: 'user', content: { type: 'text', text: await calendar.events() } }],
  }));
  registering.registerResource('today', 'calendar://today', {}, async (uri) => ({
    contents: [{ uri: uri.href, text: await calendar.events() }],
  }));
  return server;
}

function lowLevelV1(calendar: Calendar, options: ConsentOptions): ServerV1 {
  const server = withConsent(new ServerV1(INFO, { capabilities: { tools: {} } }), options);
  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    if (params.name === 'delete_all') return text(calendar.deleteAll());
    return text(`${String(params.arguments?.['day'])}: ${await calendar.events()}`);
  });
  return server;
}

type AnyServerV1 = McpServerV1 | ServerV1;
type ServerFactoryV1 = (calendar: Calendar, options: ConsentOptions) => AnyServerV1;

function statelessV1(create: ServerFactoryV1): HostFactory {
  return (calendar, options) => async () => {
    const server = create(calendar, options);
    const transport = new StreamableHTTPServerTransport({});
    await server.connect(transport);
    return async (request, response, body) => {
      response.on('close', () => void server.close());
      if (request.method === 'POST') return transport.handleRequest(request, response, body);
      response.writeHead(405, { Allow: 'POST' }).end(); // there is no stream to listen to
    };
  };
}

function statefulV1(create: ServerFactoryV1): HostFactory {
  return (calendar, options) => {
    const sessions = new Map<string, StreamableHTTPServerTransport>();
    const open = async () => {
      const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => crypto.randomUUID(),
        onsessioninitialized: (id) => void sessions.set(id, transport),
      });
      await create(calendar, options).connect(transport);
      return transport;
    };
    return async (sessionId = '') => {
      const transport = sessions.get(sessionId) ?? (await open());
      return (...http) => transport.handleRequest(...http);
    };
  };
}

function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}
