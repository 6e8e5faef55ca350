import { afterEach, describe, expect, it } from 'vitest';

import { exchangeRaw, post, Servers } from '../../support/servers/stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

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
