import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StandInAuthorizationServer } from 'authplane-nestjs/testing';

import { exchange, MCP } from '../../support/servers/exchange.js';
import { introspectionOptions, isActive, userTokens } from '../../support/servers/introspection.js';
import {
  Clock,
  jsonOf,
  post,
  refused,
  Servers,
  token,
  type Parameters,
} from '../../support/servers/stand-in.js';

const servers = new Servers();
let clock: Clock;
let server: StandInAuthorizationServer;

beforeEach(async () => {
  clock = new Clock();
  server = await servers.start(introspectionOptions(clock));
});
afterEach(() => servers.closeAll());

function revoke(form: Parameters): Promise<Response> {
  return post(`${server.issuer}/oauth/revoke`, form);
}

function machineToken(): Promise<Record<string, unknown>> {
  const client = { client_id: 'machine', client_secret: 's' };
  return token(server, { grant_type: 'client_credentials', resource: MCP, ...client }).then(jsonOf);
}

describe('RFC 7009: revocation', () => {
  it('ends a machine token for its own client', async () => {
    const { access_token } = await machineToken();
    const form = { token: String(access_token), client_secret: 's' };
    expect((await revoke({ ...form, client_id: 'stranger' })).status).toBe(200);
    expect(await isActive(server, access_token)).toBe(true);
    const response = await revoke({ ...form, client_id: 'machine' });
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(await isActive(server, access_token)).toBe(false);
    await refused(await revoke({ ...form, client_id: 'nobody' }), 'invalid_client', 401);
  });

  it('leaves the access token of a user alone, and an exchanged one', async () => {
    const { access_token } = await userTokens(server);
    await revoke({ token: String(access_token), client_id: 'app' });
    expect(await isActive(server, access_token)).toBe(true);
    const form = { resource: 'api', scope: 'tool:list' };
    const exchanged = await jsonOf(await exchange(server, { form }));
    const client = { client_id: 'gateway', client_secret: 's' };
    await revoke({ ...client, token: String(exchanged.access_token) });
    expect(await isActive(server, exchanged.access_token)).toBe(true);
  });

  it('ends a family of refresh tokens with all its access tokens', async () => {
    const first = await userTokens(server);
    const refresh = (refreshToken: unknown) =>
      token(server, {
        grant_type: 'refresh_token',
        client_id: 'app',
        refresh_token: String(refreshToken),
      });
    const second = await jsonOf(await refresh(first.refresh_token));
    expect(await isActive(server, second.access_token)).toBe(true);
    await revoke({ token: String(second.refresh_token), client_id: 'app' });
    expect(await isActive(server, first.access_token)).toBe(false);
    expect(await isActive(server, second.access_token)).toBe(false);
    await refused(await refresh(second.refresh_token), 'invalid_grant');
  });

  it('says nothing of a token that nobody knows, and needs one, and a client', async () => {
    expect((await revoke({ client_id: 'app', token: 'unknown' })).status).toBe(200);
    await refused(await revoke({ client_id: 'app' }), 'invalid_request');
    await refused(await revoke({ client_id: 'nobody', token: 'x' }), 'invalid_client', 401);
  });

  it('§2.1: leaves the refresh token of another client alone', async () => {
    const { refresh_token, access_token } = await userTokens(server);
    const foreign = { client_id: 'machine', client_secret: 's', token: String(refresh_token) };
    expect((await revoke(foreign)).status).toBe(200);
    expect(await isActive(server, access_token)).toBe(true);
  });
});
