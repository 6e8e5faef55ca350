import { afterEach, describe, expect, it } from 'vitest';

import { jsonOf, Servers } from '../../support/servers/stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

describe('the metadata document', () => {
  it('has exactly the members of AuthPlane that are offered', async () => {
    const server = await servers.start({
      resources: [
        { uri: 'http://localhost:8080/mcp', scopes: ['mcp:echo', 'mcp:add'] },
        { uri: 'http://localhost:8081/mcp', scopes: ['mcp:add', 'mcp:sub'] },
      ],
    });
    const response = await fetch(server.metadataUrl);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('cache-control')).toBe('public, max-age=3600');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const { issuer } = server;
    expect(issuer).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const authMethods = ['none', 'client_secret_basic', 'client_secret_post'];
    expect(await jsonOf(response)).toEqual({
      issuer,
      authorization_endpoint: `${issuer}/oauth/authorize`,
      token_endpoint: `${issuer}/oauth/token`,
      registration_endpoint: `${issuer}/oauth/register`,
      revocation_endpoint: `${issuer}/oauth/revoke`,
      introspection_endpoint: `${issuer}/oauth/introspect`,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      response_types_supported: ['code'],
      grant_types_supported: [
        'authorization_code',
        'refresh_token',
        'client_credentials',
        'urn:ietf:params:oauth:grant-type:token-exchange',
      ],
      token_endpoint_auth_methods_supported: authMethods,
      introspection_endpoint_auth_methods_supported: authMethods.slice(1),
      revocation_endpoint_auth_methods_supported: authMethods,
      code_challenge_methods_supported: ['S256'],
      scopes_supported: ['mcp:echo', 'mcp:add', 'mcp:sub'],
      resource_indicators_supported: true,
      authorization_response_iss_parameter_supported: true,
      dpop_signing_alg_values_supported: ['ES256', 'RS256', 'PS256'],
    });
  });

  it('leaves out what is switched off, and the endpoint is gone', async () => {
    const features = {
      tokenExchange: false,
      clientCredentials: false,
      introspection: false,
      dpop: false,
    };
    const server = await servers.start({ features });
    const document = await jsonOf(await fetch(server.metadataUrl));
    expect(document.grant_types_supported).toEqual(['authorization_code', 'refresh_token']);
    expect(Object.keys(document).filter((name) => /introspect|dpop/.test(name))).toEqual([]);
    const endpoint = `${server.issuer}/oauth/introspect`;
    expect((await fetch(endpoint, { method: 'POST' })).status).toBe(404);
  });

  it('leaves scopes_supported out when there are none', async () => {
    const server = await servers.start();
    expect(await jsonOf(await fetch(server.metadataUrl))).not.toHaveProperty('scopes_supported');
  });

  it('is the same at the path of OpenID Connect Discovery', async () => {
    const server = await servers.start({ scopesSupported: ['a'] });
    const openid = await fetch(`${server.issuer}/.well-known/openid-configuration`);
    expect(await jsonOf(openid)).toEqual(await jsonOf(await fetch(server.metadataUrl)));
  });

  it('RFC 8414 §3.1: is found before the path of the issuer', async () => {
    const server = await servers.start({ host: 'localhost', issuerPath: '/tenant' });
    const origin = new URL(server.issuer).origin;
    expect(server.issuer).toMatch(/^http:\/\/localhost:\d+\/tenant$/);
    expect(server.metadataUrl).toBe(`${origin}/.well-known/oauth-authorization-server/tenant`);
    const document = await jsonOf(await fetch(server.metadataUrl));
    expect(document.issuer).toBe(server.issuer);
    expect(document.token_endpoint).toBe(`${origin}/tenant/oauth/token`);
    expect(document.jwks_uri).toBe(server.jwksUri);
    for (const path of [
      '/.well-known/openid-configuration/tenant',
      '/tenant/.well-known/openid-configuration',
    ]) {
      expect(await jsonOf(await fetch(origin + path))).toEqual(document);
    }
    expect((await fetch(server.jwksUri)).status).toBe(200);
    expect((await fetch(`${origin}/.well-known/oauth-authorization-server`)).status).toBe(404);
    expect((await fetch(`${origin}/oauth/token`, { method: 'POST' })).status).toBe(404);
  });

  it('takes the issuer verbatim, a slash at its end included', async () => {
    const server = await servers.start({ issuerPath: '/' });
    const document = await jsonOf(await fetch(server.metadataUrl));
    expect(document.token_endpoint).toBe(`${server.issuer}/oauth/token`);
    const response = await fetch(String(document.token_endpoint), { method: 'POST' });
    expect(response.status).toBe(400);
  });

  it('names an issuer that was given', async () => {
    const server = await servers.start({ issuer: 'https://as.example/x' });
    expect(server.metadataUrl).toBe('https://as.example/.well-known/oauth-authorization-server/x');
  });

  it('can be patched, and members can be removed', async () => {
    const server = await servers.start();
    server.overrideMetadata({ issuer: 'https://evil.example', jwks_uri: undefined });
    const patched = await jsonOf(await fetch(server.metadataUrl));
    expect(patched.issuer).toBe('https://evil.example');
    expect(patched).not.toHaveProperty('jwks_uri');
    server.overrideMetadata(null);
    expect((await jsonOf(await fetch(server.metadataUrl))).issuer).toBe(server.issuer);
  });
});

describe('the key set', () => {
  it('is served at two addresses, counted apart', async () => {
    const server = await servers.start();
    const there = await jsonOf(await fetch(server.jwksUri));
    expect(await jsonOf(await fetch(server.movedJwksUri))).toEqual(there);
    expect(there).toEqual(server.jwks());
    expect(server.requests()).toMatchObject({ jwks: 1, 'jwks-moved': 1 });
  });

  it('can be replaced by any JSON', async () => {
    const server = await servers.start();
    server.overrideJwks({ keys: 'none' });
    expect(await jsonOf(await fetch(server.jwksUri))).toEqual({ keys: 'none' });
    server.overrideJwks(null);
    expect(await jsonOf(await fetch(server.jwksUri))).toEqual(server.jwks());
  });
});
