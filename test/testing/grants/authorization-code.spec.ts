import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StandInAuthorizationServer } from 'authplane-nestjs/testing';

import { codeRequest, grantOptions, OTHER } from '../../support/servers/grant-requests.js';
import {
  claimsOf,
  Clock,
  headerOf,
  jsonOf,
  refused,
  RESOURCE,
  Servers,
  START,
  token,
} from '../../support/servers/stand-in.js';

const servers = new Servers();
let clock: Clock;
let server: StandInAuthorizationServer;

beforeEach(async () => {
  clock = new Clock();
  server = await servers.start(grantOptions(clock));
});
afterEach(() => servers.closeAll());

describe('authorization_code', () => {
  it('gives the tokens of the user', async () => {
    const response = await token(server, { ...(await codeRequest(server)), resource: RESOURCE });
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
    const response = await token(server, await codeRequest(server, { client_id: 'agent' }));
    expect(claimsOf((await jsonOf(response)).access_token).agent_id).toBe('agent');
  });

  it('gives a refresh token only to clients registered for it', async () => {
    const response = await token(server, await codeRequest(server, { client_id: 'once' }));
    expect(await jsonOf(response)).not.toHaveProperty('refresh_token');
  });

  it('gives no refresh token when switched off, and keeps to another lifetime', async () => {
    server = await servers.start(
      grantOptions(clock, { issueRefreshTokens: false, accessTokenTtlSeconds: 5 }),
    );
    const body = await jsonOf(await token(server, await codeRequest(server)));
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
    await refused(
      await token(server, { ...(await codeRequest(server)), ...changes }),
      'invalid_grant',
    );
  });

  it('refuses another resource, also when none was fixed', async () => {
    const fixed = { ...(await codeRequest(server)), resource: OTHER };
    await refused(await token(server, fixed), 'invalid_target');
    const open = { ...(await codeRequest(server, { resource: undefined })), resource: RESOURCE };
    await refused(await token(server, open), 'invalid_target');
  });

  it('spends the code on the first attempt, even a failed one', async () => {
    const good = await codeRequest(server);
    expect((await token(server, good)).status).toBe(200);
    await refused(await token(server, good), 'invalid_grant');
    const bad = await codeRequest(server);
    await refused(await token(server, { ...bad, code_verifier: 'x'.repeat(43) }), 'invalid_grant');
    await refused(await token(server, bad), 'invalid_grant');
  });

  it('lets a code live ten minutes', async () => {
    const inTime = await codeRequest(server);
    clock.seconds += 599;
    expect((await token(server, inTime)).status).toBe(200);
    const late = await codeRequest(server);
    clock.seconds += 600;
    await refused(await token(server, late), 'invalid_grant');
  });
});
