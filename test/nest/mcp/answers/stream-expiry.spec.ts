import { afterEach, describe, expect, it } from 'vitest';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Injectable,
  UseGuards,
} from '@nestjs/common';
import { AuthplaneGuard } from 'authplane-nestjs';
import { exchangeOf } from '../../../../src/nest/http/exchange.js';
import { GuardedStreams } from '../../../../src/nest/mcp/answers/stream-expiry.js';
import { platforms } from '../../../support/nest/start-app.js';
import {
  call,
  type HostName,
  type McpApp,
  McpController,
  modern,
  request,
  startMcpApp,
} from '../../../support/nest/mcp-app.js';
import { until } from '../../../support/time/until.js';

/** Seconds since 1970; what the token of a request leaves at most. */
let expiresAt = Infinity;

@Injectable()
class ExpiryGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    new GuardedStreams().watch(exchangeOf(context), {
      secondsLeft: () => expiresAt - Date.now() / 1000,
    });
    return true;
  }
}

class ExpiringController extends McpController {}
Controller('mcp')(ExpiringController);
UseGuards(AuthplaneGuard, ExpiryGuard)(ExpiringController);
Reflect.defineMetadata(
  'design:paramtypes',
  Reflect.getMetadata('design:paramtypes', McpController),
  ExpiringController,
);

let server: McpApp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

