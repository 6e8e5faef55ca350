/**
 * A user's application, compiled against the packed library for each major of Nest, once as a
 * CommonJS and once as an ES module. It prints where it listens and some tokens, and stops when its
 * standard input ends. Not part of the project's own compilation: matrix.spec.ts copies it.
 */
import 'reflect-metadata';
import { createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type DynamicModule,
  type ExceptionFilter,
  Get,
  HttpException,
  Module,
  Post,
  Req,
  Res,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
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
import { type PlatformReply, type PlatformRequest, serveMcp } from 'authplane-nestjs/mcp';
import { startAuthorizationServer } from 'authplane-nestjs/testing';

/** As an application may have it: whatever it can read goes to the client. */
@Catch()
class TellAllFilter implements ExceptionFilter<Error> {
  catch(error: Error, host: ArgumentsHost): void {
    const status = error instanceof HttpException ? error.getStatus() : 500;
    const response = error instanceof HttpException ? error.getResponse() : {};
    const reply = host.switchToHttp().getResponse<Reply>();
    reply.status(status).send({ message: error.message, response });
  }
}

interface Reply {
  status(code: number): { send(body: object): void };
}

@Controller()
@UseGuards(AuthplaneGuard)
class OutboundController {
  constructor(private readonly client: AuthplaneClient) {}

  @Get('call')
  call() {
    return this.client.clientCredentials({ scopes: ['tools/query'] });
  }

  @Get('filtered')
  @UseFilters(TellAllFilter)
  filtered() {
    return this.call();
  }

  @Post('mcp')
  serve(@Req() request: PlatformRequest, @Res() reply: PlatformReply) {
    return serveMcp(request, reply, async () => {
      await this.call();
      return () => Promise.resolve();
    });
  }
}

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
            asCredentials: { clientId: 'me', clientSecret: 'a secret of mine' },
          }),
        }),
      ],
      controllers: [QueryController, OutboundController],
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
  // A line on standard input is how the token endpoint answers from then on.
  createInterface(process.stdin).on('line', (line) => {
    server.fail('token', JSON.parse(line) as Parameters<typeof server.fail>[1]);
    console.log('ok');
  });
  process.stdin.on('end', () => {
    void app.close().then(() => server.close());
  });
}

main(process.argv[2]).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
