import { once } from 'node:events';
import { connect } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import { jsonOf, post, Servers } from '../support/servers/stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

/** Sends bytes as they are and gives what comes back until the connection ends. */
async function exchangeRaw(issuer: string, request: string): Promise<string> {
  const socket = connect(Number(new URL(issuer).port), '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
  socket.on('error', () => undefined);
  socket.end(request);
  await once(socket, 'close');
  return answer;
}

describe('faults', () => {
  it('answers with another reply, without processing the request', async () => {
    const server = await servers.start();
    server.fail('jwks', {
      status: 503,
      body: '{',
      contentType: 'application/json',
      headers: { 'Retry-After': '7' },
    });
    const response = await fetch(server.jwksUri);
    expect(response.status).toBe(503);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('retry-after')).toBe('7');
    expect(await response.text()).toBe('{');
    expect((await fetch(server.movedJwksUri)).status).toBe(200);
    server.fail('jwks', { status: 204 });
    expect((await fetch(server.jwksUri)).status).toBe(204);
    server.fail('jwks', null);
    expect((await fetch(server.jwksUri)).status).toBe(200);
  });

  it('takes a number for an HTTP status, and no fault at all for status 500', async () => {
    const server = await servers.start();
    server.fail('jwks', 429);
    expect((await fetch(server.jwksUri)).status).toBe(429);
    server.fail('jwks');
    expect((await fetch(server.jwksUri)).status).toBe(500);
  });

  it('hardening: refuses an endpoint or a fault that does not exist', async () => {
    const server = await servers.start();
    for (const endpoint of ['typo', 'JWKS', '', undefined, null, 'toString']) {
      expect(() => server.fail(endpoint as never, 'hang')).toThrow(/no such endpoint; .* jwks/);
      expect(() => server.fail(endpoint as never, null)).toThrow(/no such endpoint/);
    }
    const faults: unknown[] = [{}, 'typo', 99, 600, 5.5, '500', true, [], { status: '500' }];
    faults.push({ delayMs: -1 }, { delayMs: '60' }, { delay: 60 }, { body: 'x' }, () => 500);
    for (const fault of faults) {
      expect(() => server.fail('jwks', fault as never)).toThrow(
        /no such fault; give an HTTP status/,
      );
    }
    expect((await fetch(server.jwksUri)).status).toBe(200);
  });

  it('hits all endpoints, the fault of one going first; null for all heals every one', async () => {
    const server = await servers.start();
    server.fail('all', { status: 500 });
    server.fail('metadata', { status: 429 });
    expect((await fetch(server.metadataUrl)).status).toBe(429);
    expect((await post(`${server.issuer}/oauth/token`, {})).status).toBe(500);
    server.fail('all', null);
    expect((await fetch(server.metadataUrl)).status).toBe(200);
    expect((await post(`${server.issuer}/oauth/token`, {})).status).toBe(400);
  });

  it('hangs until the server closes', async () => {
    const server = await servers.start();
    server.fail('metadata', 'hang');
    const timeout = { signal: AbortSignal.timeout(150) };
    await expect(fetch(server.metadataUrl, timeout)).rejects.toThrow(/aborted/);
    const waiting = fetch(server.metadataUrl).then(
      () => 'answered',
      () => 'dropped',
    );
    while (server.requests().metadata < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await server.close();
    expect(await waiting).toBe('dropped');
  });

  it('resets the connection', async () => {
    const server = await servers.start();
    server.fail('metadata', 'reset');
    await expect(fetch(server.metadataUrl)).rejects.toMatchObject({
      cause: { code: 'ECONNRESET' },
    });
  });

  it('breaks the real answer off in the middle', async () => {
    const server = await servers.start();
    server.fail('metadata', 'truncate');
    const response = await fetch(server.metadataUrl);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
    const raw = await exchangeRaw(
      server.issuer,
      'GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    const [head = '', body = ''] = raw.split('\r\n\r\n');
    const promised = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    expect(body.length).toBe(Math.ceil(promised / 2));
  });

  it('delays the real answer, and closes without waiting for it', async () => {
    const server = await servers.start();
    server.fail('metadata', { delayMs: 60 });
    const started = Date.now();
    expect((await fetch(server.metadataUrl)).status).toBe(200);
    expect(Date.now() - started).toBeGreaterThanOrEqual(55);
    server.fail('metadata', { delayMs: 60_000 });
    const waiting = fetch(server.metadataUrl).then(
      () => 'answered',
      () => 'dropped',
    );
    while (server.requests().metadata < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await server.close();
    expect(await waiting).toBe('dropped');
  });
});

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

describe('lifecycle', () => {
  it("rejects with Node's error when the port is taken", async () => {
    const server = await servers.start();
    const port = Number(new URL(server.issuer).port);
    await expect(servers.start({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('gives the port back when the options turn out to be wrong', async () => {
    const server = await servers.start();
    const port = Number(new URL(server.issuer).port);
    await server.close();
    await expect(servers.start({ port, issuer: 'no URL' })).rejects.toThrow('Invalid URL');
    expect((await servers.start({ port })).issuer).toBe(server.issuer);
  });

  it('closes once, also with idle connections, and listens no more', async () => {
    const server = await servers.start();
    await (await fetch(server.metadataUrl)).text();
    await Promise.all([server.close(), server.close()]);
    await server.close();
    await expect(fetch(server.metadataUrl)).rejects.toThrow();
  });
});
