/** Starts the MCP-Nest example, which makes its strategy and reads its settings when it is loaded. */

import { Module } from '@nestjs/common';
import { ModuleRef, NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { McpController, Prompt, Resource, ResourceTemplate, Tool } from '@rekog/mcp-nest';
import { Claims, Scopes, type VerifiedClaims } from 'authplane-nestjs';
import { AppModule, NotesTools, strategy } from './hosts-mcp-nest.js';

/** What the example does not show: a hidden resource and a hidden prompt, on an unguarded class. */
@McpController()
class HiddenNotes {
  constructor(private readonly moduleRef: ModuleRef) {}

  @Resource({ uri: 'notes://secret', name: 'secret' })
  @Scopes('notes:admin', { list: 'hide' })
  secret(@Payload() { uri }: { uri: string }, @Claims() caller: VerifiedClaims) {
    return { contents: [{ uri, text: this.note(caller) }] };
  }

  @Prompt({ name: 'confession', description: 'A prompt for few' })
  @Scopes('notes:admin', { list: 'hide' })
  confession(@Claims() caller: VerifiedClaims) {
    return { messages: [{ role: 'user', content: { type: 'text', text: this.note(caller) } }] };
  }

  private note(caller: VerifiedClaims): string {
    return this.moduleRef.get(NotesTools, { strict: false }).note(caller, 'read');
  }
}

/** Templates whose URIs can be spelt in odd ways. */
@McpController()
class Files {
  @Resource({ uri: 'files://{tenant}/private/{name}', name: 'private' })
  @Scopes('notes:read')
  private(@Payload() { uri }: { uri: string }) {
    return { contents: [{ uri, text: 'a private file' }] };
  }

  @ResourceTemplate({ uriTemplate: 'odd://one{/:b{/:c}}', name: 'nested' })
  @Scopes('notes:read')
  nested(@Payload() { uri }: { uri: string }) {
    return { contents: [{ uri, text: 'nested groups' }] };
  }

  @ResourceTemplate({ uriTemplate: 'odd://three/:"file-name"', name: 'quoted' })
  @Scopes('notes:read')
  quoted(@Payload() { uri }: { uri: string }) {
    return { contents: [{ uri, text: 'a quoted name' }] };
  }

  /** Has a rule in the options. Two segments in front: MCP-Nest compares without scheme. */
  @ResourceTemplate({ uriTemplate: 'ruled://cabinet/of/{name}', name: 'ruled' })
  ruled(@Payload() { uri, name }: { uri: string; name: string }) {
    return { contents: [{ uri, text: `the handler got ${name}` }] };
  }
}

/** As retry and tracing libraries do it. */
function Wrap(): MethodDecorator {
  return (_target, _key, descriptor) => {
    const original = descriptor.value as unknown as (...args: unknown[]) => unknown;
    descriptor.value = function (this: unknown, ...args: unknown[]) {
      return Reflect.apply(original, this, args);
    } as never;
  };
}

/** Marks that another decorator has hidden, and a tool that runs another one. */
@McpController()
class Wrapped {
  @Tool({ name: 'wrapped', description: 'x' })
  @Wrap()
  @Scopes('notes:admin')
  wrapped() {
    return 'wrapped ran';
  }

  @Scopes('notes:admin')
  @Tool({ name: 'wrapped_below', description: 'x' })
  @Wrap()
  below() {
    return 'below ran';
  }

  @Tool({ name: 'detour', description: 'x' })
  @Scopes('notes:use')
  detour() {
    return this.inner();
  }

  @Tool({ name: 'inner', description: 'x' })
  @Scopes('notes:admin')
  inner() {
    return 'inner ran';
  }
}

@Module({ imports: [AppModule], controllers: [HiddenNotes, Files, Wrapped] })
class TestModule {}

const [platform, port] = process.argv.slice(2);
const app = await NestFactory.create(
  TestModule,
  platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(),
);
app.connectMicroservice({ strategy });
await app.startAllMicroservices();
await app.listen(Number(port));
process.on('disconnect', () => process.exit()); // the tests are gone
process.send?.('ready');
