import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

/** Its own type of a request is narrower than Node's. */
type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * An MCP server of somebody else, which has never heard of AuthPlane: it takes tokens of its own provider,
 * and each of them is the key to one calendar. AuthPlane keeps them in its vault, by user.
 */
export class CalendarServer {
  readonly #calendars = new Map<string, string[]>();
  readonly #handle = toNodeHandler(createMcpHandler(() => this.#tools())) as Handle;
  #server: Server | undefined;

  /** @param url where it listens; the host is a loopback name. */
  constructor(readonly url: string) {}

  async start(): Promise<void> {
    const { hostname, port } = new URL(this.url);
    const server = createServer((request, response) => void this.#answer(request, response));
    server.listen(Number(port), hostname);
    await once(server, 'listening');
    this.#server = server;
  }

  /** As if it had crashed. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers.authorization?.startsWith('Bearer calendar-') !== true) {
      response.writeHead(401, { 'WWW-Authenticate': 'Bearer' }).end();
      return;
    }
    await this.#handle(request, response);
  }

  #tools(): McpServer {
    const server = new McpServer({ name: 'calendar', version: '3.1.4' });
    server.registerTool('list_events', { description: 'Your appointments of today' }, (ctx) =>
      text(this.#calendarOf(ctx.http?.req).join(', ')),
    );
    server.registerTool(
      'create_event',
      { description: 'A new appointment', inputSchema: z.object({ what: z.string() }) },
      ({ what }, ctx) => {
        this.#calendarOf(ctx.http?.req).push(what);
        return text('It is in your calendar.');
      },
    );
    return server;
  }

  #calendarOf(request: Request | undefined): string[] {
    const token = request?.headers.get('authorization') ?? '';
    const known = this.#calendars.get(token) ?? ['09:00 Stand-up', '14:00 Dentist'];
    this.#calendars.set(token, known);
    return known;
  }
}

function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}
