import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  Controller,
  Get,
  type INestApplication,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type ModuleMetadata,
  type NestMiddleware,
  Req,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { AuthContext, AuthplaneMiddleware, AuthplaneModule } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { allCheckedMethods } from '../../../src/nest/context/method-check.js';
import { requests } from '../../../src/nest/http/request.js';
import { type Platform, platforms, quickClose } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';
const DOCUMENT = '/.well-known/oauth-protected-resource/api';

/** Where Fastify keeps what a route has. */
const CONTEXT = 'fastify.context';

@Controller()
class Open {
  /** How many of each kind the route has on Fastify. */
  hooks: Record<string, number> = {};

  @Get('open')
  open(@Req() request: { readonly raw?: { readonly originalUrl?: string } }) {
    const key = Object.getOwnPropertySymbols(request).find((one) => one.description === CONTEXT);
    const context = (key === undefined ? {} : Reflect.get(request, key)) as object;
    const lists = Object.entries(context).filter(([name]) => /^on|^pre/.test(name));
    this.hooks = Object.fromEntries(lists.map(([name, list]) => [name, sizeOf(list)]));
    return { described: request.raw?.originalUrl ?? null };
  }
}

function sizeOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0;
}

/** What requests run in when the middleware of a module gets them. */
const seen: unknown[] = [];

@Injectable()
class Asking implements NestMiddleware {
  constructor(private readonly caller: AuthContext) {}

  use(_request: unknown, _response: unknown, next: () => void) {
    void this.caller;
    seen.push(requests.getStore());
    next();
  }
}

@Injectable()
class Taking {
  constructor(readonly middleware: AuthplaneMiddleware) {}
}

interface Answering {
  writeHead(status: number): { end(text?: string): unknown };
}
const refuse = (_request: unknown, response: Answering) => {
  response.writeHead(418).end('refused');
};

/** Of other specs: a class with scopes may ask for its caller, whichever application it belongs to. */
const others = [...allCheckedMethods()];
beforeAll(() => others.forEach((one) => allCheckedMethods().delete(one)));
afterAll(() => others.forEach((one) => allCheckedMethods().add(one)));

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

let running: INestApplication | undefined;
afterEach(async () => {
  await (running && quickClose(running)());
  running = undefined;
});

interface Setup extends Pick<ModuleMetadata, 'providers'> {
  readonly isBare?: boolean;
  /** Of a module. */
  readonly middleware?: unknown;
  readonly afterCreation?: (app: INestApplication) => void;
  readonly afterInit?: (app: INestApplication) => void;
}

