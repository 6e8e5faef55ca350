import { afterEach, describe, expect, it } from 'vitest';
import { CacheInterceptor, CacheModule } from '@nestjs/cache-manager';
import {
  Controller,
  type ExecutionContext,
  Get,
  Header,
  Injectable,
  type ModuleMetadata,
  Sse,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import {
  AuthplaneModule,
  type AuthplaneModuleOptions,
  Claims,
  Public,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { interval, map } from 'rxjs';
import { cacheWarnings } from '../../src/nest/boot/cache-checks.js';
import { readFileSync } from 'node:fs';
import { CallerCacheInterceptor } from '../support/nest/caller-cache.js';
import { platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

const RESOURCE = 'https://api.example.com/mcp';

@Controller()
class AnswersController {
  @Get('plain')
  plain() {
    return { a: 1 };
  }

  @Get('open')
  @Public()
  open() {
    return { a: 1 };
  }

  @Get('said')
  @Header('Cache-Control', 'public, max-age=60')
  @Header('Vary', 'Accept')
  said() {
    return { a: 1 };
  }

  @Sse('events')
  events() {
    return interval(20).pipe(map((data) => ({ data: String(data) })));
  }
}

let authorizationServer: StandInAuthorizationServer | undefined;
let running: RunningApp | undefined;
afterEach(async () => {
  await running?.close();
  await authorizationServer?.close();
  running = undefined;
});

describe.each(platforms)('guarded answers on %s', (platform) => {
  async function start(
    options: Partial<AuthplaneModuleOptions> = {},
    cors = false,
    { imports = [], controllers = [] }: ModuleMetadata = {},
  ) {
    authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    const module = AuthplaneModule.forRoot({
      issuer,
      resource: RESOURCE,
      devMode: true,
      guard: 'global',
      ...options,
    });
    running = await startApp(
      {
        imports: [module, ...imports],
        controllers: [AnswersController, ...controllers],
      },
      { platform, configure: (app) => cors && app.enableCors({ origin: ['https://a.example'] }) },
    );
  }

  const get = async (path: string, claims: object = {}) => {
    const token = await authorizationServer!.issueToken({ aud: [RESOURCE], ...claims });
    const headers = { authorization: `Bearer ${token}`, origin: 'https://a.example' };
    return fetch(`${running!.url}/${path}`, { headers });
  };
  const caching = ({ headers }: Response) => [headers.get('cache-control'), headers.get('vary')];

  it('9.9f: are kept from shared caches, unless the handler says otherwise', async () => {
    await start();
    expect(caching(await get('plain'))).toEqual(['private', 'Authorization']);
    expect(caching(await get('open'))).toEqual([null, null]);
    expect(caching(await get('said'))).toEqual(['public, max-age=60', 'Accept']);
  });

  it('10.23: RFC 9449 §8.2: beside a nonce they are not stored, unless the handler says otherwise', async () => {
    await start({ inboundDPoP: { nonce: true } });
    const key = await generateDPoPKey();
    const bound = { aud: [RESOURCE], cnf: { jkt: key.thumbprint } };
    const token = await authorizationServer!.issueToken(bound);
    let nonce: string | undefined;
    const ask = async (path: string) => {
      const request = { method: 'GET', url: `https://api.example.com/${path}`, accessToken: token };
      const proof = dpopProof(key, nonce === undefined ? request : { ...request, nonce });
      const headers = { authorization: `DPoP ${token}`, dpop: proof };
      const response = await fetch(`${running!.url}/${path}`, { headers });
      nonce = response.headers.get('dpop-nonce') ?? undefined;
      return [response.status, nonce !== undefined, response.headers.get('cache-control')];
    };
    expect(await ask('plain')).toEqual([401, true, 'no-store']);
    expect(await ask('plain')).toEqual([200, true, 'no-store']);
    expect(await ask('said')).toEqual([200, true, 'public, max-age=60']);
  });

  it('9.9f: what CORS says of Vary stays', async () => {
    await start({}, true);
    expect((await get('plain')).headers.get('vary')).toMatch(/^Origin, Authorization$/i);
  });

  it('9.9f: @Sse ends with its token', async () => {
    await start({ clockSkewSeconds: 0 });
    const exp = Math.ceil(Date.now() / 1000) + 1;
    const stream = await get('events', { exp });
    expect(await stream.text()).toContain('data: 1');
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(exp);
  });

  it('9.9f: with the trackBy of the docs nobody gets the answer for another caller', async () => {
    let runs = 0;
    @Controller('cached')
    @UseInterceptors(CallerCacheInterceptor)
    class CachedController {
      @Get()
      mine(@Claims() { sub }: VerifiedClaims) {
        return `${sub} ${++runs}`;
      }

      @Get('open')
      @Public()
      open() {
        return `anybody ${++runs}`;
      }
    }
    await start({ scopes: ['a', 'b'] }, false, {
      imports: [CacheModule.register({ ttl: 60_000 })],
      controllers: [CachedController],
    });
    const answers = async (path: string, ...callers: object[]) => {
      const texts = [];
      for (const claims of callers) texts.push(await (await get(path, claims)).text());
      return texts;
    };
    const [alice, bob] = [{ sub: 'alice' }, { sub: 'bob' }];
    expect(await answers('cached', alice, bob, alice, bob)).toEqual([
      ...['alice 1', 'bob 2', 'alice 1', 'bob 2'],
    ]);
    const narrow = { ...alice, scope: 'a' };
    const otherClient = { ...alice, client_id: 'other' };
    expect(await answers('cached', narrow, otherClient, narrow)).toEqual([
      ...['alice 3', 'alice 4', 'alice 3'],
    ]);
    expect(await answers('cached/open', alice, bob)).toEqual(['anybody 5', 'anybody 5']);
    const page = readFileSync('docs/caller.md', 'utf8');
    const shown = readFileSync('test/support/nest/caller-cache.ts', 'utf8').trim();
    expect(page).toContain(`\`\`\`ts\n${shown}\n`);
  });

  it('10.11b: @Sse ends when the application stops', async () => {
    await start();
    const stream = await get('events');
    const reading = stream.text();
    await running?.close();
    running = undefined;
    expect(await reading).not.toContain('error');
  });
});

describe('cacheWarnings', () => {
  @Injectable()
  class PerCaller extends CacheInterceptor {
    override trackBy(context: ExecutionContext): string | undefined {
      return `${context.getClass().name}`;
    }
  }
  class Named extends CacheInterceptor {}

  class Plain {
    get() {}
  }
  class Marked {
    get() {}
  }
  UseInterceptors(Named)(Marked);
  class Careful {
    get() {}
  }
  UseInterceptors(PerCaller)(Careful);
  class OnMethod {
    @UseInterceptors(CacheInterceptor)
    get() {}
  }
  const routes = [Plain, Marked, Careful, OnMethod].map((controller) => ({
    controller,
    name: 'get',
    handler: controller.prototype.get,
  }));
  const named = (warnings: string[]) => warnings.map((text) => text.split(' ')[0]);

  it('9.9f: names the routes behind an interceptor that knows no caller', () => {
    expect(named(cacheWarnings(routes, []))).toEqual(['Marked.get', 'OnMethod.get']);
    expect(cacheWarnings(routes, [CacheInterceptor])).toHaveLength(4);
    expect(
      cacheWarnings(routes, [PerCaller, Object.create(PerCaller.prototype), null, 'x']),
    ).toEqual(cacheWarnings(routes, []));
  });

  it('9.9f: the module says so at the start, and of public routes nothing', async () => {
    authorizationServer = await startAuthorizationServer();
    const lines: string[] = [];
    const module = AuthplaneModule.forRoot({
      issuer: authorizationServer.issuer,
      resource: RESOURCE,
      devMode: true,
      guard: 'global',
    });
    running = await startApp(
      {
        imports: [module, CacheModule.register()],
        controllers: [AnswersController],
        providers: [{ provide: APP_INTERCEPTOR, useClass: CacheInterceptor }],
      },
      {
        platform: 'fastify',
        configure: (app) =>
          app.useLogger({ log() {}, error() {}, warn: (text: string) => lines.push(text) }),
      },
    );
    const warned = named(lines.filter((line) => line.includes('CacheInterceptor')));
    expect(warned).toEqual(['plain', 'said', 'events'].map((name) => `AnswersController.${name}`));
  });
});
