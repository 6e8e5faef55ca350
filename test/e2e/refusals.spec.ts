import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKeyPair, SignJWT } from 'jose';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { plainApp } from '../support/nest/plain-app.js';
import { freePort, platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

const INVALID_TOKEN_BODY = {
  error: 'invalid_token',
  error_description: 'The access token is missing, expired, revoked or not valid for this resource',
};

describe.each(platforms)('refusals on the wire, on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;
  let resource: string;
  let metadataUrl: string;

  beforeAll(async () => {
    authorizationServer = await startAuthorizationServer();
    const port = await freePort();
    resource = `http://127.0.0.1:${port}/mcp`;
    metadataUrl = `http://127.0.0.1:${port}/.well-known/oauth-protected-resource/mcp`;
    app = await startApp(
      plainApp({
        issuer: authorizationServer.issuer,
        resource,
        scopes: ['things:read', 'things:write'],
        devMode: true,
      }),
      { platform, port },
    );
  });

  afterAll(async () => {
    await app.close();
    await authorizationServer.close();
  });

  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${app.url}${path}`, { headers });
  const withToken = (path: string, token: string) =>
    get(path, { authorization: `Bearer ${token}` });
  const token = (claims = {}, header = {}) =>
    authorizationServer.issueToken({ aud: [resource], ...claims }, header);
  const now = () => Math.floor(Date.now() / 1000);

  it('passes a good token and shows the caller to the handler and below it', async () => {
    const response = await withToken('/things', await token({ sub: 'alice' }));
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ sub: 'alice', fromContext: 'alice' });
  });

  it('RFC 6750 §3.1: without credentials 401 and a challenge without error code', async () => {
    const response = await get('/things');
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer realm="${resource}", scope="things:read things:write", resource_metadata="${metadataUrl}"`,
    );
    expect(await response.json()).toEqual({
      error: 'unauthorized',
      error_description: 'An access token is required',
    });
  });

  it('takes no token from the query string', async () => {
    const response = await get(`/things?access_token=${await token()}`);
    expect(response.status).toBe(401);
  });

  const variants: [name: string, make: () => Promise<string>][] = [
    ['expired', () => token({ exp: now() - 120, iat: now() - 900, nbf: now() - 900 })],
    ['of another issuer', () => token({ iss: 'http://127.0.0.1:1' })],
    ['of the issuer with a slash', () => token({ iss: `${authorizationServer.issuer}/` })],
    ['for a longer audience', () => token({ aud: [`${resource}/tools`] })],
    ['for a prefix of the audience', () => token({ aud: [resource.slice(0, -1)] })],
    ['for the audience with a slash', () => token({ aud: [`${resource}/`] })],
    ['for the audience in other case', () => token({ aud: [resource.toUpperCase()] })],
    ['for the base URL', () => token({ aud: [new URL(resource).origin] })],
    ['for the issuer itself', () => token({ aud: [authorizationServer.issuer] })],
    ['without audience', () => token({ aud: undefined })],
    ['that is an ID token (typ JWT)', () => token({}, { typ: 'JWT' })],
    ['without typ', () => token({}, { typ: undefined })],
    ['of an unknown key', () => foreignToken('unknown-kid')],
    ['of a foreign key under a known kid', () => foreignToken(knownKid())],
    ['whose claims were changed', async () => tampered(await token())],
    ['that is unsigned', () => token({}, { alg: 'none' })],
    ['signed with HS256 and the public key', () => token({}, { alg: 'HS256' })],
    ['that is not yet valid', () => token({ nbf: now() + 600 })],
    ['from the future', () => token({ iat: now() + 600 })],
    ['that is sender-constrained', () => token({ cnf: { jkt: 'x' } })],
    ['that is no JWT', () => Promise.resolve('opaque')],
  ];

  it.each(variants)('refuses a token %s: 401 with the same neutral challenge', async (_, make) => {
    const response = await withToken('/things', await make());
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer realm="${resource}", error="invalid_token", scope="things:read things:write", ` +
        `resource_metadata="${metadataUrl}", error_description="${INVALID_TOKEN_BODY.error_description}"`,
    );
    expect(await response.json()).toEqual(INVALID_TOKEN_BODY);
  });

  it('refuses a DPoP scheme and a proof while DPoP is off', async () => {
    const good = await token();
    for (const headers of [
      { authorization: `DPoP ${good}` },
      { authorization: `Bearer ${good}`, dpop: 'a.b.c' },
    ]) {
      const response = await get('/things', headers);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toContain('Bearer realm=');
      expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
    }
  });

  it.each([
    ['Bearer', 401],
    ['Bearer a b', 400],
    ['Bearer\tabc', 400],
    ['Bearer "abc"', 400],
    ['BearerX', 401],
    ['Basic dXNlcjpwYXNz', 401],
    ['bearer opaque', 401],
    ['BEARER  opaque', 401],
  ])('answers the Authorization value %j with %i', async (value, status) => {
    const response = await get('/things', { authorization: value });
    expect(response.status).toBe(status);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm=/);
  });

  it('RFC 6750 §3.1: names every scope of the operation in a 403', async () => {
    const response = await withToken('/things/audit', await token({ scope: 'things:read' }));
    expect(response.status).toBe(403);
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer realm="${resource}", error="insufficient_scope", scope="things:read audit:read", ` +
        `resource_metadata="${metadataUrl}", ` +
        'error_description="The access token lacks a scope that this operation needs"',
    );
    expect(await response.json()).toEqual({
      error: 'insufficient_scope',
      scope: 'things:read audit:read',
    });
  });

  it('the token that the 403 asks for passes', async () => {
    const response = await withToken(
      '/things/audit',
      await token({ scope: 'things:read audit:read' }),
    );
    expect(response.status).toBe(200);
  });

  it('one scope of @AnyScope is enough, and the least powerful one is asked for', async () => {
    expect((await withToken('/things/any', await token({ scope: 'things:admin' }))).status).toBe(
      200,
    );
    const refused = await withToken('/things/any', await token({ scope: 'other' }));
    expect(refused.status).toBe(403);
    expect(refused.headers.get('www-authenticate')).toContain('scope="things:read"');
  });

  it('a scope that only the handler knows of is a 403 as well', async () => {
    const response = await withToken('/things/late', await token());
    expect(response.status).toBe(403);
    expect(await response.json()).toEqual({ error: 'insufficient_scope', scope: 'late:scope' });
  });

  it('a public handler needs no token and knows no caller, even with a token', async () => {
    expect(await (await get('/things/open')).json()).toEqual({ caller: null });
    const response = await withToken('/things/open', await token({ sub: 'alice' }));
    expect(await response.json()).toEqual({ caller: null });
    expect((await withToken('/things/open', 'broken')).status).toBe(200);
  });

  const knownKid = () => authorizationServer.jwks().keys[0]?.kid ?? '';

  async function foreignToken(kid: string): Promise<string> {
    const { privateKey } = await generateKeyPair('ES256');
    return new SignJWT({ client_id: 'c', jti: 'j', scope: 'things:read' })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
      .setIssuer(authorizationServer.issuer)
      .setAudience(resource)
      .setSubject('mallory')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
  }

  function tampered(good: string): string {
    const [header, payload = '', signature] = good.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'root' })).toString('base64url');
    return [header, changed, signature].join('.');
  }
});

