/** Many callers at once while keys change. `AUTHPLANE_STRESS` asks for 1,000 of them. */
import { afterEach, describe, expect, it } from 'vitest';
import { randomBytes } from 'node:crypto';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { plainApp } from '../../support/nest/plain-app.js';
import { platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';
const COUNT = process.env['AUTHPLANE_STRESS'] === undefined ? 200 : 1000;

describe.each(platforms)('availability on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer | undefined;
  let app: RunningApp | undefined;

  afterEach(async () => {
    await app?.close();
    await authorizationServer?.close();
    app = undefined;
    authorizationServer = undefined;
  });

  const start = async (issuer: string) => {
    app = await startApp(plainApp({ issuer, resource: RESOURCE, devMode: true }), { platform });
    return app.url;
  };
  const call = async (url: string, token: string) => {
    const response = await fetch(`${url}/things`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await response.arrayBuffer();
    return response;
  };

  it('F08: many concurrent tokens of a key rotated right after a refresh: one fetch, none refused', async () => {
    authorizationServer = await startAuthorizationServer();
    const url = await start(authorizationServer.issuer);
    await call(url, await authorizationServer.issueToken({ aud: [RESOURCE] }));
    await authorizationServer.rotateKeys();
    const server = authorizationServer;
    const tokens = await Promise.all(
      Array.from({ length: COUNT }, () => server.issueToken({ aud: [RESOURCE] })),
    );
    authorizationServer.resetCounters();
    const responses = await Promise.all(tokens.map((token) => call(url, token)));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    expect(authorizationServer.requests().jwks).toBe(1);
  });

  it('T41: many distinct unknown kids cost two fetches at once and one each 5 s, and good tokens pass meanwhile', async () => {
    authorizationServer = await startAuthorizationServer();
    const url = await start(authorizationServer.issuer);
    const good = await authorizationServer.issueToken({ aud: [RESOURCE] });
    const [, payload, signature] = good.split('.');
    const unknown = () => {
      const kid = randomBytes(12).toString('base64url');
      const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid }));
      return [header.toString('base64url'), payload, signature].join('.');
    };
    const statuses = { unknown: new Set<number>(), good: new Set<number>() };
    const started = performance.now();
    for (let sent = 0; sent < COUNT; sent += 100) {
      const wave = Array.from({ length: 100 }, () => call(url, unknown()));
      const [goodAnswer, ...answers] = await Promise.all([call(url, good), ...wave]);
      statuses.good.add(goodAnswer.status);
      for (const { status } of answers) statuses.unknown.add(status);
    }
    expect([...statuses.unknown].sort()).toEqual([401, 503]); // 11: what was not looked for, nobody knows
    expect([...statuses.good]).toEqual([200]);
    const most = 1 + 2 + (performance.now() - started) / 5000; // one at the start
    expect(authorizationServer.requests().jwks).toBeLessThanOrEqual(most);
  });
});
