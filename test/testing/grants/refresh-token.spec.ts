import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StandInAuthorizationServer } from 'authplane-nestjs/testing';

import { codeRequest, grantOptions, OTHER, refresh } from '../../support/servers/grant-requests.js';
import {
  claimsOf,
  Clock,
  jsonOf,
  refused,
  RESOURCE,
  Servers,
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

describe('refresh_token', () => {
  async function firstRefreshToken(): Promise<unknown> {
    const request = await codeRequest(server, { scope: 'mcp:echo mcp:add' });
    return (await jsonOf(await token(server, request))).refresh_token;
  }

  it('rotates, and a narrower scope does not shrink the grant', async () => {
    const first = await firstRefreshToken();
    const second = await jsonOf(await refresh(server, first, { scope: 'mcp:add' }));
    expect(second).toMatchObject({ token_type: 'Bearer', expires_in: 900, scope: 'mcp:add' });
    expect(claimsOf(second.access_token)).toMatchObject({ scope: 'mcp:add', aud: [RESOURCE] });
    expect(second.refresh_token).not.toBe(first);
    const third = await jsonOf(await refresh(server, second.refresh_token, { resource: RESOURCE }));
    expect(third.scope).toBe('mcp:echo mcp:add');
  });

  it('RFC 9700 §4.14.2: a replay revokes the family', async () => {
    const first = await firstRefreshToken();
    const second = await jsonOf(await refresh(server, first));
    const replay = await refresh(server, first);
    expect((await jsonOf(replay.clone())).detail).toBe(
      'token family revoked due to reuse detection',
    );
    await refused(replay, 'invalid_grant');
    await refused(await refresh(server, second.refresh_token), 'invalid_grant');
  });

  it('refuses more scope and another resource without spending the token', async () => {
    const first = await firstRefreshToken();
    await refused(await refresh(server, first, { scope: 'mcp:echo other' }), 'invalid_scope');
    await refused(await refresh(server, first, { resource: OTHER }), 'invalid_target');
    expect((await refresh(server, first)).status).toBe(200);
  });

  it('belongs to one client and lives seven days', async () => {
    const first = await firstRefreshToken();
    await refused(await refresh(server, first, { client_id: 'second' }), 'invalid_grant');
    clock.seconds += 7 * 24 * 3600;
    await refused(await refresh(server, first), 'invalid_grant');
    await refused(await refresh(server, 'unknown'), 'invalid_grant');
  });
});