describe.each(platforms)('12.8: verboseErrors on %s', (platform) => {
  it('tells a developer why, and an MCP client in the data of its error', async () => {
    const authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    const resource = 'http://127.0.0.1:9/mcp';
    const options = { issuer, resource, devMode: true, verboseErrors: true };
    const app = await startApp(plainApp(options), { platform });
    try {
      const foreign = await authorizationServer.issueToken({ aud: ['http://127.0.0.1:9/other'] });
      const authorization = `Bearer ${foreign}`;
      const refused = await fetch(`${app.url}/things`, { headers: { authorization } });
      const reason = /aud 'http:\/\/127\.0\.0\.1:9\/other' does not contain the resource/;
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toMatch(reason);
      expect(await refused.json()).toMatchObject({
        error_description: expect.stringMatching(reason),
      });

      const good = await authorizationServer.issueToken({ aud: [resource], scope: 'some' });
      const call = await fetch(`${app.url}/things`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${good}`,
          accept: 'application/json, text/event-stream',
          'content-type': 'application/json',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
      });
      expect(call.status).toBe(403);
      expect(await call.json()).toMatchObject({
        error: { data: { error_description: expect.stringMatching(/the token has: some$/) } },
      });
    } finally {
      await app.close();
      await authorizationServer.close();
    }
  });
});
