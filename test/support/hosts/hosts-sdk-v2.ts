import 'reflect-metadata';
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
  Scopes,
} from 'authplane-nestjs';
import {
  type McpServe,
  type PlatformReply,
  type PlatformRequest,
  serveMcp,
} from 'authplane-nestjs/mcp';
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
      { description: 'Adds a note', inputSchema: z.object({ note: z.string() }) },
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

/** Both protocol eras on one endpoint; nothing is kept between requests. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('notes:use')
export class McpController implements OnModuleDestroy {
  readonly #mcp = createMcpHandler(() => this.notes.createServer());
  readonly #serve = toNodeHandler(this.#mcp) as McpServe;

  constructor(private readonly notes: NotesServer) {}

  @All()
  handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
    return serveMcp(request, reply, () => this.#serve);
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
  providers: [NotesServer],
})
export class AppModule {}

export async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, new FastifyAdapter());
  await app.listen(3000);
}
