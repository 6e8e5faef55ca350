import { afterEach, describe, expect, it } from 'vitest';
import type { AuthorizationServerOptions } from 'authplane-nestjs/testing';

import {
  authorizationUrl,
  CALLBACK,
  claimsOf,
  jsonOf,
  pkce,
  RESOURCE,
  Servers,
  token,
  type Parameters,
} from '../../support/servers/stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

const OPTIONS: AuthorizationServerOptions = {
  resources: [{ uri: RESOURCE, scopes: ['mcp:echo', 'mcp:add'] }],
  clients: [
    { clientId: 'app', redirectUris: [CALLBACK, 'https://app.example/cb?fixed=1'] },
    { clientId: 'small', redirectUris: [CALLBACK], scope: 'mcp:add mcp:other' },
    { clientId: 'machine', redirectUris: [CALLBACK], grantTypes: ['client_credentials'] },
    { clientId: '<img src=x onerror="alert(1)">', redirectUris: [CALLBACK] },
  ],
};

async function authorize(changes: Parameters, options: AuthorizationServerOptions = {}) {
  const server = await servers.start({ ...OPTIONS, autoApprove: true, ...options });
  const url = authorizationUrl(server, pkce().challenge, changes);
  const response = await fetch(url, { redirect: 'manual' });
  return { server, response, location: response.headers.get('location') };
}

async function answer(changes: Parameters, options?: AuthorizationServerOptions) {
  const { server, response, location } = await authorize(changes, options);
  expect(response.status).toBe(303);
  const callback = new URL(location ?? '');
  return { server, callback, parameters: Object.fromEntries(callback.searchParams) };
}

describe('an approved request', () => {
  it('RFC 9207 §2: goes back with code, state and iss', async () => {
    const { server, callback, parameters } = await answer({});
    expect(callback.origin + callback.pathname).toBe(CALLBACK);
    expect(parameters).toEqual({
      code: expect.stringMatching(/^[\w-]{43}$/),
      state: 'a&b="c"',
      iss: server.issuer,
    });
  });

  it('goes without a state when none was sent, and keeps the query of the redirect URI', async () => {
    const { parameters } = await answer({
      state: undefined,
      redirect_uri: 'https://app.example/cb?fixed=1',
    });
    expect(Object.keys(parameters).sort()).toEqual(['code', 'fixed', 'iss']);
  });
});

describe('a request that nobody can be redirected for', () => {
  it.each([
    ['an unknown client', { client_id: 'nobody' }],
    ['no client', { client_id: undefined }],
    ['another redirect URI', { redirect_uri: `${CALLBACK}/` }],
    ['no redirect URI', { redirect_uri: undefined }],
    ['an unknown resource', { resource: `${RESOURCE}/` }],
    ['a resource that is no URI', { resource: 'mcp' }],
  ])('gets a page: %s', async (_, changes) => {
    const { response, location } = await authorize(changes);
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(location).toBeNull();
  });
});

describe('a refused request', () => {
  it.each([
    ['unsupported_response_type', { response_type: 'token' }],
    ['unsupported_response_type', { response_type: undefined }],
    ['unauthorized_client', { client_id: 'machine' }],
    ['invalid_request', { code_challenge: undefined }],
    ['invalid_request', { code_challenge: 'short' }],
    ['invalid_request', { code_challenge_method: 'plain' }],
    ['invalid_request', { code_challenge_method: undefined }],
    ['invalid_scope', { scope: undefined }],
    ['invalid_scope', { scope: 'mcp:unknown' }],
    ['invalid_scope', { scope: 'mcp:"echo"' }],
    ['invalid_scope', { client_id: 'small', scope: 'mcp:echo' }],
  ])('goes back with %s, state and iss: %j', async (error, changes) => {
    const { server, parameters } = await answer(changes);
    expect(parameters).toEqual({
      error,
      error_description: expect.any(String),
      state: 'a&b="c"',
      iss: server.issuer,
    });
  });
});

