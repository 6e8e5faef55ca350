import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type {
  AuthorizationServerOptions,
  StandInAuthorizationServer,
} from 'authplane-nestjs/testing';

import {
  authorizationUrl,
  CALLBACK,
  claimsOf,
  Clock,
  headerOf,
  jsonOf,
  pkce,
  post,
  refused,
  RESOURCE,
  Servers,
  START,
  token,
  type Parameters,
} from '../../support/servers/stand-in.js';

const OTHER = 'http://localhost:8081/mcp';
const servers = new Servers();
let clock: Clock;
let server: StandInAuthorizationServer;

function options(changes: AuthorizationServerOptions = {}): AuthorizationServerOptions {
  return {
    now: clock.now,
    resources: [
      { uri: RESOURCE, scopes: ['mcp:echo', 'mcp:add'] },
      { uri: OTHER, scopes: ['other'] },
    ],
    clients: [
      { clientId: 'app', redirectUris: [CALLBACK] },
      { clientId: 'second', redirectUris: [CALLBACK] },
      { clientId: 'once', redirectUris: [CALLBACK], grantTypes: ['authorization_code'] },
      { clientId: 'agent', redirectUris: [CALLBACK], agent: true },
      { clientId: 'ma:chine', clientSecret: 's%cr t+', scope: 'mcp:echo mcp:add mcp:gone' },
      { clientId: 'bare', clientSecret: 'secret' },
      { clientId: 'public', grantTypes: ['client_credentials'], scope: 'mcp:echo' },
    ],
    ...changes,
  };
}

beforeEach(async () => {
  clock = new Clock();
  server = await servers.start(options());
});
afterEach(() => servers.closeAll());

async function codeRequest(changes: Parameters = {}): Promise<Parameters> {
  const { challenge, verifier } = pkce();
  const callback = await server.approve(authorizationUrl(server, challenge, changes));
  return {
    grant_type: 'authorization_code',
    client_id: changes.client_id ?? 'app',
    code: callback.searchParams.get('code') ?? '',
    redirect_uri: CALLBACK,
    code_verifier: verifier,
  };
}

function refresh(refreshToken: unknown, changes: Parameters = {}) {
  return token(server, {
    grant_type: 'refresh_token',
    client_id: 'app',
    refresh_token: String(refreshToken),
    ...changes,
  });
}

function machine(changes: Parameters = {}) {
  return token(server, {
    grant_type: 'client_credentials',
    client_id: 'ma:chine',
    client_secret: 's%cr t+',
    ...changes,
  });
}

