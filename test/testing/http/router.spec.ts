import { afterEach, describe, expect, it } from 'vitest';

import { exchangeRaw, jsonOf, Servers } from '../../support/servers/stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

describe('counters', () => {
  it('count each endpoint, failed requests included, and can be reset', async () => {
    const server = await servers.start();
    const none = {
      metadata: 0,
      jwks: 0,
      'jwks-moved': 0,
      token: 0,
      register: 0,
      authorize: 0,
      revoke: 0,
      introspect: 0,
      connect: 0,
    };
    expect(server.requests()).toEqual(none);
    server.fail('jwks', { status: 500 });
    await Promise.all([1, 2, 3].map(() => fetch(server.jwksUri)));
    await fetch(server.metadataUrl);
    await fetch(`${server.issuer}/.well-known/openid-configuration`);
    await fetch(`${server.issuer}/oauth/authorize`);
    await fetch(`${server.issuer}/nowhere`);
    const before = server.requests();
    expect(before).toEqual({ ...none, jwks: 3, metadata: 2, authorize: 1 });
    server.resetCounters();
    expect(server.requests()).toEqual(none);
    expect(before.jwks).toBe(3);
  });
});

describe('HTTP', () => {
  it('answers preflights of browsers without counting them', async () => {
    const server = await servers.start();
    const response = await fetch(`${server.issuer}/oauth/token`, { method: 'OPTIONS' });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-allow-methods')).toBe('POST');
    expect(response.headers.get('access-control-allow-headers')).toContain('MCP-Protocol-Version');
    expect(server.requests().token).toBe(0);
    const authorize = await fetch(`${server.issuer}/oauth/authorize`, { method: 'OPTIONS' });
    expect(authorize.status).toBe(405);
    expect(authorize.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('answers HEAD as GET without a body, and other methods with 405', async () => {
    const server = await servers.start();
    const head = await fetch(server.metadataUrl, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const wrong = await fetch(`${server.issuer}/oauth/token`);
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it.each([
    'GET //evil.example/.well-known/jwks.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'GET http://[bad/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'GET /oauth/authorize?%ff&client_id=%zz&=& HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n',
    'nonsense\r\n\r\n',
  ])('answers malformed requests with 4xx and goes on: %j', async (request) => {
    const server = await servers.start();
    expect(await exchangeRaw(server.issuer, request)).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect((await fetch(server.metadataUrl)).status).toBe(200);
  });

  it('goes on when a client leaves in the middle of its request', async () => {
    const server = await servers.start();
    await exchangeRaw(
      server.issuer,
      'POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n' +
        'Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant',
    );
    expect((await fetch(server.metadataUrl)).status).toBe(200);
  });

  it('answers what it did not expect with 500 and no detail', async () => {
    const now = () => {
      throw new Error('a secret of the implementation');
    };
    const server = await servers.start({ now });
    const response = await fetch(`${server.issuer}/oauth/register`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ redirect_uris: ['https://app.example/cb'] }),
    });
    expect(response.status).toBe(500);
    expect(await jsonOf(response)).toMatchObject({
      error: 'server_error',
      error_description: 'internal error',
      title: 'Internal Server Error',
    });
  });
});
