import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { request as send } from 'node:http';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Body, Controller, Get, Post, type Type, UseGuards } from '@nestjs/common';
import {
  AuthplaneGuard,
  AuthplaneModule,
  type AuthplaneModuleExtras,
  type AuthplaneModuleOptions,
  AuthplaneResource,
  Claims,
  Public,
  Scopes,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

const BASE = 'http://127.0.0.1:3000';
const RESOURCE = `${BASE}/mcp`;
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'query' } };

@Controller()
@UseGuards(AuthplaneGuard)
class Endpoint {
  @Post('mcp')
  @Scopes('use')
  call(@Body() body: unknown, @Claims() claims: VerifiedClaims) {
    return { sub: claims.sub, body };
  }
}

@Controller()
class Other {
  @Post('other')
  @UseGuards(AuthplaneGuard)
  other() {
    return 'other ran';
  }
}

class Lenient extends AuthplaneGuard {
  override canActivate() {
    return true;
  }
}

@Controller()
@UseGuards(Lenient)
class LenientEndpoint {
  @Post('mcp')
  call() {
    return 'ran';
  }
}

@Controller()
class PartlyOpen {
  @Post('mcp')
  @UseGuards(AuthplaneGuard)
  call() {
    return 'ran';
  }

  @Get('mcp')
  @Public()
  page() {
    return 'a page';
  }
}

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

describe.each(platforms)('13.6: earlyRefusal on %s', (platform) => {
  let running: RunningApp;
  afterEach(async () => {
    vi.restoreAllMocks();
    await running.close();
  });

  const start = async (
    controllers: Type[] = [Endpoint, Other],
    options: Partial<AuthplaneModuleOptions & AuthplaneModuleExtras> = {},
  ) => {
    const { issuer } = authorizationServer;
    const module = AuthplaneModule.forRoot({
      ...{ issuer, resource: RESOURCE, devMode: true, selfCheck: false, earlyRefusal: true },
      ...options,
    });
    running = await startApp(
      { imports: [module], controllers },
      { platform, configure: (app) => app.enableCors({ origin: BASE }) },
    );
  };
  const headersOf = (token?: string) => ({
    'content-type': 'application/json',
    origin: BASE,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  });
  const issue = () =>
    authorizationServer.issueToken({ aud: [RESOURCE], scope: 'use', sub: 'alice' });
  const post = async (path: string, token?: string) => {
    const body = JSON.stringify(CALL);
    return fetch(`${running.url}/${path}`, { method: 'POST', headers: headersOf(token), body });
  };
  /** Of a request whose body never ends: whoever waits for that gives none, however long. */
  const answerToHalf = async (token?: string, waits?: number) => {
    const headers = { ...headersOf(token), 'content-length': 1_000_000 };
    const request = send(`${running.url}/mcp`, { method: 'POST', headers });
    request.on('error', () => undefined);
    request.write('{');
    const answered = once(request, 'response');
    const [response] = (await (waits === undefined
      ? answered
      : Promise.race([answered, sleep(waits, [undefined])]))) as [
      { statusCode: number; headers: Record<string, string> } | undefined,
    ];
    request.destroy();
    return response;
  };

  test('13.6: no token and a bad one are refused before the body is there', async () => {
    await start();
    const bad = `${(await issue()).slice(0, -8)}AAAAAAAA`;
    for (const token of [undefined, bad]) {
      const response = await answerToHalf(token);
      expect(response?.statusCode).toBe(401);
      const { 'www-authenticate': challenge, 'access-control-allow-origin': origin } =
        response?.headers ?? {};
      expect(challenge).toContain('resource_metadata=');
      expect(challenge).toContain('scope="use"');
      expect(origin).toBe(BASE);
    }
  });

  test('13.4: what is said to whoever shows nothing is written once, by the guard as well', async () => {
    await start();
    const written = vi.spyOn(AuthplaneResource.prototype, 'challenge');
    for (let times = 1; times <= 3; times++) {
      for (const path of ['mcp', 'other']) {
        const response = await post(path);
        expect([response.status, response.headers.get('cache-control')]).toEqual([401, 'no-store']);
        expect(response.headers.get('www-authenticate')).toContain('resource_metadata=');
        expect(await response.json()).toMatchObject({ error: 'unauthorized' });
      }
    }
    expect(written).toHaveBeenCalledTimes(2);
  });

  test('13.4: but where a nonce goes along, which is another one later', async () => {
    await start([Endpoint, Other], { inboundDPoP: { nonce: true } });
    const written = vi.spyOn(AuthplaneResource.prototype, 'challenge');
    for (const path of ['mcp', 'mcp', 'other', 'other']) {
      expect((await post(path)).headers.get('dpop-nonce')).toMatch(/./);
    }
    expect(written).toHaveBeenCalledTimes(4);
  });

  test('13.6: nothing is noted of a request that is answered at once', async () => {
    await start();
    const asked = vi.spyOn(AuthplaneResource.prototype, 'authenticateNow');
    expect((await answerToHalf())?.statusCode).toBe(401);
    expect(asked).not.toHaveBeenCalled();
  });

  test('13.6: a good token is verified once, and the guard decides', async () => {
    await start();
    const verified = vi.spyOn(AuthplaneResource.prototype, 'authenticateNow');
    const token = await issue();
    for (let times = 1; times <= 2; times++) {
      const response = await post('mcp', token);
      expect([response.status, await response.json()]).toEqual([201, { sub: 'alice', body: CALL }]);
      expect(verified).toHaveBeenCalledTimes(times);
    }
    const other = await authorizationServer.issueToken({ aud: [RESOURCE], scope: 'other' });
    expect((await post('mcp', other)).status).toBe(403);
  });

  test('13.6: preflight requests, other paths and other methods go their way', async () => {
    await start();
    const headers = { ...headersOf(), 'access-control-request-method': 'POST' };
    const preflight = await fetch(`${running.url}/mcp`, { method: 'OPTIONS', headers });
    expect(preflight.status).toBe(204);
    expect((await post('other')).status).toBe(401);
    expect((await post('nothing')).status).toBe(404);
  });

  test.each<[string, Type[] | undefined, Partial<AuthplaneModuleOptions & AuthplaneModuleExtras>]>([
    ['where it is not asked for', undefined, { earlyRefusal: false }],
    ['behind a guard that extends ours', [LenientEndpoint], { allowUnguarded: true }],
    ['where a route of the endpoint is open', [PartlyOpen], { allowUnguarded: true }],
    ['where another credential is good', undefined, { otherCredentials: () => undefined }],
    ['where nobody needs one', undefined, { mcp: { authentication: 'when-needed' } }],
    ['for a resource for each name', undefined, { resource: undefined as never, baseUrl: [BASE] }],
  ])('13.6: not %s', async (_, controllers, options) => {
    await start(controllers, options);
    expect(await answerToHalf(undefined, 400)).toBeUndefined();
  });
});