function basic(clientId: string, secret: string): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}` };
}

describe('authorization_code', () => {
  it('gives the tokens of the user', async () => {
    const response = await token(server, { ...(await codeRequest()), resource: RESOURCE });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('pragma')).toBe('no-cache');
    const body = await jsonOf(response);
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_token: expect.stringMatching(/^[\w-]{43}$/),
      scope: 'mcp:echo',
    });
    expect(headerOf(body.access_token).typ).toBe('at+jwt');
    expect(claimsOf(body.access_token)).toEqual({
      iss: server.issuer,
      sub: 'user-1',
      aud: [RESOURCE],
      client_id: 'app',
      scope: 'mcp:echo',
      jti: expect.stringMatching(/^[\w-]{22}$/),
      iat: START,
      exp: START + 900,
      nbf: START,
    });
  });

  it('names an agent', async () => {
    const response = await token(server, await codeRequest({ client_id: 'agent' }));
    expect(claimsOf((await jsonOf(response)).access_token).agent_id).toBe('agent');
  });

  it('gives a refresh token only to clients registered for it', async () => {
    const response = await token(server, await codeRequest({ client_id: 'once' }));
    expect(await jsonOf(response)).not.toHaveProperty('refresh_token');
  });

  it('gives no refresh token when switched off, and keeps to another lifetime', async () => {
    server = await servers.start(options({ issueRefreshTokens: false, accessTokenTtlSeconds: 5 }));
    const body = await jsonOf(await token(server, await codeRequest()));
    expect(body).not.toHaveProperty('refresh_token');
    expect(body.expires_in).toBe(5);
  });

  it.each([
    ['a verifier of somebody else', { code_verifier: 'x'.repeat(43) }],
    ['no verifier', { code_verifier: undefined }],
    ['a verifier outside the grammar', { code_verifier: 'short' }],
    ['another redirect URI', { redirect_uri: 'https://app.example/' }],
    ['no redirect URI', { redirect_uri: undefined }],
    ['another client', { client_id: 'second' }],
    ['an unknown code', { code: 'unknown' }],
  ])('refuses %s', async (_, changes) => {
    await refused(await token(server, { ...(await codeRequest()), ...changes }), 'invalid_grant');
  });

  it('refuses another resource, also when none was fixed', async () => {
    const fixed = { ...(await codeRequest()), resource: OTHER };
    await refused(await token(server, fixed), 'invalid_target');
    const open = { ...(await codeRequest({ resource: undefined })), resource: RESOURCE };
    await refused(await token(server, open), 'invalid_target');
  });

  it('spends the code on the first attempt, even a failed one', async () => {
    const good = await codeRequest();
    expect((await token(server, good)).status).toBe(200);
    await refused(await token(server, good), 'invalid_grant');
    const bad = await codeRequest();
    await refused(await token(server, { ...bad, code_verifier: 'x'.repeat(43) }), 'invalid_grant');
    await refused(await token(server, bad), 'invalid_grant');
  });

  it('lets a code live ten minutes', async () => {
    const inTime = await codeRequest();
    clock.seconds += 599;
    expect((await token(server, inTime)).status).toBe(200);
    const late = await codeRequest();
    clock.seconds += 600;
    await refused(await token(server, late), 'invalid_grant');
  });
});

describe('refresh_token', () => {
  async function firstRefreshToken(): Promise<unknown> {
    const request = await codeRequest({ scope: 'mcp:echo mcp:add' });
    return (await jsonOf(await token(server, request))).refresh_token;
  }

  it('rotates, and a narrower scope does not shrink the grant', async () => {
    const first = await firstRefreshToken();
    const second = await jsonOf(await refresh(first, { scope: 'mcp:add' }));
    expect(second).toMatchObject({ token_type: 'Bearer', expires_in: 900, scope: 'mcp:add' });
    expect(claimsOf(second.access_token)).toMatchObject({ scope: 'mcp:add', aud: [RESOURCE] });
    expect(second.refresh_token).not.toBe(first);
    const third = await jsonOf(await refresh(second.refresh_token, { resource: RESOURCE }));
    expect(third.scope).toBe('mcp:echo mcp:add');
  });

  it('RFC 9700 §4.14.2: a replay revokes the family', async () => {
    const first = await firstRefreshToken();
    const second = await jsonOf(await refresh(first));
    const replay = await refresh(first);
    expect((await jsonOf(replay.clone())).detail).toBe(
      'token family revoked due to reuse detection',
    );
    await refused(replay, 'invalid_grant');
    await refused(await refresh(second.refresh_token), 'invalid_grant');
  });

  it('refuses more scope and another resource without spending the token', async () => {
    const first = await firstRefreshToken();
    await refused(await refresh(first, { scope: 'mcp:echo other' }), 'invalid_scope');
    await refused(await refresh(first, { resource: OTHER }), 'invalid_target');
    expect((await refresh(first)).status).toBe(200);
  });

  it('belongs to one client and lives seven days', async () => {
    const first = await firstRefreshToken();
    await refused(await refresh(first, { client_id: 'second' }), 'invalid_grant');
    clock.seconds += 7 * 24 * 3600;
    await refused(await refresh(first), 'invalid_grant');
    await refused(await refresh('unknown'), 'invalid_grant');
  });

  it('RFC 7009 §2.1: can be revoked by its client, with its family', async () => {
    const first = await firstRefreshToken();
    const url = `${server.issuer}/oauth/revoke`;
    const foreign = await post(url, { client_id: 'second', token: String(first) });
    expect(foreign.status).toBe(200);
    const second = await jsonOf(await refresh(first));
    const revoked = await post(url, { client_id: 'app', token: String(first) });
    expect([revoked.status, await revoked.text()]).toEqual([200, '']);
    await refused(await refresh(second.refresh_token), 'invalid_grant');
    expect((await post(url, { client_id: 'app', token: 'unknown' })).status).toBe(200);
    await refused(await post(url, { client_id: 'app' }), 'invalid_request');
    await refused(await post(url, { client_id: 'nobody', token: 'x' }), 'invalid_client', 401);
  });
});

describe('client_credentials', () => {
  it('gives the client itself a token, with its scopes sorted', async () => {
    const response = await machine({ scope: 'mcp:echo mcp:add', resource: RESOURCE });
    const body = await jsonOf(response);
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'mcp:add mcp:echo',
    });
    expect(claimsOf(body.access_token)).toMatchObject({
      sub: 'ma:chine',
      client_id: 'ma:chine',
      aud: [RESOURCE],
      exp: START + 3600,
    });
  });

  it('gives what client and resource share when no scope is named', async () => {
    expect((await jsonOf(await machine({ resource: RESOURCE }))).scope).toBe('mcp:add mcp:echo');
  });

  it('has the issuer as audience without a resource', async () => {
    const body = await jsonOf(await machine({ scope: 'mcp:echo' }));
    expect(claimsOf(body.access_token).aud).toEqual([server.issuer]);
  });

  it('refuses a scope beyond the ceiling, beyond the resource, or nothing at all', async () => {
    await refused(await machine({ scope: 'other', resource: OTHER }), 'invalid_scope');
    await refused(await machine({ scope: 'mcp:gone', resource: RESOURCE }), 'invalid_scope');
    await refused(await machine({ resource: OTHER }), 'invalid_scope');
    const bare = { client_id: 'bare', client_secret: 'secret' };
    await refused(await machine({ ...bare, resource: RESOURCE }), 'invalid_scope');
  });

  it('knows only the exact URIs of registered resources', async () => {
    for (const resource of [`${RESOURCE}/`, 'HTTP://localhost:8080/mcp', 'mcp', `${RESOURCE}#f`]) {
      await refused(await machine({ resource }), 'invalid_target');
    }
  });

  it('takes any resource when none is registered', async () => {
    server = await servers.start({ clients: options().clients ?? [] });
    const body = await jsonOf(await machine({ resource: 'https://any.example/mcp' }));
    expect(claimsOf(body.access_token).aud).toEqual(['https://any.example/mcp']);
    expect(body.scope).toBe('mcp:add mcp:echo mcp:gone');
  });

  it('is for confidential clients that are registered for it', async () => {
    const grant = { grant_type: 'client_credentials' };
    await refused(await token(server, { ...grant, client_id: 'public' }), 'invalid_client', 401);
    await refused(await token(server, { ...grant, client_id: 'app' }), 'unauthorized_client');
  });
});

