import { Controller, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import { ExpressAdapter } from '@nestjs/platform-express';
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
import { AuthContext, AuthplaneClient, AuthplaneGuard, AuthplaneModule } from 'authplane-nestjs';
import { WithConsent } from 'authplane-nestjs/mcp';
import { z } from 'zod';
import type { StartServer } from './consent-app.js';
import { Calendar } from './consent-calendar.js';
import { ON_LOOPBACK, type Platform, quickClose } from '../nest/start-app.js';

export interface McpNestOptions {
  readonly platform: Platform;
  readonly statefulMode: boolean;
}

/** An MCP-Nest server. */
export function mcpNestServer({ platform, statefulMode }: McpNestOptions): StartServer {
  return async (settings) => {
    const transport = new StreamableHttpTransport({ statefulMode });
    const strategy = new McpStrategy({
      name: 'calendar',
      version: '1.0.0',
      transports: [transport],
    });

    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    class HttpController extends McpHttpControllerFor(transport) {}

    /** Tools without a single `try`. */
    @McpController()
    @WithConsent()
    class CalendarTools {
      constructor(private readonly calendar: Calendar) {}

      @Tool({
        name: 'events',
        description: 'Events of a day',
        parameters: z.object({ day: z.string() }),
        outputSchema: z.object({ events: z.string() }),
      })
      async events(@Payload() { day }: { day: string }) {
        return { events: `${day}: ${await this.calendar.events()}` };
      }

      @Tool({ name: 'delete_all', description: 'Deletes all' })
      deleteAll() {
        return this.calendar.deleteAll();
      }

      @Tool({ name: 'bug', description: 'Has a bug' })
      bug() {
        throw new Error('a bug of the application');
      }

      @Prompt({ name: 'briefing', description: 'A briefing' })
      async briefing() {
        const text = await this.calendar.events();
        return { messages: [{ role: 'user', content: { type: 'text', text } }] };
      }

      @Resource({ uri: 'calendar://today', name: 'today' })
      async today(@Payload() { uri }: { uri: string }) {
        return { contents: [{ uri, text: await this.calendar.events() }] };
      }
    }

    @Module({
      imports: [
        AuthplaneModule.forRoot({
          issuer: settings.issuer,
          baseUrl: settings.baseUrl,
          asCredentials: settings.asCredentials,
          ...ON_LOOPBACK,
          consent: { retryDelaysMs: [20, 40, 80] },
        }),
      ],
      controllers: [HttpController, CalendarTools],
      providers: [
        {
          provide: Calendar,
          inject: [AuthplaneClient, AuthContext],
          useFactory: (client: AuthplaneClient, caller: AuthContext) =>
            new Calendar(client, caller),
        },
      ],
    })
    class AppModule {}

    const adapter = platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
    const app = await NestFactory.create(AppModule, adapter, { logger: false });
    strategy.setHttpAdapter(app.getHttpAdapter());
    app.connectMicroservice({ strategy });
    await app.startAllMicroservices();
    const close = quickClose(app);
    await app.listen(settings.port, '127.0.0.1');
    return close;
  };
}
