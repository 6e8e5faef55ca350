import 'reflect-metadata';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import {
  All,
  Controller,
  Injectable,
  Module,
  type OnModuleDestroy,
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
  type McpOptions,
  Scopes,
} from 'authplane-nestjs';
import { z } from 'zod';

/** What each tool, resource and prompt needs besides `notes:use`. */
export const mcp = {
  tools: { read_notes: ['notes:read'], add_note: ['notes:write'] },
  resources: { 'notes://all': ['notes:read'] },
  prompts: { summary: ['notes:read'] },
  allowedOrigins: ['https://app.example.com'],
} satisfies McpOptions;

/** The service behind the tools. */
@Injectable()
export class Notes {
  readonly #notes: string[] = [];
  readonly #log: string[] = [];

  constructor(private readonly caller: AuthContext) {}

  read(): string {
    this.#log.push(`${this.caller.claims.sub} has read`);
    return this.#notes.join('\n');
  }

  add(note: string): string {
    this.#log.push(`${this.caller.claims.sub} has added`);
    this.#notes.push(note);
    return 'added';
  }

  history(): string {
    return this.#log.join('\n');
  }
}

@Injectable()
export class NotesServer {
  constructor(private readonly notes: Notes) {}

  createServer(): McpServer {
    const server = new McpServer({ name: 'notes', version: '1.0.0' });
    server.registerTool('history', { description: 'Who did what' }, () =>
      text(this.notes.history()),
    );
    server.registerTool('read_notes', { description: 'All notes' }, () => text(this.notes.read()));
    server.registerTool(
      'add_note',
      { description: 'Adds a note', inputSchema: z.object({ note: z.string() }) },
      ({ note }) => text(this.notes.add(note)),
    );
    server.registerResource('all', 'notes://all', {}, ({ href }) => ({
      contents: [{ uri: href, text: this.notes.read() }],
    }));
    server.registerPrompt('summary', { description: 'A summary of all notes' }, () => ({
      messages: [{ role: 'user', content: { type: 'text', text: this.notes.read() } }],
    }));
    return server;
  }
}

function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}

/** Fastify wraps Node's request and response, Express extends them. */
export type PlatformRequest = IncomingMessage & { raw?: IncomingMessage; body?: unknown };
export type PlatformResponse = ServerResponse & { raw?: ServerResponse; hijack?(): void };

/** Both protocol eras on one endpoint; nothing is kept between requests. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('notes:use')
export class McpController implements OnModuleDestroy {
  readonly #mcp = createMcpHandler(() => this.notes.createServer());
  readonly #handle = toNodeHandler(this.#mcp);

  constructor(private readonly notes: NotesServer) {}

  @All()
  async handle(@Req() request: PlatformRequest, @Res() reply: PlatformResponse): Promise<void> {
    reply.hijack?.(); // Fastify: the handler answers, not the framework
    const { raw = request } = request;
    await this.#handle(raw as never, reply.raw ?? reply, request.body); // its types are narrower
  }

  async onModuleDestroy(): Promise<void> {
    await this.#mcp.close();
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
  controllers: [McpController],
  providers: [Notes, NotesServer],
})
export class AppModule {}

export async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, new FastifyAdapter());
  await app.listen(3000);
}