describe('client authentication', () => {
  const grant = { grant_type: 'client_credentials', scope: 'mcp:echo' };

  it('RFC 6749 §2.3.1: form-decodes both halves of Basic', async () => {
    const encoded = basic('ma%3Achine', 's%25cr+t%2B');
    expect((await token(server, grant, encoded)).status).toBe(200);
    expect((await token(server, grant, basic('bare', 'secret'))).status).toBe(400);
    const sameId = { ...grant, client_id: 'ma:chine' };
    expect((await token(server, sameId, encoded)).status).toBe(200);
  });

  it.each([
    ['a wrong secret', basic('ma%3Achine', 'wrong')],
    ['no secret', basic('ma%3Achine', '')],
    ['an unknown client', basic('nobody', 'secret')],
    ['a secret of a public client', basic('app', 'secret')],
    ['broken percent-encoding', basic('ma%3Achine', '%zz')],
    ['no colon', { Authorization: `Basic ${Buffer.from('x').toString('base64')}` }],
    ['not base64', { Authorization: 'Basic ***' }],
    ['another spelling of the scheme', { Authorization: 'basic bWFjaGluZTpz' }],
    ['none', {}],
  ])('answers 401 with a challenge: %s', async (_, headers) => {
    const response = await token(server, grant, headers);
    expect(response.headers.get('www-authenticate')).toBe('Basic realm="authserver"');
    await refused(response, 'invalid_client', 401);
  });

  it('refuses two methods at once', async () => {
    const encoded = basic('ma%3Achine', 's%25cr+t%2B');
    const twice = { ...grant, client_secret: 's%cr t+' };
    await refused(await token(server, twice, encoded), 'invalid_request');
    await refused(await token(server, { ...grant, client_id: 'app' }, encoded), 'invalid_request');
  });
});

describe('the token endpoint', () => {
  it('answers errors as a problem with the members of OAuth and of RFC 9457', async () => {
    const response = await refresh('unknown');
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(await jsonOf(response)).toEqual({
      error: 'invalid_grant',
      error_description: 'the authorization grant is invalid, expired, or revoked',
      type: 'https://docs.authplane.ai/errors/invalid_grant',
      title: 'Bad Request',
      detail: 'the authorization grant is invalid, expired, or revoked',
      status: 400,
    });
  });

  it('refuses unknown grant types and incomplete requests', async () => {
    for (const grantType of ['password', 'constructor', '__proto__']) {
      await refused(await token(server, { grant_type: grantType }), 'unsupported_grant_type');
    }
    await refused(await token(server, {}), 'invalid_request');
    const client = { client_id: 'app' };
    const code = { ...client, grant_type: 'authorization_code' };
    await refused(await token(server, code), 'invalid_request');
    await refused(
      await token(server, { ...client, grant_type: 'refresh_token' }),
      'invalid_request',
    );
  });

  it('reads forms only, and at most 64 KiB', async () => {
    const url = `${server.issuer}/oauth/token`;
    const asJson = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' };
    await refused(await fetch(url, asJson), 'invalid_request');
    await refused(await fetch(url, { method: 'POST' }), 'invalid_request');
    const big = await post(url, { grant_type: 'x'.repeat(70_000) });
    await refused(big, 'invalid_request', 413);
    await refused(await post(url, { grant_type: 'x'.repeat(65_000) }), 'unsupported_grant_type');
  });

  it('survives bytes that are no form', async () => {
    const response = await fetch(`${server.issuer}/oauth/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: Buffer.from([0xff, 0x00, 0x25, 0x26, 0x3d, 0xc3]),
    });
    await refused(response, 'invalid_request');
  });
});
