import { afterAll, afterEach, beforeAll, describe, expect, vi, test } from 'vitest';
import {
  Controller,
  Get,
  type INestApplication,
  Injectable,
  type ModuleMetadata,
  Param,
  Sse,
  UseGuards,
} from '@nestjs/common';
import { ApplicationConfig, ModuleRef } from '@nestjs/core';
import {
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  Claims,
  Scopes,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { of } from 'rxjs';
import { allCheckedMethods } from '../../../src/nest/context/method-check.js';
import { requests } from '../../../src/nest/http/request.js';
import {
  type Platform,
  platforms,
  type RunningApp,
  startApp,
} from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';

@Controller()
class Plain {
  @Get('open')
  open() {
    return 'open ran';
  }

  @Get('things/:id')
  @UseGuards(AuthplaneGuard)
  @Scopes('read')
  read(@Param('id') id: string, @Claims() claims: VerifiedClaims) {
    return `${id} of ${claims.sub}`;
  }
}

@Controller('asking')
class Asking {
  constructor(private readonly caller: AuthContext) {}

  @Get()
  @UseGuards(AuthplaneGuard)
  async who() {
    await new Promise((resolve) => setImmediate(resolve));
    return this.caller.claims.sub;
  }

  @Get('nobody')
  nobody() {
    return String(this.caller.current);
  }
}

@Controller('streaming')
class Streaming {
  @Sse()
  stream() {
    return of({ data: 'one' });
  }
}

@Injectable()
class Finding {
  constructor(readonly moduleRef: ModuleRef) {}
}

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

let running: RunningApp | undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  await running?.close();
  running = undefined;
});

async function start(
  platform: Platform,
  metadata: Pick<ModuleMetadata, 'controllers' | 'providers'>,
  configure?: (app: INestApplication) => void,
) {
  const { issuer } = authorizationServer;
  const module = AuthplaneModule.forRoot({ issuer, resource: RESOURCE, devMode: true });
  running = await startApp(
    { imports: [module], ...metadata },
    { platform, ...(configure && { configure }) },
  );
  return running;
}

async function get(path: string, scope = 'read') {
  const token = await authorizationServer.issueToken({ aud: [RESOURCE], scope, sub: 'alice' });
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${running?.url}/${path}`, { headers });
  return { status: response.status, text: await response.text() };
}

describe.each(platforms)('13.1: on %s', (platform) => {
  // What another application of this process has marked may ask, too.
  const others = [...allCheckedMethods()].filter((one) => one.prototype !== Plain.prototype);
  beforeAll(() => others.forEach((one) => allCheckedMethods().delete(one)));
  afterAll(() => others.forEach((one) => allCheckedMethods().add(one)));

  test('13.1: where nobody asks, no interceptor runs and no asynchronous context is made', async () => {
    const { app } = await start(platform, { controllers: [Plain, Streaming] });
    const entered = vi.spyOn(requests, 'run');
    expect(await get('open')).toEqual({ status: 200, text: 'open ran' });
    expect(await get('things/7')).toEqual({ status: 200, text: '7 of alice' });
    expect(await get('things/7', 'other')).toMatchObject({ status: 403 });
    expect(entered).not.toHaveBeenCalled();
    expect(app.get(ApplicationConfig).getGlobalInterceptors()).toEqual([]);
  });
});

describe.each(platforms)('13.1: who is carried along, on %s', (platform) => {
  test('13.1: where somebody asks, the caller is there, and on open routes nobody', async () => {
    const { app } = await start(platform, { controllers: [Plain, Asking] });
    expect(await get('asking')).toEqual({ status: 200, text: 'alice' });
    expect(await get('asking/nobody')).toEqual({ status: 200, text: 'undefined' });
    expect(await get('things/7')).toEqual({ status: 200, text: '7 of alice' });
    expect(app.get(ApplicationConfig).getGlobalInterceptors()).toEqual([]);
  });

  test('13.1: streams that a socket ends have the interceptor, but only then', async () => {
    const { app } = await start(platform, { controllers: [Asking, Streaming] });
    expect(app.get(ApplicationConfig).getGlobalInterceptors()).toHaveLength(1);
  });

  test('13.1: whoever can look for it later may ask', async () => {
    await start(platform, { controllers: [Plain], providers: [Finding] });
    const entered = vi.spyOn(requests, 'run');
    expect(await get('open')).toMatchObject({ status: 200 });
    expect(entered).toHaveBeenCalled();
  });

  test.each(['before', 'after'])('13.1: app.get(AuthContext) %s the start', async (when) => {
    let context: AuthContext | undefined;
    const take = (app: INestApplication) => {
      context = app.get(AuthContext);
    };
    const seen: unknown[] = [];
    @Controller('late')
    class Late {
      @Get()
      @UseGuards(AuthplaneGuard)
      get() {
        seen.push(context?.current?.claims.sub);
      }
    }
    const { app } = await start(
      platform,
      { controllers: [Late] },
      when === 'before' ? take : undefined,
    );
    if (when === 'after') take(app);
    expect(await get('late')).toMatchObject({ status: 200 });
    expect(seen).toEqual(['alice']);
  });
});
