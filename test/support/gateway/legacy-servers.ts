import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { ElicitResultSchema, ListRootsResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { freePort } from '../nest/start-app.js';

/** An MCP server of 2025-11-25 with sessions, made with SDK v1, that counts what it is asked in each. */
export interface LegacyUpstream {
  readonly url: string;
  readonly sessions: Map<string, StreamableHTTPServerTransport>;
  /** What happened, in order. */
  readonly log: string[];
  received(): string;
  /** Forgets all sessions, as a restart does. */
  forget(): void;
  stop(): Promise<void>;
}

export async function startLegacyUpstream(
  make: (log: string[]) => McpServer = counting,
): Promise<LegacyUpstream> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const log: string[] = [];
  const bytes: Buffer[] = [];
  const sockets = new Set<Socket>();
  const port = await freePort();
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const id = request.headers['mcp-session-id'];
    log.push(`${request.method} ${id === undefined ? 'new' : 'session'}`);
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    if (known !== undefined) return known.handleRequest(request, response, body);
    if (id !== undefined) {
      response.writeHead(404).end();
      return;
    }
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (opened) => void sessions.set(opened, transport),
      onsessionclosed: (closed) => void sessions.delete(closed),
    });
    await make(log).connect(transport);
    return transport.handleRequest(request, response, body);
  };
  const server: Server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('data', (chunk: Buffer) => bytes.push(chunk));
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    sessions,
    log,
    received: () => Buffer.concat(bytes).toString('latin1'),
    forget: () => sessions.clear(),
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function counting(log: string[]): McpServer {
  const server = new McpServer(
    { name: 'counting', version: '1' },
    { capabilities: { logging: {}, tools: {} } },
  );
  let count = 0;
  const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });
  server.registerTool('count', { description: 'Of this session' }, () => text(String(++count)));
  server.registerTool('ask', { description: 'Asks the user' }, async (extra) => {
    const requestedSchema = { type: 'object' as const, properties: {} };
    const params = { message: 'Name?', requestedSchema };
    const answer = await extra.sendRequest(
      { method: 'elicitation/create', params },
      ElicitResultSchema,
    );
    return text(JSON.stringify(answer));
  });
  server.registerTool('roots', { description: 'Asks for roots' }, async (extra) => {
    const { roots } = await extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema);
    return text(roots.map(({ uri }) => uri).join());
  });
  server.registerTool('slow', { description: 'Tells of its progress' }, async (extra) => {
    const progressToken = extra._meta?.progressToken;
    for (let progress = 1; progress <= 2 && progressToken !== undefined; progress++) {
      await extra.sendNotification({
        method: 'notifications/progress',
        params: { progressToken, progress },
      });
    }
    return text('slow ran');
  });
  server.registerTool('hang', { description: 'Until it is cancelled' }, async (extra) => {
    log.push('hanging');
    await new Promise((resolve) => extra.signal.addEventListener('abort', resolve));
    log.push('cancelled');
    return text('never');
  });
  server.registerResource('all', 'count://all', {}, (uri) => ({
    contents: [{ uri: uri.href, text: 'all' }],
  }));
  server.registerPrompt('hello', {}, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'hello' } }],
  }));
  return server;
}

/** What a scripted upstream was asked. */
export interface ScriptedUpstream {
  readonly url: string;
  readonly asked: { readonly method: string; readonly params: Record<string, unknown> }[];
  stop(): Promise<void>;
}

/**
 * A server of 2025-11-25 that lists one of each kind and answers nothing else: not even the head of the answer comes,
 * as where the whole answer is one JSON document.
 */
export async function scripted(): Promise<ScriptedUpstream> {
  const asked: { method: string; params: Record<string, unknown> }[] = [];
  const results: Readonly<Record<string, object>> = {
    initialize: {
      protocolVersion: '2025-11-25',
      capabilities: {},
      serverInfo: { name: 'old', version: '1' },
    },
    'tools/list': { tools: [{ name: 't', inputSchema: { type: 'object' } }] },
    'prompts/list': { prompts: [{ name: 'p' }] },
    'resources/list': { resources: [{ name: 'r', uri: 'old://r' }] },
    'resources/templates/list': { resourceTemplates: [{ name: 'd', uriTemplate: 'old://{x}/d' }] },
  };
  const server = createServer((request, response) => {
    void (async () => {
      let text = '';
      for await (const chunk of request) text += String(chunk);
      const { id, method = '', params = {} } = text === '' ? {} : JSON.parse(text);
      if (text !== '') asked.push({ method, params });
      if (method === 'server/discover') response.writeHead(400).end();
      else if (id === undefined) response.writeHead(request.method === 'POST' ? 202 : 405).end();
      else if (results[method] !== undefined) {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] }));
      }
    })().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    asked,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