/** As applications are started, which their tests are not: hooks of the platform come in that order. */
async function start(platform: Platform, setup: Setup = {}) {
  const { isBare = false, middleware, providers = [] } = setup;
  const { issuer } = authorizationServer;
  const module = AuthplaneModule.forRoot({
    issuer,
    resource: RESOURCE,
    mcp: false,
    devMode: true,
    selfCheck: false,
  });
  @Module({ imports: isBare ? [] : [module], controllers: [Open], providers })
  class Application {
    configure(consumer: MiddlewareConsumer) {
      if (middleware !== undefined) consumer.apply(middleware as never).forRoutes('*path');
    }
  }
  const adapter = platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
  const hooks = vi.fn();
  if (platform === 'fastify') watchHooks(adapter as FastifyAdapter, hooks);
  const app = await NestFactory.create(Application, adapter as never, { logger: false });
  running = app;
  setup.afterCreation?.(app);
  await app.init();
  setup.afterInit?.(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  return {
    app,
    /** Their names, in the order in which they were added. */
    hooks: () => hooks.mock.calls.map(([name]) => name as string),
    get: async (path: string) => {
      const response = await fetch(url + path);
      return { status: response.status, text: await response.text() };
    },
  };
}

function watchHooks(adapter: FastifyAdapter, seen: (name: string) => void): void {
  const fastify = adapter.getInstance();
  const addHook = fastify.addHook.bind(fastify) as (...args: unknown[]) => unknown;
  Object.assign(fastify, {
    addHook: (...args: [string]) => {
      seen(args[0]);
      return addHook(...args);
    },
  });
}

/** Of Express 5: what each request goes through. */
function layersOf(app: INestApplication) {
  const { router } = app.getHttpAdapter().getInstance() as {
    readonly router: { readonly stack: { readonly route?: { readonly path: unknown } }[] };
  };
  return router.stack.map(({ route }) => String(route?.path ?? 'middleware'));
}

async function stop() {
  await running?.close();
  running = undefined;
}

describe('13.1: what an open route runs besides its own', () => {
  test('13.1: on Fastify nothing, neither a hook nor middleware', async () => {
    const bare = await start('fastify', { isBare: true });
    const expected = bare.hooks();
    await stop();
    const { hooks, get } = await start('fastify');
    const added = [...hooks()];
    for (const name of expected) added.splice(added.indexOf(name), 1);
    expect(added).toEqual(['onRoute']); // where routes are made
    expect(await get('/open')).toEqual({ status: 200, text: '{"described":null}' });
    expect(await get(DOCUMENT)).toMatchObject({ status: 200 });
  });

  test('13.1: on Fastify its context has the hooks that it has without the module', async () => {
    const hooksOf = async (isBare: boolean) => {
      const { get, app } = await start('fastify', { isBare });
      await get('/open');
      const { hooks } = app.get(Open);
      await stop();
      return hooks;
    };
    const hooks = await hooksOf(true);
    expect(hooks).toMatchObject({ onRequest: expect.any(Number) as number });
    expect(await hooksOf(false)).toEqual(hooks);
  });

  test('13.1: on Express nothing: the document is a route behind it', async () => {
    const bare = layersOf((await start('express', { isBare: true })).app);
    await stop();
    const { app, get } = await start('express');
    const added = layersOf(app).filter((path) => path !== 'middleware');
    expect(added).toEqual(['/open', '/^\\/\\.well-known\\/oauth-protected-resource/']);
    expect(layersOf(app)).toHaveLength(bare.length + 1);
    expect(await get('/open')).toMatchObject({ status: 200 });
    expect(await get(DOCUMENT)).toMatchObject({ status: 200 });
    expect(await get(`${DOCUMENT}/x`)).toMatchObject({ status: 404 });
  });

  test.each<[string, Setup]>([
    ['middleware of a module that asks for the caller', { middleware: Asking }],
    ['AuthplaneMiddleware of a module', { middleware: AuthplaneMiddleware }],
    ['AuthplaneMiddleware injected', { providers: [Taking] }],
    [
      'AuthplaneMiddleware taken before the start',
      { afterCreation: (app) => app.get(AuthplaneMiddleware) },
    ],
    [
      'AuthplaneMiddleware taken after the start',
      { afterInit: (app) => app.get(AuthplaneMiddleware) },
    ],
  ])('13.1: on Fastify requests are entered behind the body for %s', async (_, setup) => {
    const { hooks } = await start('fastify', setup);
    expect(hooks().filter((name) => name === 'preValidation')).toHaveLength(1);
  });

  test('13.1: on Express they are for middleware of a module that asks, in front of it', async () => {
    const { get } = await start('express', { middleware: Asking });
    expect(await get('/open')).toMatchObject({ status: 200 });
    expect(seen.splice(0)).toEqual([expect.objectContaining({})]);
  });
});

describe.each(platforms)('the metadata document on %s', (platform) => {
  test('stands in front of the middleware of modules', async () => {
    const { get } = await start(platform, { middleware: refuse });
    expect(await get('/open')).toMatchObject({ status: 418 });
    expect(await get(DOCUMENT)).toMatchObject({ status: 200 });
  });

  test('stands behind middleware that was there before', async () => {
    const { get } = await start(platform, { afterCreation: (app) => app.use(refuse) });
    expect(await get(DOCUMENT)).toMatchObject({ status: 418 });
  });
});

describe('the metadata document on Fastify', () => {
  test('stands in front of middleware that is added when all routes are there', async () => {
    const { get } = await start('fastify', { afterInit: (app) => app.use(refuse) });
    expect(await get('/nowhere')).toMatchObject({ status: 418 });
    expect(await get(DOCUMENT)).toMatchObject({ status: 200 });
  });

  test('stands in front of hooks of the application', async () => {
    const { get } = await start('fastify', {
      afterCreation: (app) => {
        const adapter = app.getHttpAdapter() as unknown as FastifyAdapter;
        adapter.getInstance().addHook('onRequest', (_request, reply) => {
          void reply.code(418).send('refused');
        });
      },
    });
    expect(await get('/open')).toMatchObject({ status: 418 });
    expect(await get(DOCUMENT)).toMatchObject({ status: 200 });
  });
});
