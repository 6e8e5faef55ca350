import { Controller, Module, type Provider, type Type, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import {
  McpController,
  McpHttpControllerFor,
  McpStrategy,
  StreamableHttpTransport,
  Tool,
} from '@rekog/mcp-nest';
import { AuthplaneGuard, AuthplaneModule, Scopes } from 'authplane-nestjs';
import { freePort } from '../servers/free-port.js';
import { ON_LOOPBACK, quickClose } from '../nest/start-app.js';

export interface StrayOptions {
  readonly issuer: string;
  /** A provider of the application holds the strategy. */
  readonly isProvided?: boolean;
  /** No other application is on the strategy. */
  readonly isAlone?: boolean;
  /** The class of the tools is among the providers, where the strategy does not look. */
  readonly isMisplaced?: boolean;
  /** There are strategies beside it, and tools in two places. */
  readonly hasSeveral?: boolean;
  readonly allowUnguarded?: boolean;
  readonly start?: 'usual' | 'renamed' | 'init first' | 'init before all';
}

export interface StrayApp {
  readonly origin: string;
  /** The tools that were run. */
  readonly ran: readonly string[];
  /** Why it has not started. */
  readonly problem?: string;
  close(): Promise<void>;
}

/**
 * Two applications on one strategy of MCP-Nest 2: the first one serves the tools of both. And one that is
 * alone, whose strategy serves other tools than the decorators say.
 */
export async function startStray(options: StrayOptions): Promise<StrayApp> {
  const { issuer, isAlone = false, start = 'usual', allowUnguarded = false } = options;
  const ran: string[] = [];
  const transport = new StreamableHttpTransport({ statefulMode: false });
  const strategy = new McpStrategy({ name: 'both', version: '1.0.0', transports: [transport] });

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

  @Module({ controllers: [OtherTools] })
  class OtherModule {}

  // Of another name, which nobody connects.
  const elsewhere = new McpStrategy({ name: 'x', version: '1', server: 'x', transports: [] });
  const idle = new McpStrategy({ name: 'idle', version: '1', transports: [] });
  const controllers: Type[] = [HttpController, OpenTools];
  // Under tokens of the application's own.
  const providers: Provider[] = options.isProvided ? [{ provide: 'OURS', useValue: strategy }] : [];
  if (options.isMisplaced) providers.push(OwnTools);
  else controllers.push(OwnTools);
  if (options.hasSeveral) {
    controllers.push(ToolsElsewhere);
    providers.push(OwnTools);
    for (const useValue of [elsewhere, idle]) providers.push({ provide: Symbol(), useValue });
  }

  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const authplane = { issuer, baseUrl: origin, ...ON_LOOPBACK, scopes: ['x'], allowUnguarded };

  @Module({ imports: [AuthplaneModule.forRoot(authplane)], controllers, providers })
  class AppModule {}

  const quiet = { logger: false, abortOnError: false } as const;
  const other = await NestFactory.create(OtherModule, new ExpressAdapter(), quiet);
  if (!isAlone) other.connectMicroservice({ strategy });
  const app = await NestFactory.create(AppModule, new ExpressAdapter(), quiet);
  const close = quickClose(app);

  // The strategy reads another name than the guard.
  const startRenamed = async (): Promise<void> => {
    const tool = Reflect.getMetadata('mcp:tool', OwnTools.prototype.own) as { name: string };
    tool.name = 'other';
    await app.startAllMicroservices();
    tool.name = 'own';
  };
  const begin = async (): Promise<void> => {
    if (start === 'init before all') await app.init();
    app.connectMicroservice({ strategy });
    if (start === 'init first') await app.init();
    await (start === 'renamed' ? startRenamed() : app.startAllMicroservices());
    await app.listen(port, '127.0.0.1');
  };
  const problem = await begin().then(
    () => undefined,
    (error: unknown) => String(error),
  );
  return {
    origin,
    ran,
    ...(problem === undefined ? {} : { problem }),
    close: async () => {
      await close();
      await other.close();
    },
  };
}
