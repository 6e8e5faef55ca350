/**
 * Two applications on one strategy of MCP-Nest 2: the first one serves the tools of both. And one that is
 * `ALONE`, whose strategy serves other tools than the decorators say.
 */

import 'reflect-metadata';
import { createServer } from 'node:http';
import { Controller, Get, Module, type Provider, type Type, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import {
  McpController,
  McpHttpControllerFor,
  McpStrategy,
  StreamableHttpTransport,
  Tool,
} from '@rekog/mcp-nest';
import { AuthplaneGuard, AuthplaneModule, authplaneOptionsFromEnv, Scopes } from 'authplane-nestjs';

const transport = new StreamableHttpTransport({ statefulMode: false });
const strategy = new McpStrategy({ name: 'both', version: '1.0.0', transports: [transport] });
const ran: string[] = [];

@Controller('mcp')
@UseGuards(AuthplaneGuard)
class HttpController extends McpHttpControllerFor(transport) {}

@McpController()
class OwnTools {
  @Scopes('x')
  @Tool({ name: 'own', description: 'x' })
  own() {
    ran.push('own');
    return 'own';
  }
}

@McpController()
class OtherTools {
  @Scopes('x')
  @Tool({ name: 'stray', description: 'x' })
  stray() {
    ran.push('stray');
    return 'stray';
  }
}

@McpController({ server: 'x' })
class ToolsElsewhere {
  @Scopes('x')
  @Tool({ name: 'elsewhere', description: 'x' })
  elsewhere() {
    ran.push('elsewhere');
  }
}

@McpController()
class OpenTools {
  @Tool({ name: 'open', description: 'x' })
  open() {
    return 'open';
  }
}

@Controller('ran')
class RanController {
  @Get()
  ran() {
    return ran;
  }
}

@Module({ controllers: [OtherTools] })
class OtherModule {}

const is = (name: string) => process.env[name] === 'true';

/** Of another name, which nobody connects. */
const elsewhere = new McpStrategy({ name: 'x', version: '1', server: 'x', transports: [] });
const idle = new McpStrategy({ name: 'idle', version: '1', transports: [] });
const controllers: Type[] = [HttpController, RanController, OpenTools];
// Under tokens of the application's own.
const providers: Provider[] = is('PROVIDED') ? [{ provide: 'OURS', useValue: strategy }] : [];
if (is('MISPLACED')) providers.push(OwnTools);
else controllers.push(OwnTools);
if (is('SEVERAL')) {
  controllers.push(ToolsElsewhere);
  providers.push(OwnTools);
  for (const useValue of [elsewhere, idle]) providers.push({ provide: Symbol(), useValue });
}

@Module({
  imports: [
    AuthplaneModule.forRoot({
      ...authplaneOptionsFromEnv(),
      scopes: ['x'],
      allowUnguarded: is('ALLOWED'),
    }),
  ],
  controllers,
  providers,
})
class AppModule {}

/** The strategy reads another name than the guard. */
async function startRenamed(): Promise<void> {
  const options = Reflect.getMetadata('mcp:tool', OwnTools.prototype.own) as { name: string };
  options.name = 'other';
  await app.startAllMicroservices();
  options.name = 'own';
}

const START = {
  usual: async () => {
    app.connectMicroservice({ strategy });
    await app.startAllMicroservices();
  },
  renamed: async () => {
    app.connectMicroservice({ strategy });
    await startRenamed();
  },
  'init first': async () => {
    app.connectMicroservice({ strategy });
    await app.init();
    await app.startAllMicroservices();
  },
  'init before all': async () => {
    await app.init();
    app.connectMicroservice({ strategy });
    await app.startAllMicroservices();
  },
};

const [port] = process.argv.slice(2);
const options = { logger: false, abortOnError: false } as const;
const other = await NestFactory.create(OtherModule, new ExpressAdapter(), options);
if (!is('ALONE')) other.connectMicroservice({ strategy });
const app = await NestFactory.create(AppModule, new ExpressAdapter(), options);
const start = START[(process.env['START'] ?? 'usual') as keyof typeof START];
const problem = await start()
  .then(() => app.listen(Number(port)))
  .then(
    () => undefined,
    (error: unknown) => String(error),
  );
process.on('disconnect', () => process.exit()); // the tests are gone
if (problem === undefined) process.send?.('ready');
else {
  // Why it did not start, for whoever asks.
  await app.close();
  createServer((_, response) => response.end(problem)).listen(Number(port), () => {
    process.send?.('refused');
  });
}
