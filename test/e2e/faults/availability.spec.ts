import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import type { AuthplaneModuleOptions } from 'authplane-nestjs';
import { TravelClock } from '../../support/nest/travel-clock.js';
import { plainApp } from '../../support/nest/plain-app.js';
import { freePort, platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';
import { until } from '../../support/time/until.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';

describe.each(platforms)('availability on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer | undefined;
  let app: RunningApp | undefined;
  let clock: TravelClock;

  beforeEach(() => {
    clock = new TravelClock();
  });
  afterEach(async () => {
    await app?.close();
    await authorizationServer?.close();
    app = undefined;
    authorizationServer = undefined;
  });

  const start = async (issuer: string, options: Partial<AuthplaneModuleOptions> = {}) => {
    app = await startApp(
      plainApp({ issuer, resource: RESOURCE, devMode: true, clock, ...options }),
      {
        platform,
      },
    );
    return app.url;
  };
  const call = async (url: string, token: string) => {
    const response = await fetch(`${url}/things`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await response.arrayBuffer();
    return response;
  };

  it('F01: starts without the authorization server, answers 503, and recovers by itself', async () => {
    const port = await freePort();
    const url = await start(`http://127.0.0.1:${port}`);

    // A well-formed token, so that only the keys are missing; no credentials need no keys.
    const elsewhere = await startAuthorizationServer();
    const early = await call(url, await elsewhere.issueToken({ aud: [RESOURCE] }));
    await elsewhere.close();
    expect(early.status).toBe(503);
    expect(Number(early.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(early.headers.get('www-authenticate')).toBeNull();
    expect((await fetch(`${url}/things`)).status).toBe(401);

    authorizationServer = await startAuthorizationServer({ port });
    const token = await authorizationServer.issueToken({ aud: [RESOURCE] });
    await until(async () => (await call(url, token)).status === 200);
  });

  it('F03: starts beside an authorization server that accepts and never answers', async () => {
    const hanging: Server = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(hanging, 'listening');
    const { port } = hanging.address() as { port: number };
    await start(`http://127.0.0.1:${port}`);
    hanging.close();
  });

  it('F02: goes on with the keys in hand when the authorization server goes away', async () => {
    authorizationServer = await startAuthorizationServer({ now: clock.now });
    const url = await start(authorizationServer.issuer, { jwksRefreshSeconds: 60 });
    const [first, second] = await Promise.all([
      authorizationServer.issueToken({ aud: [RESOURCE] }),
      authorizationServer.issueToken({ aud: [RESOURCE], jti: 'another' }),
    ]);
    expect((await call(url, first)).status).toBe(200);
    await authorizationServer.close();
    clock.travel(61); // past the refresh age, inside the stale bound
    expect((await call(url, first)).status).toBe(200);
    expect((await call(url, second)).status).toBe(200);
  });

  it('F02: answers 503, not 401, once the keys in hand are too old', async () => {
    authorizationServer = await startAuthorizationServer({ now: clock.now });
    const url = await start(authorizationServer.issuer, {
      jwksRefreshSeconds: 60,
      maxStaleSeconds: 0,
    });
    const token = await authorizationServer.issueToken({ aud: [RESOURCE] });
    expect((await call(url, token)).status).toBe(200);
    await authorizationServer.close();
    clock.travel(61);
    const response = await call(url, token);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).not.toBeNull();
    expect(await (await fetch(`${url}/things`)).json()).toMatchObject({ error: 'unauthorized' });
  });

  it('follows a key set that moves, in ordinary operation', async () => {
    authorizationServer = await startAuthorizationServer({ now: clock.now });
    const url = await start(authorizationServer.issuer, { metadataRefreshSeconds: 1 });
    authorizationServer.overrideMetadata({ jwks_uri: authorizationServer.movedJwksUri });
    authorizationServer.fail('jwks', { status: 404 });
    const requests = authorizationServer.requests.bind(authorizationServer);
    while (requests()['jwks-moved'] === 0) await delay(20); // by a timer, without a request
    const token = await authorizationServer.issueToken({ aud: [RESOURCE] });
    expect((await call(url, token)).status).toBe(200);
  });

  it('F10: refuses tokens of a withdrawn key after one refresh, remembered or not', async () => {
    authorizationServer = await startAuthorizationServer({ now: clock.now });
    const url = await start(authorizationServer.issuer, { jwksRefreshSeconds: 1 });
    const token = await authorizationServer.issueToken({ aud: [RESOURCE] });
    expect((await call(url, token)).status).toBe(200);
    await authorizationServer.rotateKeys({ keepPrevious: false });
    const before = authorizationServer.requests().jwks;
    while (authorizationServer.requests().jwks < before + 2) await delay(20); // the first was answered
    expect((await call(url, token)).status).toBe(401);
  });

  it.each([
    ['an HTML page', { status: 200, body: '<html>', contentType: 'text/html' }],
    ['a status 500', { status: 500 }],
    ['an empty 204', { status: 204 }],
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' } }],
    ['a reset connection', 'reset' as const],
    ['half a body', 'truncate' as const],
    ['an empty key set', { status: 200, body: '{"keys":[]}', contentType: 'application/json' }],
  ])('F05: keeps the good keys when the key set becomes %s', async (_, fault) => {
    authorizationServer = await startAuthorizationServer({ now: clock.now });
    const url = await start(authorizationServer.issuer, { jwksRefreshSeconds: 60 });
    authorizationServer.fail('jwks', fault);
    clock.travel(61);
    const token = await authorizationServer.issueToken({ aud: [RESOURCE] });
    while (authorizationServer.requests().jwks < 2) await call(url, token);
    expect((await call(url, token)).status).toBe(200);
  });
});
