/**
 * A user's application, compiled against the packed library for each major of Nest, once as a
 * CommonJS and once as an ES module. It prints where it listens and some tokens, and stops when its
 * standard input ends. Not part of the project's own compilation: matrix.spec.ts copies it.
 */
import 'reflect-metadata';
import { createServer, type AddressInfo } from 'node:net';
import { Controller, type DynamicModule, Get, Module, UseGuards } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  AuthContext,
  AuthplaneClient,
  AuthplaneError,
  AuthplaneGuard,
  AuthplaneModule,
  Claims,
  Public,
  Scopes,
  type VerifiedClaims,
} from 'authplane-nestjs';
import { AuthplaneError as CoreError } from 'authplane-nestjs/core';
import { startAuthorizationServer } from 'authplane-nestjs/testing';

@Controller()
@UseGuards(AuthplaneGuard)
class QueryController {
  constructor(
    private readonly caller: AuthContext,
    private readonly client: AuthplaneClient,
  ) {}

  @Get('query')
  @Scopes('tools/query')
  query(@Claims() claims: VerifiedClaims) {
    const same = this.caller.claims === claims && this.client instanceof AuthplaneClient;
    return { sub: claims.sub, scopes: claims.scopes, same };
  }

  @Get('health')
  @Public()
  health() {
    return { oneLibrary: AuthplaneError === CoreError };
  }
}

@Module({})
class AppModule {
  static with(settings: Record<string, string>): DynamicModule {
    return {
      module: AppModule,
      imports: [
        AuthplaneModule.forRootAsync({
          imports: [ConfigModule.forRoot({ ignoreEnvFile: true, load: [() => settings] })],
          inject: [ConfigService],
          useFactory: (config: ConfigService) => ({
            issuer: config.getOrThrow<string>('AUTHPLANE_ISSUER'),
            baseUrl: config.getOrThrow<string>('AUTHPLANE_BASE_URL'),
            scopes: ['tools/query'],
            devMode: true,
          }),
        }),
      ],
      controllers: [QueryController],
    };
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function main(platform: string | undefined): Promise<void> {
  const baseUrl = `http://127.0.0.1:${await freePort()}`;
  const resource = `${baseUrl}/mcp`;
  const server = await startAuthorizationServer();
  const app = await NestFactory.create(
    AppModule.with({ AUTHPLANE_ISSUER: server.issuer, AUTHPLANE_BASE_URL: baseUrl }),
    platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(),
    { logger: ['error', 'fatal'] },
  );
  await app.listen(new URL(baseUrl).port, '127.0.0.1');
  const tokens = {
    good: await server.issueToken({ aud: [resource], scope: 'tools/query' }),
    scopeless: await server.issueToken({ aud: [resource], scope: 'tools/list' }),
    foreign: await server.issueToken({ aud: [`${resource}/other`], scope: 'tools/query' }),
  };
  const loadedBy = typeof require === 'function' ? 'require' : 'import';
  console.log(JSON.stringify({ baseUrl, tokens, loadedBy }));
  process.stdin.resume().on('end', () => {
    void app.close().then(() => server.close());
  });
}

main(process.argv[2]).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
