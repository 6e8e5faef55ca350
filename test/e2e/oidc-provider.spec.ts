import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { DPoPSigner } from 'authplane-nestjs';
import {
  type ForeignAuthorizationServer,
  startOidcProvider,
} from '../support/servers/oidc-provider.js';
import { plainApp } from '../support/nest/plain-app.js';
import { freePort, platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

describe.each(platforms)('tokens of oidc-provider on %s', (platform) => {
  let authorizationServer: ForeignAuthorizationServer;
  let app: RunningApp;
  let resource: string;

  beforeAll(async () => {
    authorizationServer = await startOidcProvider();
    const port = await freePort();
    resource = `http://127.0.0.1:${port}/mcp`;
    const options = {
      issuer: authorizationServer.issuer,
      resource,
      devMode: true,
      inboundDPoP: {},
    };
    app = await startApp(plainApp(options), { platform, port });
  });

  afterAll(async () => {
    await app.close();
    await authorizationServer.close();
  });

  const call = (token: string, path = '/things') =>
    fetch(`${app.url}${path}`, { headers: { authorization: `Bearer ${token}` } });

  it('RFC 9068: accepts its JWT access token for this resource', async () => {
    const token = await authorizationServer.accessToken(resource);
    expect(decodeProtectedHeader(token).typ).toBe('at+jwt');
    const response = await call(token);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ sub: 'machine', fromContext: 'machine' });
  });

  it('enforces the scopes it granted', async () => {
    const token = await authorizationServer.accessToken(resource);
    expect((await call(token, '/things/any')).status).toBe(200);
    const refused = await call(token, '/things/audit');
    expect(refused.status).toBe(403);
    expect(await refused.json()).toEqual({
      error: 'insufficient_scope',
      scope: 'things:read audit:read',
    });
  });

  it.each([
    ['a sibling path', (uri: string) => `${uri}/other`],
    ['a trailing slash', (uri: string) => `${uri}/`],
    ['another port', () => 'http://127.0.0.1:1/mcp'],
  ])('refuses its token for %s', async (_, other) => {
    const token = await authorizationServer.accessToken(other(resource));
    expect(decodeJwt(token).aud).not.toBe(resource);
    const response = await call(token);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  it.each(['ES256', 'EdDSA', 'PS256', 'RS256'] as const)(
    'RFC 9449: accepts the token it has bound to an %s key, with a proof and only with one',
    async (algorithm) => {
      const signer = await DPoPSigner.generate({ algorithm });
      const { tokenEndpoint } = authorizationServer;
      const proof = await signer.proof({ method: 'POST', url: tokenEndpoint });
      const token = await authorizationServer.accessToken(resource, { dpop: proof });
      expect(decodeJwt(token)['cnf']).toEqual({ jkt: signer.thumbprint });

      const url = `${new URL(resource).origin}/things`;
      const request = async () => ({
        authorization: `DPoP ${token}`,
        dpop: await signer.proof({ method: 'GET', url, accessToken: token }),
      });
      const headers = await request();
      expect((await fetch(url, { headers })).status).toBe(200);
      expect((await fetch(url, { headers })).status).toBe(401); // the same proof again
      expect((await fetch(url, { headers: await request() })).status).toBe(200);
      expect((await call(token)).status).toBe(401);
    },
  );

  it('refuses its token after a change of one character, wherever it is', async () => {
    const token = await authorizationServer.accessToken(resource);
    for (let i = 0; i < token.length; i += 17) {
      const other = token[i] === 'A' ? 'B' : 'A';
      const changed = token.slice(0, i) + other + token.slice(i + 1);
      expect((await call(changed)).status).toBe(401);
    }
  });
});
