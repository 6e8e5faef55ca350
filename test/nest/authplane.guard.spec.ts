import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { request as httpRequest } from 'node:http';
import { Controller, Get, Injectable, UseGuards } from '@nestjs/common';
import { ExternalContextCreator } from '@nestjs/core';
import {
  AuthplaneGuard,
  AuthplaneModule,
  AuthplaneResource,
  Claims,
  Scopes,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';

@Controller('guarded')
@UseGuards(AuthplaneGuard)
@Scopes('of:class')
class GuardedController {
  @Get()
  @UseGuards(AuthplaneGuard)
  @Scopes('of:handler')
  get(@Claims() claims: VerifiedClaims) {
    return { sub: claims.sub };
  }

  @Get('request')
  request(@Claims() claims: VerifiedClaims) {
    return Object.isFrozen(claims) && Object.isFrozen(claims.raw) && Object.isFrozen(claims.scopes);
  }
}

@Injectable()
@UseGuards(AuthplaneGuard)
class Resolver {
  resolve() {
    return 'resolved';
  }
}

describe.each(platforms)('AuthplaneGuard on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;

  beforeEach(async () => {
    authorizationServer = await startAuthorizationServer();
    app = await startApp(
      {
        imports: [
          AuthplaneModule.forRoot({
            issuer: authorizationServer.issuer,
            resource: RESOURCE,
            devMode: true,
            guard: 'global',
            inboundDPoP: {},
          }),
        ],
        controllers: [GuardedController],
        providers: [Resolver],
      },
      { platform },
    );
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await app.close();
    await authorizationServer.close();
  });

  const bearer = async (scope: string) =>
    `Bearer ${await authorizationServer.issueToken({ aud: [RESOURCE], scope })}`;
  const get = async (authorization: string) =>
    fetch(`${app.url}/guarded`, { headers: { authorization } });

  it('verifies once per request with a global, a class and a handler guard on its way', async () => {
    const authenticate = vi.spyOn(AuthplaneResource.prototype, 'authenticateNow');
    expect((await get(await bearer('of:class of:handler'))).status).toBe(200);
    expect(authenticate).toHaveBeenCalledTimes(1);
    expect((await get('Bearer broken')).status).toBe(401);
    expect(authenticate).toHaveBeenCalledTimes(2);
  });

  it('uses up a DPoP proof once with three guards on its way, and refuses it the second time', async () => {
    const key = await generateDPoPKey();
    const accessToken = await authorizationServer.issueToken({
      aud: [RESOURCE],
      scope: 'of:class of:handler',
      cnf: { jkt: key.thumbprint },
    });
    const url = 'http://127.0.0.1:3000/guarded';
    const dpop = dpopProof(key, { method: 'GET', url, accessToken });
    const headers = { authorization: `DPoP ${accessToken}`, dpop };
    expect((await fetch(`${app.url}/guarded`, { headers })).status).toBe(200);
    expect((await fetch(`${app.url}/guarded`, { headers })).status).toBe(401);
  });

  it('adds up the scopes of class and handler', async () => {
    for (const scope of ['of:class', 'of:handler', '']) {
      const response = await get(await bearer(scope));
      expect(response.status).toBe(403);
      expect(response.headers.get('www-authenticate')).toContain('scope="of:class of:handler"');
    }
  });

  it('names the scopes of the operation in a 401 too, so that the first token is right', async () => {
    const response = await fetch(`${app.url}/guarded`);
    expect(response.headers.get('www-authenticate')).toContain('scope="of:class of:handler"');
  });

  it('hands out claims that no handler can change for the next request', async () => {
    const response = await fetch(`${app.url}/guarded/request`, {
      headers: { authorization: await bearer('of:class') },
    });
    expect(await response.text()).toBe('true');
  });

  it('RFC 6750 §2: two Authorization lines are refused, also when both are good', async () => {
    const good = await bearer('of:class of:handler');
    const { status, challenge } = await rawGet(['Authorization', good, 'authorization', good]);
    expect(status).toBe(400);
    expect(challenge).toContain('error="invalid_request"');
  });

  it('CVE-2026-21710: a header named __proto__ changes nothing', async () => {
    expect((await rawGet(['__proto__', 'x'])).status).toBe(401);
    const good = await bearer('of:class of:handler');
    expect((await rawGet(['__proto__', 'x', 'Authorization', good])).status).toBe(200);
  });

  it('Host and forwarded headers do not move the challenge', async () => {
    const { challenge } = await rawGet([
      'Host',
      'evil.example',
      'X-Forwarded-Host',
      'evil.example',
      'Forwarded',
      'host=evil.example',
    ]);
    expect(challenge).not.toContain('evil');
    expect(challenge).toContain('resource_metadata="http://127.0.0.1:3000/.well-known/');
  });

  it.each(['rpc', 'ws', 'graphql'])('refuses a handler in a "%s" context', async (context) => {
    const creator = app.app.get(ExternalContextCreator, { strict: false });
    const resolver = app.app.get(Resolver);
    const run = creator.create(
      resolver,
      resolver.resolve.bind(resolver),
      'resolve',
      undefined,
      undefined,
      undefined,
      undefined,
      { guards: true, filters: false, interceptors: false },
      context,
    ) as () => Promise<unknown>;
    await expect(run()).rejects.toMatchObject({ status: 403 });
  });

  function rawGet(headers: string[]): Promise<{ status: number; challenge: string }> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = new URL(app.url);
      const lines = headers.includes('Host')
        ? headers
        : ['Host', `${hostname}:${port}`, ...headers];
      const options = { hostname, port, path: '/guarded', headers: lines };
      const request = httpRequest(options, (response) => {
        response.resume();
        resolve({
          status: response.statusCode ?? 0,
          challenge: String(response.headers['www-authenticate']),
        });
      });
      request.on('error', reject).end();
    });
  }
});
