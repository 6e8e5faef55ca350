import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StandInAuthorizationServer } from 'authplane-nestjs/testing';

import { exchange, MCP } from '../../support/servers/exchange.js';
import {
  introspect,
  introspectionOptions,
  isActive,
  userTokens,
} from '../../support/servers/introspection.js';
import {
  claimsOf,
  Clock,
  jsonOf,
  post,
  refused,
  Servers,
  START,
} from '../../support/servers/stand-in.js';

const servers = new Servers();
let clock: Clock;
let server: StandInAuthorizationServer;

beforeEach(async () => {
  clock = new Clock();
  server = await servers.start(introspectionOptions(clock));
});
afterEach(() => servers.closeAll());

describe('introspection', () => {
  it('tells who runs the resource about the token, with the audience as text', async () => {
    const bound = await server.issueToken({
      aud: [MCP],
      scope: 'tool:list',
      cnf: { jkt: 'thumbprint' },
      act: { sub: 'a' },
      agent_id: 'agent',
      client_id: 'client-1',
    });
    const response = await introspect(server, { token: bound });
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('cache-control')).toBeNull();
    expect(await jsonOf(response)).toEqual({
      active: true,
      scope: 'tool:list',
      client_id: 'client-1',
      sub: 'user-1',
      aud: MCP,
      iss: server.issuer,
      exp: START + 900,
      iat: START,
      jti: expect.any(String),
      token_type: 'DPoP',
      cnf: { jkt: 'thumbprint' },
    });
    const bearer = await jsonOf(await introspect(server, { token: await server.issueToken() }));
    expect(bearer.token_type).toBe('Bearer');
    expect(bearer).not.toHaveProperty('scope');
    expect(bearer).not.toHaveProperty('cnf');
  });

  it('tells the client whose token it is', async () => {
    const own = await server.issueToken({ aud: [server.issuer], client_id: 'stranger' });
    expect(await isActive(server, own, 'stranger')).toBe(true);
  });

  it('tells nobody else', async () => {
    const foreign = await introspect(server, { token: await server.issueToken() }, 'stranger');
    expect(foreign.status).toBe(200);
    expect(await jsonOf(foreign)).toEqual({ active: false });
    expect(await isActive(server, await server.issueToken({ aud: [server.issuer] }))).toBe(false);
  });

  it('reads a token along a link by its audience only', async () => {
    const form = { resource: 'backend', scope: 'b:read' };
    const { access_token } = await jsonOf(await exchange(server, { form }));
    expect(await isActive(server, access_token, 'gateway')).toBe(false);
  });

  it('finds everything else inactive', async () => {
    const { refresh_token } = await userTokens(server);
    for (const wrong of [
      'x',
      String(refresh_token),
      await server.issueToken({ exp: START - 31 }),
      await server.issueToken({ iss: 'https://as.example' }),
      await server.issueToken({}, { alg: 'none' }),
      await server.issueToken({}, { typ: 'JWT' }),
      await server.issueToken({}, { kid: 'unknown' }),
    ]) {
      const response = await introspect(server, { token: wrong });
      expect(response.status).toBe(200);
      expect(await jsonOf(response)).toEqual({ active: false });
    }
  });

  it('is for confidential clients, and needs a token', async () => {
    for (const client of [
      { client_id: 'nobody' },
      { client_id: 'public', client_secret: undefined },
      { client_secret: 'wrong' },
      { client_id: undefined, client_secret: undefined },
    ]) {
      const response = await introspect(server, { token: 'x', ...client });
      expect(response.headers.get('www-authenticate')).toBe('Basic realm="authserver"');
      await refused(response, 'invalid_client', 401);
    }
    await refused(await introspect(server, {}), 'invalid_request');
  });

  it('takes Basic authentication, is counted and can be made to fail', async () => {
    const Authorization = `Basic ${Buffer.from('gateway:s').toString('base64')}`;
    const url = `${server.issuer}/oauth/introspect`;
    const asked = () => post(url, { token: 'x' }, { Authorization });
    expect((await asked()).status).toBe(200);
    server.fail('introspect', { status: 503 });
    expect((await asked()).status).toBe(503);
    expect(server.requests().introspect).toBe(2);
  });
});

describe('revocation by the operator', () => {
  it('ends any token, given itself or by its jti', async () => {
    for (const identify of [String, (jwt: string) => String(claimsOf(jwt).jti)]) {
      const accessToken = await server.issueToken();
      expect(await isActive(server, accessToken)).toBe(true);
      server.revokeToken(identify(accessToken));
      expect(await isActive(server, accessToken)).toBe(false);
    }
    const nameless = await server.issueToken({ jti: undefined });
    expect(() => server.revokeToken(nameless)).toThrow('no jti');
  });
});