describe.each(platforms)('streams and the end of a token on %s', (platform) => {
  async function start(host: HostName): Promise<McpApp> {
    server = await startMcpApp({ platform, host, controller: ExpiringController });
    return server;
  }

  async function open(method: 'GET' | 'POST', headers: object, body?: object): Promise<Response> {
    const response = await fetch(server!.mcpUrl, {
      method,
      headers: {
        accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
        authorization: await server!.bearer(),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'text/event-stream',
    ]);
    return response;
  }

  it('T25: a GET stream of SDK v1 ends with the token; with the next one it opens again', async () => {
    await start('SDK v1 with sessions');
    const headers = await openSession();
    const begun = performance.now();
    expiresAt = Date.now() / 1000 + 1;
    const first = await open('GET', headers);
    await first.text(); // ends in order, not by a broken connection
    expect(performance.now() - begun).toBeGreaterThan(950);
    expiresAt = Infinity;
    const second = await open('GET', headers);
    await second.body?.cancel();
  });

  it('T25: a stream of subscriptions/listen of SDK v2 ends, too', async () => {
    await start('SDK v2');
    const { body, headers } = modern('subscriptions/listen', {
      notifications: { toolsListChanged: true },
    } as object);
    const begun = performance.now();
    expiresAt = Date.now() / 1000 + 1;
    await (await open('POST', headers, body)).text();
    expect(performance.now() - begun).toBeGreaterThan(950);
  });

  it('T25: AuthplaneGuard does it, at the expiry of the very token and not before', async () => {
    server = await startMcpApp({
      platform,
      host: 'SDK v1 with sessions',
      options: { clockSkewSeconds: 0 },
    });
    const headers = await openSession();
    const exp = Math.ceil(Date.now() / 1000) + 2;
    const authorization = await server.bearer('', { exp });
    const stream = await open('GET', { ...headers, authorization });
    await stream.text();
    const late = Date.now() / 1000 - exp;
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(5);
    const refused = await fetch(server.mcpUrl, { headers: { ...headers, authorization } });
    expect(refused.status).toBe(401);
    await (await open('GET', headers)).body?.cancel();
  });

  it('the answer to a call that was allowed is given', async () => {
    await start('SDK v1');
    expiresAt = 0;
    const answer = await server!.post(call('open'));
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(answer.text).toContain('open ran');
  });

  async function openSession(): Promise<Record<string, string>> {
    const initialize = request('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    });
    const opened = await server!.post(initialize);
    return { 'mcp-session-id': String(opened.headers.get('mcp-session-id')) };
  }
});

describe('GuardedStreams', () => {
  type Respond = (response: ServerResponse) => void;

  let http: Server | undefined;
  afterEach(() => {
    http?.close();
    http?.closeAllConnections();
  });

  async function listen(
    respond: Respond,
    secondsLeft: () => number,
    isRevoked?: () => Promise<boolean>,
    streams = new GuardedStreams(10),
  ) {
    http = createServer((incoming: IncomingMessage, response) => {
      const exchange = { request: incoming, reply: response };
      const token = isRevoked === undefined ? { secondsLeft } : { secondsLeft, isRevoked };
      streams.watch(exchange as never, token);
      streams.watch(exchange as never, { secondsLeft: () => 0 }); // another guard: once is enough
      respond(response);
    });
    await new Promise<void>((resolve) => http?.listen(0, '127.0.0.1', resolve));
    return (http.address() as AddressInfo).port;
  }

  const streaming: Respond = (response) =>
    response.writeHead(200, { 'Content-Type': 'Text/Event-Stream; charset=utf-8' }).write(':\n');

  it('asks again when the time should have come: clocks are set, and timers have a limit', async () => {
    const answers = [1e9, 0.01, 0.01, 0];
    const port = await listen(streaming, () => answers.shift() ?? 0);
    const response = await fetch(`http://127.0.0.1:${port}`);
    const text = response.text();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(answers).toHaveLength(3); // the first delay is weeks, not the overflow of a timer
    http?.closeAllConnections();
    await expect(text).rejects.toThrow();
  });

  it('a clock that was set back: the stream lives on until its time', async () => {
    const answers = [0.01, 0.05, 0.05, 0];
    const port = await listen(streaming, () => answers.shift() ?? 0);
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe(':\n');
    expect(answers).toEqual([]);
  });

  it('9.9f: ends when its token is known to be revoked', async () => {
    const answers = [false, false, true];
    const port = await listen(
      streaming,
      () => 1e6,
      () => Promise.resolve(answers.shift() === true),
    );
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe(':\n');
    expect(answers).toEqual([]);
  });

  it('10.11b: all end together, and none begins after that', async () => {
    const streams = new GuardedStreams();
    const port = await listen(streaming, () => 1e6, undefined, streams);
    const open = [1, 2, 3].map(() => fetch(`http://127.0.0.1:${port}`));
    const responses = await Promise.all(open);
    streams.endAll();
    for (const response of responses) expect(await response.text()).toBe(':\n');
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe(':\n');
  });

  it.each([[Array(200).fill({})], JSON.parse('[{"__proto__":{}}]'), 'x', null])(
    'hardening: the body of a plain handler may be anything: %#',
    (body) => {
      const response = {} as ServerResponse;
      const incoming = { method: 'POST', body };
      const exchange = { request: incoming, reply: response };
      new GuardedStreams().watch(exchange, { secondsLeft: () => 0 });
      expect(response).toEqual({});
    },
  );

  it('what is no event stream is left alone', async () => {
    const slow: Respond = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{');
      setTimeout(() => response.end('}'), 100);
    };
    const port = await listen(slow, () => 0);
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('{}');
  });

  it('leaves no timer behind when the client goes first', async () => {
    const asked: number[] = [];
    const port = await listen(streaming, () => (asked.push(0), 0.2));
    const response = await fetch(`http://127.0.0.1:${port}`);
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(asked).toHaveLength(1);
  });

  it('hardening: a server that writes on does no harm, also while the client reads nothing', async () => {
    let wrote = 0;
    let writer: NodeJS.Timeout | undefined;
    const writing: Respond = (response) => {
      streaming(response);
      response.write(Buffer.alloc(20_000_000, ':'));
      writer = setInterval(() => {
        response.write(': on\n');
        wrote++;
      }, 10);
    };
    const port = await listen(writing, () => (wrote < 10 ? 0.01 : 0));
    const socket = connect(port, '127.0.0.1');
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => wrote > 15);
    clearInterval(writer);
    socket.destroy();
  });
});
