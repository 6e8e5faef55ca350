import 'reflect-metadata';
import { Controller, Injectable, Module, UseGuards } from '@nestjs/common';
import { type AbstractHttpAdapter, NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  McpController,
  McpHttpControllerFor,
  McpStrategy,
  Prompt,
  Resource,
  StreamableHttpTransport,
  Tool,
} from '@rekog/mcp-nest';
import {
  AuthplaneGuard,
  AuthplaneModule,
  authplaneOptionsFromEnv,
  Claims,
  Scopes,
  type VerifiedClaims,
} from 'authplane-nestjs';
import { z } from 'zod';

const transport = new StreamableHttpTransport({
  statefulMode: process.env['MCP_SESSIONS'] === 'true', // of protocol revisions up to 2025-11-25
});
const strategy = new McpStrategy({ name: 'notes', version: '1.0.0', transports: [transport] });

/** The route. Without a controller of your own the transport would have no guard. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('notes:use')
class HttpController extends McpHttpControllerFor(transport) {}

/** The service behind the tools. */
@Injectable()
class Notes {
  readonly #notes: string[] = [];
  readonly #log: string[] = [];

  read(user: string): string {
    this.#log.push(`${user} has read`);
    return this.#notes.join('\n');
  }

  add(user: string, note: string): string {
    this.#log.push(`${user} has added`);
    this.#notes.push(note);
    return 'added';
  }

  forget(user: string): string {
    this.#log.push(`${user} has deleted`);
    this.#notes.length = 0;
    return 'deleted';
  }

  history(): string {
    return this.#log.join('\n');
  }
}

@McpController()
@UseGuards(AuthplaneGuard) // once more, right before the method
class NotesTools {
  constructor(private readonly notes: Notes) {}

  @Tool({ name: 'history', description: 'Who did what' })
  history() {
    return this.notes.history();
  }

  @Tool({ name: 'read_notes', description: 'All notes' })
  @Scopes('notes:read')
  read(@Claims() { sub }: VerifiedClaims) {
    return this.notes.read(sub);
  }

  @Tool({
    name: 'add_note',
    description: 'Adds a note',
    parameters: z.object({ note: z.string() }),
  })
  @Scopes('notes:write')
  add(@Payload() { note }: { note: string }, @Claims() { sub }: VerifiedClaims) {
    return this.notes.add(sub, note);
  }

  @Tool({ name: 'forget_all', description: 'Deletes all notes' })
  @Scopes('notes:admin', { list: 'hide' }) // others do not learn that it exists
  forgetAll(@Claims() { sub }: VerifiedClaims) {
    return this.notes.forget(sub);
  }

  @Resource({ uri: 'notes://all', name: 'all' })
  @Scopes('notes:read')
  all(@Payload() { uri }: { uri: string }, @Claims() { sub }: VerifiedClaims) {
    return { contents: [{ uri, text: this.notes.read(sub) }] };
  }

  @Resource({ uri: 'notes://secret', name: 'secret' })
  @Scopes('notes:admin', { list: 'hide' })
  secret(@Payload() { uri }: { uri: string }, @Claims() { sub }: VerifiedClaims) {
    return { contents: [{ uri, text: this.notes.read(sub) }] };
  }

  @Prompt({ name: 'summary', description: 'A summary of all notes' })
  @Scopes('notes:read')
  summary(@Claims() { sub }: VerifiedClaims) {
    const text = this.notes.read(sub);
    return { messages: [{ role: 'user', content: { type: 'text', text } }] };
  }

  @Prompt({ name: 'confession', description: 'A prompt for few' })
  @Scopes('notes:admin', { list: 'hide' })
  confession(@Claims() { sub }: VerifiedClaims) {
    const text = this.notes.read(sub);
    return { messages: [{ role: 'user', content: { type: 'text', text } }] };
  }
}

@Module({
  imports: [
    AuthplaneModule.forRoot({
      ...authplaneOptionsFromEnv(),
      scopes: ['notes:use', 'notes:read', 'notes:write', 'notes:admin'],
      mcp: { allowedOrigins: ['https://app.example.com'] },
    }),
  ],
  controllers: [HttpController, NotesTools],
  providers: [Notes],
})
export class AppModule {}

export async function main(
  adapter: AbstractHttpAdapter = new FastifyAdapter(),
  port = 3000,
): Promise<void> {
  const app = await NestFactory.create(AppModule, adapter);
  strategy.setHttpAdapter(app.getHttpAdapter());
  app.connectMicroservice({ strategy });
  await app.startAllMicroservices();
  await app.listen(port);
}
