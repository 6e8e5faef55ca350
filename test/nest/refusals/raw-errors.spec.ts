import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  HttpException,
  Injectable,
  type ModuleMetadata,
  Scope,
  type Type,
  UseFilters,
} from '@nestjs/common';
import { APP_FILTER, ApplicationConfig } from '@nestjs/core';
import { AuthplaneModule, ConfigurationError, InsufficientScopeError } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';

const seen: unknown[] = [];

function answer(error: unknown, host: ArgumentsHost, by: string) {
  seen.push(error);
  const reply = host
    .switchToHttp()
    .getResponse<{ status(code: number): { send(body: unknown): void } }>();
  const status = error instanceof HttpException ? error.getStatus() : 500;
  reply.status(status).send(by);
}

@Catch()
class TakesAll implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost) {
    answer(error, host, 'takes all');
  }
}

@Catch(HttpException)
class TakesHttp implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost) {
    answer(error, host, 'takes HTTP');
  }
}

@Catch(TypeError)
class TakesTypes extends TakesAll {}

@Injectable({ scope: Scope.REQUEST })
@Catch()
class OfRequest extends TakesAll {}

@Controller()
class Open {
  @Get('scope')
  scope() {
    throw new InsufficientScopeError(['admin']);
  }

  @Get('fault')
  fault() {
    throw new ConfigurationError('a fault of the application');
  }
}

@Controller('filtered')
@UseFilters(TakesAll)
class Filtered extends Open {}

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

describe.each(platforms)(
  'errors of handlers come to filters as their public answer, on %s',
  (platform) => {
    let running: RunningApp | undefined;
    afterEach(async () => {
      seen.length = 0;
      await running?.close();
    });

    const start = async (
      { filters = [], ...metadata }: ModuleMetadata & { filters?: ExceptionFilter[] },
      extras: { filter?: boolean } = {},
    ) => {
      const { issuer } = authorizationServer;
      const options = { issuer, resource: RESOURCE, devMode: true, selfCheck: false, ...extras };
      running = await startApp(
        { imports: [AuthplaneModule.forRoot(options)], ...metadata },
        { platform, configure: (app) => app.useGlobalFilters(...filters) },
      );
      return running.app.get(ApplicationConfig).getGlobalInterceptors().length;
    };
    const get = async (path: string) => {
      const response = await fetch(`${running?.url}/${path}`);
      return {
        status: response.status,
        text: await response.text(),
        challenge: response.headers.get('www-authenticate'),
      };
    };

    test('13.1: no interceptor where ours is asked first; a fault goes on to the next', async () => {
      const filters = [new TakesAll(), new TakesHttp(), new TakesTypes()];
      expect(await start({ controllers: [Open], filters })).toBe(0);
      expect(await get('scope')).toMatchObject({
        status: 403,
        challenge: expect.stringContaining('admin'),
      });
      expect(seen).toEqual([]);
      expect(await get('fault')).toMatchObject({ status: 500, text: 'takes HTTP' });
      expect(seen).toEqual([expect.any(HttpException)]);
      expect(String(seen)).not.toContain('fault of');
    });

    test('13.1: without another filter Nest answers', async () => {
      expect(await start({ controllers: [Open] })).toBe(0);
      expect(await get('fault')).toMatchObject({ status: 500, text: '{"error":"internal_error"}' });
    });

    test.each<[string, ModuleMetadata, { filter?: boolean }, string]>([
      ['of a class', { controllers: [Filtered as Type] }, {}, 'filtered/scope'],
      [
        'of each request',
        { controllers: [Open], providers: [{ provide: APP_FILTER, useClass: OfRequest }] },
        {},
        'scope',
      ],
      [
        'alone',
        { controllers: [Open], providers: [{ provide: APP_FILTER, useClass: TakesAll }] },
        { filter: false },
        'scope',
      ],
    ])(
      '13.1: a filter %s is asked before ours, with the interceptor',
      async (_, metadata, extras, path) => {
        expect(await start(metadata, extras)).toBe(1);
        expect(await get(path)).toMatchObject({
          status: 403,
          challenge: expect.stringContaining('admin'),
        });
        if (seen.length > 0) expect(seen).toEqual([expect.any(HttpException)]);
      },
    );
  },
);
