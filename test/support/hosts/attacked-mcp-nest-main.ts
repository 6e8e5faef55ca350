/** A server of MCP-Nest 2 whose methods need a scope in every way to write it, and tell what ran. */

import 'reflect-metadata';
import { All, Controller, Get, Module, Scope, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  McpController,
  McpHttpControllerFor,
  McpStrategy,
  Prompt,
  Resource,
  ResourceTemplate,
  StreamableHttpTransport,
  Tool,
} from '@rekog/mcp-nest';
import { AuthplaneGuard, AuthplaneModule, authplaneOptionsFromEnv, Scopes } from 'authplane-nestjs';

const transport = new StreamableHttpTransport({ statefulMode: false });
const strategy = new McpStrategy({ name: 'notes', version: '1.0.0', transports: [transport] });

const ran: string[] = [];

function note(name: string): string {
  ran.push(name);
  return name;
}

const replaced: MethodDecorator = (_target, _key, descriptor) => {
  const method = descriptor.value as unknown as (...args: unknown[]) => unknown;
  const around = function (this: unknown, ...args: unknown[]) {
    return method.apply(this, args);
  };
  return { ...descriptor, value: around as never };
};

@Controller('mcp')
@UseGuards(AuthplaneGuard)
class HttpController extends McpHttpControllerFor(transport) {}

class Base {
  @Tool({ name: 'inherited', description: 'x' })
  @Scopes('x')
  inherited() {
    return note('inherited');
  }

  @Scopes('x')
  overridden() {
    return note('overridden');
  }
}

@McpController()
class Tools extends Base {
  @Tool({ name: 'open', description: 'x' })
  open() {
    return note('open');
  }

  @Tool({ name: 'named', description: 'x' })
  @Scopes('x')
  other() {
    return note('named');
  }

  @Tool({ name: 'wrapped', description: 'x' })
  @replaced
  @Scopes('x')
  wrapped() {
    return note('wrapped');
  }

  @Tool({ name: 'overridden', description: 'x' })
  override overridden() {
    return note('overridden');
  }

  @Prompt({ name: 'briefing', description: 'x' })
  @Scopes('x')
  briefing() {
    const text = note('briefing');
    return { messages: [{ role: 'user', content: { type: 'text', text } }] };
  }

  @Resource({ uri: 'notes://secret', name: 'secret' })
  @Scopes('x')
  secret() {
    return { contents: [{ uri: 'notes://secret', text: note('secret') }] };
  }

  @ResourceTemplate({ uriTemplate: 'notes://days/{day}', name: 'day' })
  @Scopes('x')
  day() {
    return { contents: [{ uri: 'notes://days/x', text: note('day') }] };
  }

  @Resource({ uri: 'https://example.com/secret/{name}', name: 'plan' })
  @replaced
  @Scopes('x')
  plan() {
    return { contents: [{ uri: 'https://example.com/secret/x', text: note('plan') }] };
  }

  @Resource({ uri: 'files://private', name: 'hidden_file' })
  @Scopes('x')
  hiddenFile() {
    return { contents: [{ uri: 'files://private', text: note('hidden file') }] };
  }

  @Resource({ uri: 'files://{name}', name: 'file' })
  file({ uri, name }: { uri: string; name: string }) {
    note('open');
    return { contents: [{ uri, text: `the file ${name}` }] };
  }

  @Resource({ uri: 'files://pages/private', name: 'hidden_page' })
  @Scopes('x')
  hiddenPage() {
    return { contents: [{ uri: 'files://pages/private', text: note('hidden page') }] };
  }

  @ResourceTemplate({ uriTemplate: 'files://pages/{name}', name: 'page' })
  page({ uri, name }: { uri: string; name: string }) {
    note('open');
    return { contents: [{ uri, text: `the page ${name}` }] };
  }
}

@McpController({ scope: Scope.REQUEST })
@Scopes('x')
class RequestScoped {
  @Tool({ name: 'requested', description: 'x' })
  requested() {
    return note('requested');
  }
}

@Controller('plain')
@UseGuards(AuthplaneGuard)
class PlainController {
  constructor() {
    this.bound = this.bound.bind(this);
  }

  @All('bound')
  @Scopes('x')
  bound() {
    return note('bound');
  }
}

@Controller('ran')
class RanController {
  @Get()
  ran() {
    return ran;
  }
}

@Module({
  imports: [
    AuthplaneModule.forRoot({
      ...authplaneOptionsFromEnv(),
      scopes: ['x'],
      mcp: { list: process.env['MCP_LIST'] === 'hide' ? 'hide' : 'show' },
    }),
  ],
  controllers: [HttpController, Tools, RequestScoped, PlainController, RanController],
})
class AppModule {}

const [platform, port] = process.argv.slice(2);
process.on('unhandledRejection', (reason) => {
  note(`unhandled rejection: ${String(reason)}`);
});
const app = await NestFactory.create(
  AppModule,
  platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(),
  { logger: ['error', 'warn'] },
);
app.connectMicroservice({ strategy });
await app.startAllMicroservices();
await app.listen(Number(port));
process.on('disconnect', () => process.exit()); // the tests are gone
process.send?.('ready');
