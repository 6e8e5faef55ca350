import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  HttpException,
  Injectable,
  type INestApplication,
  type ModuleMetadata,
  Scope,
  UseFilters,
} from '@nestjs/common';
import { APP_FILTER, BaseExceptionFilter } from '@nestjs/core';
import {
  AuthContext,
  AuthplaneModule,
  type AuthplaneModuleExtras,
  ConsentRequiredError,
  InsufficientScopeError,
  InvalidClientError,
  JWKSFetchError,
  Public,
  Scopes,
  TokenMissingError,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { toChallenge } from '../../../src/core/challenge.js';
import { AuthplaneHttpException, httpRefusal } from '../../../src/nest/refusals/http-refusal.js';
import { platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';
const INTERNAL = 'INTERNAL-TEXT';

interface AnyReply {
  status(code: number): { send(body: unknown): void };
}

function send(host: ArgumentsHost, status: number, body: object): void {
  host.switchToHttp().getResponse<AnyReply>().status(status).send(body);
}

/** As documentation and applications have it: everything that can be read goes to the client. */
@Catch()
class TellAllFilter implements ExceptionFilter<Error> {
  catch(error: Error, host: ArgumentsHost): void {
    const status = error instanceof HttpException ? error.getStatus() : 500;
    const response = error instanceof HttpException ? error.getResponse() : {};
    const { message } = error;
    send(host, status, { message, response, all: { ...error }, json: JSON.stringify(error) });
  }
}

/** Reads the members that HTTP errors of several libraries have. */
@Catch()
class DuckFilter implements ExceptionFilter<Record<string, unknown>> {
  catch(error: Record<string, unknown>, host: ArgumentsHost): void {
    const status = Number(error['status'] ?? error['statusCode'] ?? 500);
    const { message, response, description } = error;
    send(host, status, { message, response, description });
  }
}

@Catch()
class ForwardingFilter extends BaseExceptionFilter {}

@Catch(InsufficientScopeError)
class ScopeFilter implements ExceptionFilter<InsufficientScopeError> {
  catch(error: InsufficientScopeError, host: ArgumentsHost): void {
    send(host, 418, { needs: error.requiredScopes, code: error.code, granted: String(error) });
  }
}

@Catch(ConsentRequiredError)
class ConsentFilter implements ExceptionFilter<ConsentRequiredError> {
  catch(error: ConsentRequiredError, host: ArgumentsHost): void {
    send(host, 418, { page: error.consentUrl, service: error.serviceId });
  }
}

const refusedByServer = { statusCode: 401, error: 'invalid_client', description: INTERNAL };

function controllerWith(...decorators: ClassDecorator[]) {
  @Controller('things')
  class Things {
    constructor(private readonly caller: AuthContext) {}

    @Get()
    list() {
      return [];
    }

    @Get('admin')
    @Scopes('admin')
    admin() {
      return [];
    }

    @Get('late')
    late() {
      this.caller.requireScope('late');
    }

    @Get('client')
    @Public()
    client() {
      throw new InvalidClientError(INTERNAL, refusedByServer);
    }

    @Get('down')
    @Public()
    down() {
      throw new JWKSFetchError(INTERNAL, { retryAfterSeconds: 9 });
    }

    @Get('consent')
    @Public()
    consent() {
      throw new ConsentRequiredError(INTERNAL, {
        ...refusedByServer,
        consentUrl: 'https://x.example.com/',
        serviceId: 'calendar',
      });
    }
  }
  for (const decorate of decorators) decorate(Things);
  return Things;
}

interface Setup {
  readonly decorators?: ClassDecorator[];
  readonly extras?: AuthplaneModuleExtras;
  readonly metadata?: ModuleMetadata;
  readonly configure?: (app: INestApplication) => void;
}

const REQUEST_SCOPED = { provide: APP_FILTER, useClass: TellAllFilter, scope: Scope.REQUEST };

const SETUPS: readonly (readonly [string, Setup])[] = [
  ['a catch-all filter on the controller', { decorators: [UseFilters(TellAllFilter)] }],
  ['a filter that reads any error on the controller', { decorators: [UseFilters(DuckFilter)] }],
  [
    'a filter on the controller that hands on to Nest',
    { decorators: [UseFilters(ForwardingFilter)] },
  ],
  ['a filter for HttpException only', { decorators: [UseFilters(catching(HttpException))] }],
  ['filter: false', { extras: { filter: false } }],
  [
    'filter: false and a catch-all filter',
    { extras: { filter: false }, configure: (app) => app.useGlobalFilters(new TellAllFilter()) },
  ],
  ['10.14d: a request-scoped APP_FILTER', { metadata: { providers: [REQUEST_SCOPED] } }],
  [
    'useGlobalFilters with a catch-all filter',
    { configure: (app) => app.useGlobalFilters(new TellAllFilter()) },
  ],
];

function catching(type: typeof HttpException) {
  @Catch(type)
  @Injectable()
  class OneKindFilter extends TellAllFilter {}
  return OneKindFilter;
}

describe.each(platforms)(
  '9.17: what filters of the application make of a refusal, on %s',
  (platform) => {
    let authorizationServer: StandInAuthorizationServer;
    beforeAll(async () => {
      authorizationServer = await startAuthorizationServer();
    });
    afterAll(() => authorizationServer.close());

    const start = ({ decorators = [], extras = {}, metadata = {}, configure }: Setup) =>
      startApp(
        {
          imports: [
            AuthplaneModule.forRoot({
              issuer: authorizationServer.issuer,
              resource: RESOURCE,
              devMode: true,
              guard: 'global',
              ...extras,
            }),
          ],
          controllers: [controllerWith(...decorators)],
          ...metadata,
        },
        { platform, ...(configure === undefined ? {} : { configure }) },
      );

    const bearer = async (claims: Record<string, unknown>) => ({
      authorization: `Bearer ${await authorizationServer.issueToken({ scope: '', ...claims })}`,
    });

    describe.each(SETUPS)('%s', (_name, setup) => {
      let app: RunningApp;
      beforeAll(async () => {
        app = await start(setup);
      });
      afterAll(() => app.close());

      const get = async (path: string, headers: Record<string, string> = {}) => {
        const response = await fetch(`${app.url}/things${path}`, { headers });
        const { status, headers: received } = response;
        return { status, received, text: await response.text() };
      };

      it('keeps 401 and the challenge', async () => {
        const { status, received, text } = await get('');
        expect(status).toBe(401);
        expect(received.get('www-authenticate')).toContain('resource_metadata=');
        expect(received.get('cache-control')).toBe('no-store');
        expect(text).toContain('An access token is required');
      });

      it('tells nothing of why a token is refused', async () => {
        const foreign = await bearer({ aud: ['https://other.example.com/secret'] });
        const { status, received, text } = await get('', foreign);
        expect(status).toBe(401);
        expect(received.get('www-authenticate')).toContain('error="invalid_token"');
        expect(text).not.toMatch(/other\.example\.com|register/);
      });

      it.each([
        ['/admin', 'admin'],
        ['/late', 'late'],
      ])('keeps 403 with the scopes that are needed: %s', async (path, scope) => {
        const { status, received, text } = await get(path, await bearer({ aud: [RESOURCE] }));
        expect(status).toBe(403);
        expect(received.get('www-authenticate')).toContain(
          `error="insufficient_scope", scope="${scope}"`,
        );
        expect(text).toContain('insufficient_scope');
      });

      it('keeps 503 and Retry-After', async () => {
        const { status, received, text } = await get('/down');
        expect(status).toBe(503);
        expect(received.get('retry-after')).toBe('9');
        expect(text).not.toContain(INTERNAL);
      });

      it('9.16: knows nothing of what the authorization server said', async () => {
        const { status, received, text } = await get('/client');
        expect(status).toBe(500);
        expect(received.get('www-authenticate')).toBeNull();
        expect(text).toContain('internal_error');
        expect(text).not.toMatch(/INTERNAL-TEXT|invalid_client|401/);
      });
    });

    it.each([
      ['on the controller', { decorators: [UseFilters(ScopeFilter, ConsentFilter)] }],
      [
        'of the application',
        {
          extras: { filter: false },
          configure: (app) => app.useGlobalFilters(new ScopeFilter(), new ConsentFilter()),
        },
      ],
    ] satisfies [string, Setup][])(
      'filters for one class %s still find it',
      async (_name, setup) => {
        const app = await start(setup);
        const headers = await bearer({ aud: [RESOURCE], scope: 'secret:scope' });
        for (const [path, scope] of [
          ['admin', 'admin'],
          ['late', 'late'],
        ]) {
          const response = await fetch(`${app.url}/things/${path}`, { headers });
          expect(response.status).toBe(418);
          const text = await response.text();
          expect(JSON.parse(text)).toMatchObject({ needs: [scope], code: 'insufficient_scope' });
          expect(text).not.toContain('secret:scope');
        }
        const consent = await fetch(`${app.url}/things/consent`);
        expect(await consent.json()).toEqual({
          page: 'https://x.example.com/',
          service: 'calendar',
        });
        await app.close();
      },
    );
  },
);

describe('AuthplaneHttpException', () => {
  const reason = new InvalidClientError(INTERNAL, refusedByServer);
  const exception = new AuthplaneHttpException(reason, 'public', toChallenge(reason));

  it('shows nothing of the reason but to those who ask for it', () => {
    expect(exception.cause).toBe(reason);
    expect(exception).toBeInstanceOf(InvalidClientError);
    expect(JSON.stringify({ ...exception })).not.toMatch(/INTERNAL-TEXT|invalid_client|401/);
    expect(exception.stack).not.toContain(INTERNAL);
    expect(Reflect.get(exception, 'statusCode')).toBeUndefined();
    expect(Reflect.get(exception, 'description')).toBeUndefined();
  });

  it('is answered like the reason by whoever asks the core', () => {
    const denied = new InsufficientScopeError(['a']);
    const standing = new AuthplaneHttpException(denied, 'public', toChallenge(denied));
    expect(toChallenge(standing)).toEqual(toChallenge(denied));
    expect(standing).toMatchObject({ requiredScopes: ['a'], code: 'insufficient_scope' });
  });
});

test('13.2: an answer has no stack of its own, and the errors of others keep theirs', () => {
  const error = new TokenMissingError();
  const { stackTraceLimit } = Error;
  const answer = httpRefusal(error, 'A sentence', { status: 401, headers: {}, body: {} });
  expect(answer.stack?.split('\n')).toHaveLength(1);
  expect((answer.cause as Error).stack).toContain('http-refusal.spec');
  expect(Error.stackTraceLimit).toBe(stackTraceLimit);
});
