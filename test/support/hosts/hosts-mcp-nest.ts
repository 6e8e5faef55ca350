import 'reflect-metadata';
import { Controller, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
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

const transport = new StreamableHttpTransport({ statefulMode: false }); // no sessions, see below
export const strategy = new McpStrategy({
  name: 'notes',
  version: '1.0.0',
  transports: [transport],
});

/** The route. Without it the transport mounts itself, and nothing is protected. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('notes:use')
class HttpController extends McpHttpControllerFor(transport) {}

@McpController()
@UseGuards(AuthplaneGuard) // optional: checks once more, right before the method
export class NotesTools {
  readonly #notes: string[] = []; // who did what

  @Tool({ name: 'history', description: 'Who did what' })
  history() {
    return this.#notes.join('\n');
  }

  @Tool({ name: 'read_notes', description: 'All notes' })
  @Scopes('notes:read')
  read(@Claims() caller: VerifiedClaims) {
    return this.note(caller, 'read');
  }

  @Tool({ name: 'add_note', description: 'Adds', parameters: z.object({ note: z.string() }) })
  @Scopes('notes:write')
  add(@Payload() { note }: { note: string }, @Claims() caller: VerifiedClaims) {
    return this.note(caller, `added ${note}`);
  }

  @Tool({ name: 'forget_all', description: 'Marks all notes as deleted' })
  @Scopes('notes:admin', { list: 'hide' }) // others do not learn that it exists
  forgetAll(@Claims() caller: VerifiedClaims) {
    return this.note(caller, 'deleted all');
  }

  @Resource({ uri: 'notes://all', name: 'all' })
  @Scopes('notes:read')
  all(@Payload() { uri }: { uri: string }, @Claims() caller: VerifiedClaims) {
    return { contents: [{ uri, text: this.note(caller, 'read') }] };
  }

  @Prompt({ name: 'summary', description: 'A summary of all notes' })
  @Scopes('notes:read')
  summary(@Claims() caller: VerifiedClaims) {
    const text = this.note(caller, 'read');
    return { messages: [{ role: 'user', content: { type: 'text', text } }] };
  }

  note({ sub }: VerifiedClaims, what: string): string {
    this.#notes.push(`${sub} has ${what}`);
    return this.#notes.join('\n');
  }
}

@Module({
  imports: [
    AuthplaneModule.forRoot({
      ...authplaneOptionsFromEnv(),
      scopes: ['notes:use', 'notes:read', 'notes:write', 'notes:admin'],
      // mcp: { allowedOrigins: ['https://app.example.com'] }, // 403 for other pages, inspectors too
    }),
  ],
  controllers: [HttpController, NotesTools],
})
export class AppModule {}

export async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, new FastifyAdapter());
  app.connectMicroservice({ strategy });
  await app.startAllMicroservices();
  await app.listen(3000);
}
