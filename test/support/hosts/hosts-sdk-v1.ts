import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  All,
  Controller,
  Get,
  Header,
  Headers,
  HttpCode,
  Injectable,
  Module,
  NotFoundException,
  type OnModuleDestroy,
  Post,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  authplaneOptionsFromEnv,
  Scopes,
} from 'authplane-nestjs';
import { type PlatformReply, type PlatformRequest, serveMcp } from 'authplane-nestjs/mcp';
import { z } from 'zod';

/** What each tool, resource and prompt needs besides `notes:use`. */
export const mcp = {
  tools: { read_notes: ['notes:read'], add_note: ['notes:write'] },
  resources: { 'notes://all': ['notes:read'] },
  prompts: { summary: ['notes:read'] },
  // list: 'hide', // lists only what the caller may use
  // allowedOrigins: ['https://app.example.com'], // 403 for other pages, inspectors too
};

@Injectable()
export class NotesServer {
  readonly #notes: string[] = []; // who did what

  constructor(private readonly caller: AuthContext) {}

  createServer(): McpServer {
    const server = new McpServer({ name: 'notes', version: '1.0.0' });
    server.registerTool('history', { description: 'Who did what' }, () =>
      text(this.#notes.join('\n')),
    );
    server.registerTool('read_notes', { description: 'All notes' }, () => text(this.#note('read')));
    server.registerTool(
      'add_note',
      { description: 'Adds a note', inputSchema: { note: z.string() } },
      ({ note }) => text(this.#note(`added ${note}`)),
    );
    server.registerResource('all', 'notes://all', {}, ({ href }) => ({
      contents: [{ uri: href, text: this.#note('read') }],
    }));
    server.registerPrompt('summary', { description: 'A summary of all notes' }, () => ({
      messages: [{ role: 'user', content: { type: 'text', text: this.#note('read') } }],
    }));
    return server;
  }

  #note(what: string): string {
    this.#notes.push(`${this.caller.claims.sub} has ${what}`);
    return this.#notes.join('\n');
  }
}

function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}

/** Without sessions: one server and one transport for each request. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('notes:use')
export class McpController {
  constructor(private readonly notes: NotesServer) {}

  @Post()
  handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
    return serveMcp(request, reply, async () => {
      const server = this.notes.createServer();
      const transport = new StreamableHTTPServerTransport({});
      await server.connect(transport);
      return (raw, response, body) => {
        response.on('close', () => void server.close());
        return transport.handleRequest(raw, response, body);
      };
    });
  }

  @Get()
  @HttpCode(405) // there is no stream to listen to
  @Header('Allow', 'POST')
  stream(): void {}
}

const IDLE_MS = 30 * 60_000;

interface Session {
  readonly transport: StreamableHTTPServerTransport;
  /** Requests that are being answered, streams included. */
  open: number;
  usedAt: number;
}

/** With sessions, instead of `McpController`: one server and one transport for each session. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('notes:use')
export class SessionsController implements OnModuleDestroy {
  readonly #sessions = new Map<string, Session>();
  /** Clients may go away without a word. */
  readonly #sweep = setInterval(() => this.closeIdle(), 60_000).unref();

  constructor(private readonly notes: NotesServer) {}

  @All()
  handle(
    @Req() request: PlatformRequest,
    @Res() reply: PlatformReply,
    @Headers('mcp-session-id') id: string | undefined,
  ): Promise<void> {
    return serveMcp(request, reply, async () => {
      const session = id === undefined ? await this.#open() : this.#sessions.get(id);
      if (session === undefined) {
        const error = { code: -32001, message: 'Session not found' };
        throw new NotFoundException({ jsonrpc: '2.0', error, id: null });
      }
      return (raw, response, body) => {
        session.open++;
        response.on('close', () => {
          session.open--;
          session.usedAt = Date.now();
        });
        return session.transport.handleRequest(raw, response, body);
      };
    });
  }

  async #open(): Promise<Session> {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void this.#sessions.set(id, session),
      onsessionclosed: (id) => void this.#sessions.delete(id),
    });
    const session: Session = { transport, open: 0, usedAt: Date.now() };
    await this.notes.createServer().connect(transport);
    return session;
  }

  /** Ends the sessions that nobody has used for a while. */
  closeIdle(now = Date.now()): void {
    for (const [id, { transport, open, usedAt }] of this.#sessions) {
      if (open > 0 || now - usedAt < IDLE_MS) continue;
      this.#sessions.delete(id);
      void transport.close();
    }
  }

  /** Running calls are still answered after this: do not close their transports here. */
  onModuleDestroy(): void {
    clearInterval(this.#sweep);
  }
}

@Module({
  imports: [
    AuthplaneModule.forRootAsync({
      useFactory: () => ({
        ...authplaneOptionsFromEnv(),
        scopes: ['notes:use', 'notes:read', 'notes:write'],
        mcp,
      }),
    }),
  ],
  controllers: [McpController], // or SessionsController
  providers: [NotesServer],
})
export class AppModule {}

export async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, new FastifyAdapter());
  await app.listen(3000);
}
