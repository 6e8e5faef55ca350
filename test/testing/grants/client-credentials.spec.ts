import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StandInAuthorizationServer } from 'authplane-nestjs/testing';

import { grantOptions, machine, OTHER } from '../../support/servers/grant-requests.js';
import {
  claimsOf,
  Clock,
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

describe('client_credentials', () => {
  it('gives the client itself a token, with its scopes sorted', async () => {
    const response = await machine(server, { scope: 'mcp:echo mcp:add', resource: RESOURCE });
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
    expect((await jsonOf(await machine(server, { resource: RESOURCE }))).scope).toBe(
      'mcp:add mcp:echo',
    );
  });

  it('has the issuer as audience without a resource', async () => {
    const body = await jsonOf(await machine(server, { scope: 'mcp:echo' }));
    expect(claimsOf(body.access_token).aud).toEqual([server.issuer]);
  });

  it('refuses a scope beyond the ceiling, beyond the resource, or nothing at all', async () => {
    await refused(await machine(server, { scope: 'other', resource: OTHER }), 'invalid_scope');
    await refused(
      await machine(server, { scope: 'mcp:gone', resource: RESOURCE }),
      'invalid_scope',
    );
    await refused(await machine(server, { resource: OTHER }), 'invalid_scope');
    const bare = { client_id: 'bare', client_secret: 'secret' };
    await refused(await machine(server, { ...bare, resource: RESOURCE }), 'invalid_scope');
  });

  it('knows only the exact URIs of registered resources', async () => {
    for (const resource of [`${RESOURCE}/`, 'HTTP://localhost:8080/mcp', 'mcp', `${RESOURCE}#f`]) {
      await refused(await machine(server, { resource }), 'invalid_target');
    }
  });

  it('takes any resource when none is registered', async () => {
    server = await servers.start({ clients: grantOptions(clock).clients ?? [] });
    const body = await jsonOf(await machine(server, { resource: 'https://any.example/mcp' }));
    expect(claimsOf(body.access_token).aud).toEqual(['https://any.example/mcp']);
    expect(body.scope).toBe('mcp:add mcp:echo mcp:gone');
  });

  it('is for confidential clients that are registered for it', async () => {
    const grant = { grant_type: 'client_credentials' };
    await refused(await token(server, { ...grant, client_id: 'public' }), 'invalid_client', 401);
    await refused(await token(server, { ...grant, client_id: 'app' }), 'unauthorized_client');
  });
});