describe('the granted scope and resource', () => {
  async function granted(changes: Parameters, options?: AuthorizationServerOptions) {
    const server = await servers.start({ ...OPTIONS, ...options });
    const { challenge, verifier } = pkce();
    const callback = await server.approve(authorizationUrl(server, challenge, changes));
    const response = await token(server, {
      grant_type: 'authorization_code',
      client_id: changes.client_id ?? 'app',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: CALLBACK,
      code_verifier: verifier,
    });
    return { server, claims: claimsOf((await jsonOf(response)).access_token) };
  }

  it('is every scope of the resource when a scope need not be named', async () => {
    const { claims } = await granted({ scope: undefined }, { requireScope: false });
    expect(claims.scope).toBe('mcp:echo mcp:add');
  });

  it('stays below the ceiling of the client', async () => {
    const changes = { scope: undefined, client_id: 'small' };
    const { claims } = await granted(changes, { requireScope: false });
    expect(claims.scope).toBe('mcp:add');
  });

  it('is empty when there are no scopes to name', async () => {
    const server = await servers.start({ clients: OPTIONS.clients ?? [] });
    const url = authorizationUrl(server, pkce().challenge, { scope: undefined });
    expect((await server.approve(url)).searchParams.has('code')).toBe(true);
  });

  it('has the registered URI as audience, whatever the case of the host', async () => {
    const { claims } = await granted({ resource: 'HTTP://LOCALHOST:8080/mcp' });
    expect(claims.aud).toEqual([RESOURCE]);
  });

  it('has the issuer as audience when no resource is named', async () => {
    const { server, claims } = await granted({ resource: undefined });
    expect(claims.aud).toEqual([server.issuer]);
  });
});

describe('the approval page', () => {
  it('asks for a user, and escapes what the request says', async () => {
    const { response, location } = await authorize(
      { client_id: '<img src=x onerror="alert(1)">' },
      { autoApprove: false },
    );
    expect(response.status).toBe(200);
    expect(location).toBeNull();
    const page = await response.text();
    expect(page).toContain('<form method="post">');
    expect(page).toContain('name="user"');
    expect(page).toContain('Not for production');
    expect(page).not.toContain('<img');
    expect(page).toContain('&#60;img src=x onerror=&#34;alert(1)&#34;&#62;');
  });

  it('approves as the user who was named', async () => {
    const server = await servers.start(OPTIONS);
    const { challenge, verifier } = pkce();
    const url = authorizationUrl(server, challenge);
    const callback = await server.approve(url, { user: ' alice ' });
    const response = await token(server, {
      grant_type: 'authorization_code',
      client_id: 'app',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: CALLBACK,
      code_verifier: verifier,
    });
    expect(claimsOf((await jsonOf(response)).access_token).sub).toBe('alice');
  });

  it('asks again without a user, and denies on request or when in doubt', async () => {
    const server = await servers.start(OPTIONS);
    const url = authorizationUrl(server, pkce().challenge);
    await expect(server.approve(url, { user: ' ' })).rejects.toThrow('answered 200');
    const denied = await server.approve(url, { decision: 'deny' });
    expect(denied.searchParams.get('error')).toBe('access_denied');
    expect(denied.searchParams.get('iss')).toBe(server.issuer);
    const empty = await fetch(url, {
      method: 'POST',
      body: new URLSearchParams(),
      redirect: 'manual',
    });
    expect(empty.headers.get('location')).toContain('error=access_denied');
  });

  it('checks the request again when it is approved', async () => {
    const server = await servers.start(OPTIONS);
    const url = authorizationUrl(server, pkce().challenge, { client_id: 'nobody' });
    await expect(server.approve(url)).rejects.toThrow('answered 400');
  });

  it('is skipped for a user named in the options', async () => {
    const server = await servers.start({ ...OPTIONS, autoApprove: 'bob' });
    const { challenge, verifier } = pkce();
    const response = await fetch(authorizationUrl(server, challenge), { redirect: 'manual' });
    const callback = new URL(response.headers.get('location') ?? '');
    const tokens = await token(server, {
      grant_type: 'authorization_code',
      client_id: 'app',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: CALLBACK,
      code_verifier: verifier,
    });
    expect(claimsOf((await jsonOf(tokens)).access_token).sub).toBe('bob');
  });
});
