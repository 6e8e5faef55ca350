/**
 * An application whose MCP endpoint, a controller, has only the middleware in front of it. Prints the statuses of its path
 * in two spellings without a token, or what the boot says of it.
 */
import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { Controller, type MiddlewareConsumer, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { AuthplaneMiddleware, AuthplaneModule, ConfigurationError } from 'authplane-nestjs';
import { startAuthorizationServer } from 'authplane-nestjs/testing';

@Controller()
class McpController {
  @Post('mcp')
  serve() {
    return {};
  }
}

async function main(platform: string | undefined): Promise<string> {
  const server = await startAuthorizationServer();
  @Module({
    imports: [
      AuthplaneModule.forRoot({
        issuer: server.issuer,
        baseUrl: 'http://127.0.0.1:9',
        scopes: ['tools/query'],
        devMode: true,
        mcp: { tools: { query: ['tools/query'] } },
      }),
    ],
    controllers: [McpController],
  })
  class AppModule {
    configure(consumer: MiddlewareConsumer): void {
      consumer.apply(AuthplaneMiddleware).forRoutes('mcp');
    }
  }
  const app = await NestFactory.create(
    AppModule,
    platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(),
    { logger: false, abortOnError: false },
  );
  try {
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    const statuses = ['mcp', '%6dcp'].map(async (path) => {
      const response = await fetch(`http://127.0.0.1:${port}/${path}`, { method: 'POST' });
      return response.status;
    });
    return (await Promise.all(statuses)).join(' ');
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return (
      /an MCP endpoint that no AuthplaneGuard protects/.exec(error.message)?.[0] ?? error.message
    );
  } finally {
    await app.close();
    await server.close();
  }
}

main(process.argv[2]).then(console.log, (error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
