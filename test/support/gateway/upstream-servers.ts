import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  inputRequired,
  McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { freePort } from '../nest/start-app.js';

/** What an upstream does with a request before its MCP server gets it; `true`: it has answered. */
export type Interception = (
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
) => boolean | Promise<boolean>;

export interface RunningUpstream {
  readonly url: string;
  readonly port: number;
  /** All bytes that came in on all of its sockets. */
  received(): string;
  /** What was asked, in order: method of the message, and the token. */
  readonly asked: {
    readonly method: string;
    readonly token: string | undefined;
    readonly body: string;
    readonly headers: IncomingMessage['headers'];
  }[];
  /** Requests that ended before they were answered. */
  readonly aborted: string[];
  intercept: Interception | undefined;
  /** Tells whoever listens. */
  readonly notify: ReturnType<typeof createMcpHandler>['notify'];
  stop(): Promise<void>;
  start(): Promise<void>;
}

export type MakeServer = () => McpServer;

/** An MCP server of 2026-07-28 on loopback that keeps what came over the wire. */
export async function startUpstream(make: MakeServer): Promise<RunningUpstream> {
  const handler = createMcpHandler(make);
  const serve = toNodeHandler(handler) as (
    request: IncomingMessage,
    response: ServerResponse,
    body: unknown,
  ) => Promise<void>;
  return listen(await freePort(), serve, handler);
}

async function listen(
  port: number,
  serve: (request: IncomingMessage, response: ServerResponse, body: unknown) => Promise<void>,
  { notify }: Pick<ReturnType<typeof createMcpHandler>, 'notify'>,
): Promise<RunningUpstream> {
  const bytes: Buffer[] = [];
  const sockets = new Set<Socket>();
  let server: Server;
  const upstream: RunningUpstream = {
    url: `http://127.0.0.1:${port}/mcp`,
    port,
    received: () => Buffer.concat(bytes).toString('latin1'),
    asked: [],
    aborted: [],
    intercept: undefined,
    notify,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    start: async () => {
      server = createServer((request, response) => void handle(request, response));
      server.keepAliveTimeout = 300_000;
      server.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.on('data', (chunk: Buffer) => bytes.push(chunk));
        socket.on('error', () => undefined);
        socket.once('close', () => sockets.delete(socket));
      });
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    },
  };
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    try {
      for await (const chunk of request) body += String(chunk);
    } catch {
      return;
    }
    const message = body === '' ? undefined : (JSON.parse(body) as { method?: string });
    const { authorization } = request.headers;
    upstream.asked.push({
      method: message?.method ?? request.method ?? '',
      token: authorization,
      body,
      headers: request.headers,
    });
    response.once('close', () => {
      if (!response.writableFinished) upstream.aborted.push(message?.method ?? '');
    });
    if (upstream.intercept !== undefined && (await upstream.intercept(request, response, body)))
      return;
    await serve(request, response, message);
  }
  await upstream.start();
  const stop = upstream.stop.bind(upstream);
  return Object.assign(upstream, {
    stop: async () => {
      if (server.listening) await stop();
    },
  });
}

/** Tools, resources and prompts of many kinds. */
export function calendarServer(): McpServer {
  const server = new McpServer(
    { name: 'calendar', version: '1' },
    { capabilities: { logging: {} } },
  );
  const echo = (name: string) => (args: unknown) => ({
    content: [{ type: 'text' as const, text: `${name} ${JSON.stringify(args)}` }],
  });
  for (const name of ['list_events', 'create_event', 'debug_dump']) {
    server.registerTool(
      name,
      {
        description: `${name} of the calendar`,
        inputSchema: z.object({ day: z.string().optional() }),
      },
      echo(name),
    );
  }
  server.registerTool('slow', { description: 'Takes its time' }, async (ctx) => {
    const token = ctx.mcpReq._meta?.progressToken;
    for (let progress = 1; progress <= 3; progress++) {
      if (token !== undefined) {
        await ctx.mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken: token, progress, total: 3 },
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    return { content: [{ type: 'text', text: 'slow ran' }] };
  });
  server.registerTool('invite', { description: 'Asks whom' }, (ctx) => {
    const answers = ctx.mcpReq.inputResponses as
      Record<string, { content?: { name?: string } }> | undefined;
    const name = answers?.['whom']?.content?.name;
    if (name !== undefined) return { content: [{ type: 'text', text: `invited ${name}` }] };
    const params = {
      mode: 'form' as const,
      message: 'Whom?',
      requestedSchema: {
        type: 'object' as const,
        properties: { name: { type: 'string' as const } },
      },
    };
    return inputRequired({ inputRequests: { whom: inputRequired.elicit(params) } });
  });
  server.registerTool('fails', { description: 'Fails' }, () => ({
    isError: true,
    content: [{ type: 'text', text: 'no such day' }],
  }));
  server.registerResource('today', 'calendar://today', {}, ({ href }) => ({
    contents: [{ uri: href, text: 'lunch' }],
  }));
  server.registerResource(
    'day',
    new ResourceTemplate('calendar://days/{day}', {
      list: undefined,
      complete: { day: () => ['fri', 'sat'] },
    }),
    {},
    ({ href }) => ({ contents: [{ uri: href, text: 'a day' }] }),
  );
  server.registerPrompt('briefing', { description: 'A briefing' }, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'brief me' } }],
  }));
  return server;
}

export function searchServer(): McpServer {
  const server = new McpServer({ name: 'search', version: '1' });
  server.registerTool('web', { description: 'Searches' }, () => ({
    content: [{ type: 'text', text: 'found' }],
  }));
  return server;
}
