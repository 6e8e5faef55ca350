import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { plainApp } from '../../support/nest/plain-app.js';
import { platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

describe.each(platforms)('two applications of one process for one resource on %s', (platform) => {
  const resource = 'http://127.0.0.1:3000/things';
  let authorizationServer: StandInAuthorizationServer;
  let apps: RunningApp[];

  beforeAll(async () => {
    authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    const options = { issuer, resource, devMode: true, inboundDPoP: {} };
    const start = () => startApp(plainApp(options), { platform });
    apps = [await start(), await start()];
  });

  afterAll(async () => {
    for (const app of apps) await app.close();
    await authorizationServer.close();
  });

  it('9.9g: a proof passes at one of them, once', async () => {
    const key = await generateDPoPKey();
    const cnf = { jkt: key.thumbprint };
    const accessToken = await authorizationServer.issueToken({ aud: [resource], cnf });
    const proof = dpopProof(key, { method: 'GET', url: resource, accessToken });
    const headers = { authorization: `DPoP ${accessToken}`, dpop: proof };
    const statuses: number[] = [];
    for (const { url } of [...apps, ...apps]) {
      statuses.push((await fetch(`${url}/things`, { headers })).status);
    }
    expect(statuses).toEqual([200, 401, 401, 401]);
  });
});
