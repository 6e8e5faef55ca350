import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import { All, Controller, type OnModuleDestroy, Req, Res, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, Scopes } from 'authplane-nestjs';

/** Whoever registers the tools: the `NotesServer` of the other example. */
export abstract class ServerFactory {
  abstract createServer(): McpServer;
}

type PlatformRequest = IncomingMessage & { raw?: IncomingMessage; body?: unknown };
type PlatformResponse = ServerResponse & { raw?: ServerResponse; hijack?(): void };

/** One MCP server and one transport for each session. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('notes:use')
export class SessionsController implements OnModuleDestroy {
  readonly #sessions = new Map<string, StreamableHTTPServerTransport>();

  constructor(private readonly servers: ServerFactory) {}

  @All()
  async handle(@Req() request: PlatformRequest, @Res() reply: PlatformResponse): Promise<void> {
    const response = reply.raw ?? reply;
    const id = request.headers['mcp-session-id'];
    const transport = id === undefined ? await this.#open(request.body) : this.#find(id);
    reply.hijack?.(); // Fastify: from here on the transport answers, not the framework
    if (transport === undefined) {
      const [status, code, message] =
        id === undefined
          ? [400, -32000, 'Session id is missing']
          : [404, -32001, 'Session not found'];
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null }));
      return;
    }
    await transport.handleRequest(request.raw ?? request, response, request.body);
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((transport) => transport.close()));
  }

  /** That the session is the caller's own, the guard has checked. */
  #find(id: string | string[]): StreamableHTTPServerTransport | undefined {
    return this.#sessions.get(String(id));
  }

  async #open(body: unknown): Promise<StreamableHTTPServerTransport | undefined> {
    if (!isInitializeRequest(body)) return undefined;
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => void this.#sessions.set(id, transport),
      onsessionclosed: (id) => void this.#sessions.delete(id),
    });
    await this.servers.createServer().connect(transport);
    return transport;
  }
}
