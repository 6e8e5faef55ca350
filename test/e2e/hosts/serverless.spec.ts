import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RequestListener } from 'node:http';
import type { FastifyInstance } from 'fastify';
import serverlessHttp from 'serverless-http';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { plainApp } from '../../support/nest/plain-app.js';
import { platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

/** Not Fastify's own `inject`, which would make header lines. */
function listenerOf({ app }: RunningApp): RequestListener {
  const instance: FastifyInstance | RequestListener = app.getHttpAdapter().getInstance();
  return typeof instance === 'function'
    ? instance
    : (request, response) => instance.routing(request, response);
}

type Answer = { readonly statusCode: number; readonly headers: Record<string, string> };

/** Adapters of serverless platforms hand in a request that has no header lines. */
describe.each(platforms)('10.12: behind serverless-http on %s', (platform) => {
  const resource = 'https://api.example.com/mcp';
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;

  beforeAll(async () => {
    authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    app = await startApp(plainApp({ issuer, resource, devMode: true, inboundDPoP: {} }), {
      platform,
    });
  });

  afterAll(async () => {
    await app.close();
    await authorizationServer.close();
  });

  async function call(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    const handler = serverlessHttp(listenerOf(app));
    const http = { method: 'GET', path, sourceIp: '192.0.2.1', protocol: 'HTTP/1.1' };
    const event = {
      ...{ version: '2.0', routeKey: '$default', rawPath: path, rawQueryString: '' },
      headers: { host: 'api.example.com', ...headers },
      requestContext: { http, stage: '$default' },
      isBase64Encoded: false,
    };
    return (await handler(event, {})) as Answer;
  }

  it('a good token gets in, whatever its header is spelt like', async () => {
    const token = await authorizationServer.issueToken({ aud: [resource] });
    for (const name of ['authorization', 'Authorization']) {
      expect(await call('/things', { [name]: `Bearer ${token}` })).toMatchObject({
        statusCode: 200,
      });
    }
  });

  it('a bound token gets in with its proof, once', async () => {
    const key = await generateDPoPKey();
    const cnf = { jkt: key.thumbprint };
    const accessToken = await authorizationServer.issueToken({ aud: [resource], cnf });
    const url = 'https://api.example.com/things';
    const dpop = dpopProof(key, { method: 'GET', url, accessToken });
    const headers = { authorization: `DPoP ${accessToken}`, dpop };
    expect((await call('/things', headers)).statusCode).toBe(200);
    expect((await call('/things', headers)).statusCode).toBe(401);
    const bearer = { authorization: `Bearer ${accessToken}` };
    expect((await call('/things', bearer)).statusCode).toBe(401);
  });

  it('lets nobody in: no token, a bad one, two joined', async () => {
    const token = await authorizationServer.issueToken({ aud: [resource] });
    const none = await call('/things');
    expect(none.statusCode).toBe(401);
    expect(none.headers['www-authenticate']).toMatch(/resource_metadata=/);
    for (const authorization of ['Bearer bad', `Bearer ${token}, Bearer ${token}`]) {
      expect((await call('/things', { authorization })).statusCode).toBeGreaterThanOrEqual(400);
    }
  });
});

describe.each(platforms)('10.12: a request with header lines on %s', (platform) => {
  it('is judged by them alone, whatever middleware made of the headers', async () => {
    const authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    const resource = 'https://api.example.com/mcp';
    const token = await authorizationServer.issueToken({ aud: [resource] });
    const app = await startApp(plainApp({ issuer, resource, devMode: true }), {
      platform,
      configure: (nest) =>
        nest.use((request: { headers: object }, _response: unknown, next: () => void) => {
          Object.assign(request.headers, { authorization: `Bearer ${token}` });
          next();
        }),
    });
    try {
      expect((await fetch(`${app.url}/things`)).status).toBe(401);
    } finally {
      await app.close();
      await authorizationServer.close();
    }
  });
});
