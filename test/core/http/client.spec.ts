import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';

import { afterEach, describe, expect, it, vi } from 'vitest';

import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { OutboundOverloadError } from '../../../src/core/errors/server-errors.js';
import { OutboundHttp, type OutboundHttpOptions } from '../../../src/core/http/client.js';
import { OutboundHttpError } from '../../../src/core/http/errors.js';
import {
  bodyOf,
  cleanUp,
  client,
  failure,
  later,
  lookupOf,
  pause,
  reasonOf,
  sendJson,
  serve,
  serveRaw,
  watchConnections,
} from '../../support/servers/http-servers.js';
import { standStill } from '../../support/time/stand-still.js';
import { until } from '../../support/time/until.js';

afterEach(cleanUp);

/** A server that answers every request with these bytes and then, unless kept open, hangs up. */
async function answering(bytes: string | Buffer, { keepOpen = false } = {}) {
  return serveRaw((socket) => {
    socket.once('data', () => {
      if (keepOpen) socket.write(bytes);
      else socket.end(bytes);
    });
  });
}

/** `getJson` of a body under this media type. */
async function fetched(body: string | Buffer, type = 'application/json') {
  const { url } = await serve((_, response) => {
    response.writeHead(200, { 'content-type': type });
    response.end(body);
  });
  return client().getJson(url);
}

/** A server on a thread of its own, which answers while this one is busy. */
async function serveFromThread(handler: string) {
  const code = `
    const { parentPort } = require('node:worker_threads');
    const server = require('node:http').createServer(${handler});
    server.once('request', () => parentPort.postMessage('asked'));
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`;
  const worker = new Worker(code, { eval: true });
  later(() => worker.terminate());
  const [port] = (await once(worker, 'message')) as [number];
  return { url: `http://127.0.0.1:${port}`, isAsked: once(worker, 'message') };
}

describe('the URL', () => {
  const production = new OutboundHttp();

  it.each([
    ['/jwks', 'not an absolute URL'],
    ['as.example.com/jwks', 'not an absolute URL'],
    ['', 'not an absolute URL'],
    ['https://', 'not an absolute URL'],
    ['ftp://as.example.com/', 'the scheme ftp:'],
    ['file:///etc/passwd', 'the scheme file:'],
    ['data:application/json,{}', 'the scheme data:'],
    ['http://as.example.com/', 'set devMode'],
    ['HTTP://as.example.com/', 'set devMode'],
    ['https://user@as.example.com/', 'user information'],
    ['https://user:pw@as.example.com/', 'user information'],
    ['https://:pw@as.example.com/', 'user information'],
    ['https://as.example.com/#part', 'fragment'],
    ['https://as.example.com/#', 'fragment'],
    ['https://as.example.com:0/', 'port 0'],
  ])('T51 %j is refused before a socket is opened', async (url, problem) => {
    const attempts = watchConnections();
    const error = await failure(production.getJson(url));
    expect(error.reason).toBe('url');
    expect(error.message).toContain(problem);
    expect(error.message).not.toMatch(/user:|pw|passwd/);
    expect(attempts).toEqual([]);
  });

  it('may have its scheme in capitals, and is then fetched with TLS', async () => {
    const attempts = watchConnections({ refuse: true });
    const http = client({ devMode: false, lookup: lookupOf('8.8.8.8') });
    expect(await reasonOf(http.getJson('HTTPS://as.example.com/jwks'))).toBe('connection');
    expect(attempts).toMatchObject([
      { port: 443, servername: 'as.example.com', rejectUnauthorized: true, minVersion: 'TLSv1.2' },
    ]);
  });

  it('keeps its query out of every message', async () => {
    const { url } = await serve((_, response) => response.writeHead(302).end());
    const error = await failure(client().getJson(`${url}/?token=hush`));
    expect(error.message).toContain('127.0.0.1');
    expect(error.message).not.toContain('hush');
  });
});

describe('a request', () => {
  async function recorded(send: (url: string) => Promise<unknown>) {
    const requests: { message: IncomingMessage; body: string }[] = [];
    const served = await serve((message, response) => {
      void bodyOf(message).then((body) => {
        requests.push({ message, body });
        sendJson(response, {});
      });
    });
    await send(served.url);
    const [request] = requests;
    if (requests.length !== 1 || request === undefined) throw new Error('not one request');
    return { ...request, port: served.port };
  }

  it('to GET asks for JSON without compression', async () => {
    const { message, port } = await recorded((url) => client().getJson(`${url}/a%20b?c=d&e`));
    expect(message.method).toBe('GET');
    expect(message.url).toBe('/a%20b?c=d&e');
    expect(message.headers).toEqual({
      accept: 'application/json, application/jwk-set+json, application/problem+json;q=0.9', // 14
      'accept-encoding': 'identity',
      'user-agent': 'authplane-nestjs',
      host: `127.0.0.1:${port}`,
      connection: 'keep-alive',
    });
  });

  it('to POST sends the form with its length', async () => {
    const form = new URLSearchParams({ grant_type: 'client_credentials', scope: 'a b', ü: '&=' });
    const { message, body } = await recorded((url) => client().postForm(`${url}/token`, form));
    expect(message.method).toBe('POST');
    expect(body).toBe('grant_type=client_credentials&scope=a+b&%C3%BC=%26%3D');
    expect(message.headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(body.length),
    });
  });

  it('to POST carries the headers of its caller, which cannot replace those of the client', async () => {
    const { message } = await recorded((url) =>
      client().postForm(url, new URLSearchParams(), {
        Authorization: 'Basic eA==',
        DPoP: 'proof',
        Host: 'evil.example.com',
        'Accept-Encoding': 'gzip',
        'Content-Length': '7',
        'Content-Type': 'text/plain',
      }),
    );
    expect(message.headers).toMatchObject({
      authorization: 'Basic eA==',
      dpop: 'proof',
      'accept-encoding': 'identity',
      'content-length': '0',
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(message.headers.host).toMatch(/^127\.0\.0\.1:/);
  });

  it('names host and port as the URL does', async () => {
    const lookup = lookupOf('127.0.0.1');
    const { message, port } = await recorded((url) =>
      client({ lookup }).getJson(url.replace('127.0.0.1', 'AS.example.com')),
    );
    expect(message.headers.host).toBe(`as.example.com:${port}`);
  });

  it('reaches an IPv6 literal', async () => {
    const served = await serve((message, response) => {
      sendJson(response, { host: message.headers.host });
    }, '::1').catch((error: unknown) => console.warn('SKIPPED: no IPv6 loopback here', error));
    if (served === undefined) return;
    const { json } = await client().getJson(served.url);
    expect(json).toEqual({ host: `[::1]:${served.port}` });
  });

  it('T55 brings no cookie back', async () => {
    const cookies: unknown[] = [];
    const { url } = await serve((request, response) => {
      cookies.push(request.headers.cookie);
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      sendJson(response, {});
    });
    const http = client();
    const { headers } = await http.getJson(url);
    await http.getJson(url);
    expect(headers['set-cookie']).toBe('a=1, b=2');
    expect(cookies).toEqual([undefined, undefined]);
  });

  it('waits for a free connection once maxSockets are in use', async () => {
    const { url, sockets } = await serve((_, response) => {
      setTimeout(() => sendJson(response, {}), 20);
    });
    const http = client({ maxSockets: 2 });
    const answers = await Promise.all(Array.from({ length: 8 }, () => http.getJson(url)));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(sockets).toHaveLength(2);
  });

  it('gives its connection back when the answer is refused', async () => {
    const { url } = await serve((request, response) => {
      if (request.url === '/') sendJson(response, {});
      else response.writeHead(302, { 'content-type': 'text/html' }).end('<p>');
    });
    const http = client({ maxSockets: 1 });
    expect(await reasonOf(http.getJson(`${url}/moved`))).toBe('redirect');
    expect((await http.getJson(url)).status).toBe(200);
  });

  it('uses an idle connection again', async () => {
    const { url, sockets } = await serve((_, response) => sendJson(response, {}));
    const http = client();
    for (let i = 0; i < 5; i++) await http.getJson(url);
    expect(sockets).toHaveLength(1);
  });

  it('13.7: makes no signal over a connection that stands', async () => {
    const { url } = await serve((_, response) => sendJson(response, {}));
    const http = client();
    await http.getJson(url);
    const made = vi.spyOn(globalThis, 'AbortController');
    try {
      for (let i = 0; i < 3; i++) await http.postForm(url, new URLSearchParams());
      expect(made).not.toHaveBeenCalled();
    } finally {
      made.mockRestore();
    }
  });
});

describe('an answer', () => {
  it('carries status, headers and JSON', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(401, { 'Content-Type': 'application/json', 'X-One': 'a', 'x-two': 'b' });
      response.end('{"error":"invalid_client"}');
    });
    const answer = await client().getJson(url);
    expect(answer.status).toBe(401);
    expect(answer.json).toEqual({ error: 'invalid_client' });
    expect(answer).not.toHaveProperty('notJson');
    expect(answer.headers).toMatchObject({ 'x-one': 'a', 'x-two': 'b' });
    expect(Object.getPrototypeOf(answer.headers)).toBeNull();
    expect(Object.isFrozen(answer.headers)).toBe(true);
  });

  it('keeps a header named __proto__ a plain header', async () => {
    const { url } = await answering('HTTP/1.1 200 OK\r\n__proto__: x\r\ncontent-length: 0\r\n\r\n');
    const { headers } = await client().getJson(url);
    expect(Object.keys(headers)).toContain('__proto__');
  });

  it.each([
    'application/json',
    'APPLICATION/JSON',
    'application/json;charset=utf-8',
    'application/json; Charset="UTF-8"; profile=x',
    'application/jwk-set+json',
    'application/problem+JSON',
    'application/token-introspection+json; x=y',
  ])('T54 of media type %s is JSON', async (type) => {
    expect((await fetched('{"a":1}', type)).json).toEqual({ a: 1 });
  });

  it.each([
    ['text/html; charset=utf-8', 'media type text/html'],
    ['text/json', 'media type text/json'],
    ['application/jsonp', 'media type application/jsonp'],
    ['application/+json', 'media type application/+json'],
    ['application/jwt', 'media type application/jwt'],
    ['text/x+json', 'media type text/x+json'],
    ['application/json; charset=utf-16', 'charset other than utf-8'],
    ['application/json; charset=latin1', 'charset other than utf-8'],
    ['application/json, text/html', 'unreadable media type'],
    ['json', 'unreadable media type'],
    ['<script>/x', 'unreadable media type'],
  ])('T54 of media type %s is not JSON', async (type, notJson) => {
    const answer = await fetched('{"a":1}', type);
    expect(answer).toMatchObject({ status: 200, notJson });
    expect(answer.json).toBeUndefined();
  });

  it('T54 without a media type is not JSON', async () => {
    const { url } = await answering('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
    expect((await client().getJson(url)).notJson).toBe('no media type');
  });

  it('T54 with two media types is not JSON', async () => {
    const type = 'content-type: application/json\r\n';
    const { url } = await answering(`HTTP/1.1 200 OK\r\n${type}${type}content-length: 2\r\n\r\n{}`);
    expect((await client().getJson(url)).notJson).toBe('unreadable media type');
  });

  it.each([
    ['a byte order mark', Buffer.from('\ufeff{}'), 'not valid JSON'],
    ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'not valid UTF-8'],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le'), 'not valid JSON'],
    ['NaN', '{"exp":NaN}', 'not valid JSON'],
    ['half a document', '{"issuer":"https:', 'not valid JSON'],
    ['a member twice', '{"issuer":"a","issuer":"b"}', 'a member is named twice'],
    ['deep nesting', '['.repeat(40) + ']'.repeat(40), 'nested too deeply'],
  ])('T54 with %s is not JSON', async (_, body, notJson) => {
    const answer = await fetched(body);
    expect(answer.json).toBeUndefined();
    expect(answer.notJson).toBe(notJson);
  });

  it('of HTML keeps its status, and nothing quotes it', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>secret</h1>');
    });
    const answer = await client().getJson(url);
    expect(answer.status).toBe(502);
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  it.each([200, 204])('with an empty body and status %d is returned', async (status) => {
    const { url } = await serve((_, response) => response.writeHead(status).end());
    const answer = await client().getJson(url);
    expect(answer).toMatchObject({ status, notJson: 'empty body' });
    expect(answer.json).toBeUndefined();
  });

  it('tells the JSON value null from no JSON', async () => {
    const answer = await fetched('null');
    expect(answer.json).toBeNull();
    expect(answer).not.toHaveProperty('notJson');
  });

  it('may come after interim answers', async () => {
    const { url } = await answering(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n' +
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}',
    );
    expect((await client().getJson(url)).json).toEqual({});
  });

  it('may end with trailers, which are ignored', async () => {
    const { url } = await answering(
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n' +
        '2\r\n{}\r\n0\r\ncontent-type: text/html\r\n\r\n',
    );
    const { json, headers } = await client().getJson(url);
    expect(json).toEqual({});
    expect(headers['content-type']).toBe('application/json');
  });
});

describe('no usable answer is', () => {
  it.each([300, 301, 302, 303, 304, 307, 308])('T51 a redirect (%d)', async (status) => {
    const target = await serve((_, response) => sendJson(response, {}));
    const { url } = await serve((_, response) => {
      response.writeHead(status, { location: target.url }).end();
    });
    const http = client();
    expect(await reasonOf(http.getJson(url))).toBe('redirect');
    expect(await reasonOf(http.postForm(url, new URLSearchParams()))).toBe('redirect');
    expect(target.sockets).toHaveLength(0);
  });

  it.each(['gzip', 'br', 'deflate', 'GZIP', 'gzip, gzip', 'identity, gzip', 'x-unknown'])(
    'T53 a body in content-encoding %s',
    async (encoding) => {
      const { url } = await serve((_, response) => {
        response.writeHead(200, {
          'content-type': 'application/json',
          'content-encoding': encoding,
        });
        response.end(gzipSync('{}'));
      });
      expect(await reasonOf(client().getJson(url))).toBe('content_encoding');
    },
  );

  it('not a body in content-encoding identity', async () => {
    const { url } = await serve((_, response) => {
      response.setHeader('content-encoding', 'Identity');
      sendJson(response, {});
    });
    expect((await client().getJson(url)).json).toEqual({});
  });

  it('T53 a body whose announced length exceeds maxBytes', async () => {
    const { url } = await answering(
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1025\r\n\r\n',
      { keepOpen: true },
    );
    expect(await reasonOf(client({ maxBytes: 1024 }).getJson(url))).toBe('too_large');
  });

  it('T53 an endless chunked body', async () => {
    let isGone = false;
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = setInterval(() => response.write('x'.repeat(512)), 1);
      response.on('close', () => {
        clearInterval(more);
        isGone = true;
      });
    });
    expect(await reasonOf(client({ maxBytes: 4096 }).getJson(url))).toBe('too_large');
    await until(() => isGone);
  });

  it('T53 an endless body without length or chunks', async () => {
    const { url } = await answering(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n${'x'.repeat(5000)}`,
      { keepOpen: true },
    );
    expect(await reasonOf(client({ maxBytes: 4096 }).getJson(url))).toBe('too_large');
  });

  it('not a body of exactly maxBytes', async () => {
    const { url } = await serve((_, response) => sendJson(response, 'x'.repeat(1022)));
    expect((await client({ maxBytes: 1024 }).getJson(url)).status).toBe(200);
    expect(await reasonOf(client({ maxBytes: 1023 }).getJson(url))).toBe('too_large');
  });

  it.each([
    ['a body that ends early', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}'],
    [
      'a chunked body that ends early',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{',
    ],
    ['half a header block', 'HTTP/1.1 200 OK\r\ncontent-'],
    ['no answer at all', ''],
    ['something that is not HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['headers of 1 MB', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1_000_000)}\r\n\r\n`],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} '],
    [
      'a length beside chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    ],
    [
      'a switch of protocols',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n',
    ],
  ])('T53 %s', async (_, bytes) => {
    const { url } = await answering(bytes);
    const error = await failure(client().getJson(url));
    expect(error.reason).toBe('connection');
    expect(error.message).toContain('127.0.0.1');
  });

  it('one whose bytes are kept by the error', async () => {
    const { url } = await answering('access_token=hush\r\n\r\n');
    const error = await failure(client().getJson(url));
    expect(error.message).toContain('HPE_');
    expect(error.cause).toBeUndefined();
  });
});

describe('the deadline', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

  function drip(socket: Socket, text: string): void {
    const timer = setInterval(() => socket.write(text), 20);
    socket.on('close', () => clearInterval(timer));
  }

  it.each<[string, (socket: Socket) => void]>([
    ['a server that never answers', () => undefined],
    ['a body that comes byte by byte', (s) => void (s.write(`${HEAD}\r\n`), drip(s, ' '))],
    ['headers that come byte by byte', (s) => void (s.write(`${HEAD}x: `), drip(s, 'y'))],
    ['interim answers without end', (s) => drip(s, 'HTTP/1.1 102 Processing\r\n\r\n')],
    ['a body that stops', (s) => void s.write(`${HEAD}content-length: 9\r\n\r\n{`)],
    [
      'trailers that come byte by byte',
      (s) => void (s.write(`${HEAD}transfer-encoding: chunked\r\n\r\n0\r\nx: `), drip(s, 'y')),
    ],
  ])('T53 ends %s', async (_, onConnection) => {
    const { url, sockets } = await serveRaw((socket) => onConnection(socket.resume()));
    const error = await failure(client({ timeoutMs: 250 }).getJson(url)); // or it would never end
    expect(error.reason).toBe('timeout');
    expect(error.message).toContain('250 ms');
    await until(() => sockets.every((socket) => socket.closed || socket.destroyed));
  });

  it('T53 covers the name resolution, whose late failure harms nobody', async () => {
    let fail: (error: Error) => void = () => undefined;
    let given: AbortSignal | undefined;
    const http = client({
      timeoutMs: 50,
      lookup: (_, signal) => {
        given = signal;
        return new Promise((_resolve, reject) => (fail = reject));
      },
    });
    expect(await reasonOf(http.getJson('http://as.example.com/'))).toBe('timeout');
    expect(given?.aborted).toBe(true);
    fail(new Error('late'));
    await pause(10);
  });

  it.each<[string, OutboundHttpOptions]>([
    ['a connection', {}],
    ['the user’s fetch', { fetch }],
  ])(
    '10.11a: begins with the turn of a call, with %s; who never had one is told so',
    async (_, by) => {
      const answers: (() => void)[] = [];
      const { url } = await serve((_request, response) => {
        answers.push(() => sendJson(response, {}));
      });
      const http = client({ timeoutMs: 2000, maxSockets: 1, ...by });
      const [first, second, third] = [http.getJson(url), http.getJson(url), http.getJson(url)];
      const given = third.catch((error: unknown) => error);
      await pause(1000);
      answers[0]?.();
      expect((await first).status).toBe(200);
      const error = await given; // after 2000 ms, the half of which the second has been under way
      answers[1]?.();
      expect((await second).status).toBe(200);
      expect(error).toBeInstanceOf(OutboundOverloadError);
      expect(error).toMatchObject({ code: 'outbound_overload', retryAfterSeconds: 1 });
      expect((error as Error).message).toContain('maxSockets');
      expect(answers).toHaveLength(2);
    },
  );

  it('10.11a: is kept by an answer that has arrived while this process stood still', async () => {
    const { url, isAsked } = await serveFromThread(`(request, response) => setTimeout(() => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"in":"time"}');
    }, 300)`);
    const asked = client({ timeoutMs: 1000 }).getJson(url);
    await isAsked; // and does not answer yet
    standStill(2500); // now the timer and the answer are both due
    expect((await asked).json).toEqual({ in: 'time' });
  });

  it('covers a TLS handshake that gets no answer', async () => {
    const { url } = await serveRaw(() => undefined);
    const http = client({ timeoutMs: 150 });
    expect(await reasonOf(http.getJson(url.replace('http:', 'https:')))).toBe('timeout');
  });

  it('holds for a POST', async () => {
    const { url } = await serveRaw(() => undefined);
    const http = client({ timeoutMs: 150 });
    expect(await reasonOf(http.postForm(url, new URLSearchParams()))).toBe('timeout');
  });

  it('is gone once there is an answer', async () => {
    const { port } = await serve((_, response) => sendJson(response, {}));
    let given: AbortSignal | undefined;
    const http = client({
      timeoutMs: 100,
      lookup: async (_, signal) => {
        given = signal;
        return [{ address: '127.0.0.1', family: 4 }];
      },
    });
    await http.getJson(`http://as.example.com:${port}/`);
    await pause(150);
    expect(given?.aborted).toBe(false);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])(
    'and the other limits cannot be %d',
    (value) => {
      expect(() => new OutboundHttp({ timeoutMs: value })).toThrow(ConfigurationError);
      expect(() => new OutboundHttp({ maxBytes: value })).toThrow(ConfigurationError);
      expect(() => new OutboundHttp({ maxSockets: value })).toThrow(ConfigurationError);
    },
  );
});

describe('a connection that breaks', () => {
  /** Answers the first request of each connection and resets it at the second. */
  async function stale(partial = '') {
    const requests: string[] = [];
    const served = await serveRaw((socket) => {
      let served = 0;
      socket.on('data', (bytes) => {
        requests.push(String(bytes).split(' ', 1)[0] ?? '');
        if (served++ === 0) {
          socket.write(
            'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}',
          );
        } else if (partial === '') socket.resetAndDestroy();
        else socket.end(partial);
      });
    });
    return { ...served, requests };
  }

  it('while idle makes a GET be sent once more', async () => {
    const { url, requests } = await stale();
    const http = client();
    await http.getJson(url);
    expect((await http.getJson(url)).json).toEqual({});
    expect(requests).toEqual(['GET', 'GET', 'GET']);
  });

  it('while idle does not make a POST be sent once more', async () => {
    const { url, requests } = await stale();
    const http = client();
    await http.getJson(url);
    expect(await reasonOf(http.postForm(url, new URLSearchParams({ a: 'b' })))).toBe('connection');
    await pause(50);
    expect(requests).toEqual(['GET', 'POST']);
  });

  it('10.11a: is said to have been stale, and a new one can be demanded', async () => {
    const { url } = await stale();
    const http = client();
    const form = new URLSearchParams({ a: 'b' });
    await http.getJson(url);
    await expect(http.postForm(url, form)).rejects.toMatchObject({ stale: true });
    await http.getJson(url);
    expect((await http.postForm(url, form, {}, true)).json).toEqual({});
    const nobody = await serveRaw((socket) => void socket.once('data', () => socket.destroy()));
    await expect(http.postForm(nobody.url, form)).rejects.toMatchObject({ stale: false });
  });

  it('after a byte of the answer does not make a GET be sent once more', async () => {
    const { url, requests } = await stale('HTTP/1.1 200');
    const http = client();
    await http.getJson(url);
    expect(await reasonOf(http.getJson(url))).toBe('connection');
    expect(requests).toEqual(['GET', 'GET']);
  });

  it('though new is not replaced, for GET and POST', async () => {
    let connections = 0;
    const { url } = await serveRaw((socket) => {
      connections++;
      socket.once('data', () => socket.resetAndDestroy());
    });
    const http = client();
    expect(await reasonOf(http.getJson(url))).toBe('connection');
    expect(connections).toBe(1);
    expect(await reasonOf(http.postForm(url, new URLSearchParams()))).toBe('connection');
    expect(connections).toBe(2);
  });

  it('while idle makes a GET take a new one, not the next idle one', async () => {
    const { url, requests } = await stale();
    const http = client();
    await Promise.all([http.getJson(url), http.getJson(url), http.getJson(url)]);
    expect((await http.getJson(url)).json).toEqual({});
    expect(requests).toHaveLength(5);
  });

  it('twice fails a GET', async () => {
    let healthy = true;
    let requests = 0;
    const { url } = await serveRaw((socket) => {
      socket.on('data', () => {
        requests++;
        if (healthy) socket.write('HTTP/1.1 204 No Content\r\n\r\n');
        else socket.resetAndDestroy();
      });
    });
    const http = client();
    await http.getJson(url);
    healthy = false;
    expect(await reasonOf(http.getJson(url))).toBe('connection');
    expect(requests).toBe(3);
  });

  it.each(['content-length: 9\r\n', 'transfer-encoding: chunked\r\n', ''])(
    'in the middle of a body (%j) leaves no answer, though what came is JSON',
    async (framing) => {
      const { url } = await serveRaw((socket) => {
        socket.resume();
        const chunk = framing.startsWith('transfer') ? '2\r\n{}\r\n' : '{}';
        socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${framing}\r\n${chunk}`);
        setTimeout(() => socket.resetAndDestroy(), 50);
      });
      expect(await reasonOf(client().getJson(url))).toBe('connection');
    },
  );

  it('in good order ends a body that has no length', async () => {
    const { url } = await answering('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}');
    expect((await client().getJson(url)).json).toEqual({});
  });

  it('does not spoil the next request', async () => {
    let first = true;
    const { url } = await serve((request, response) => {
      if (first) request.socket.destroy();
      else sendJson(response, {});
      first = false;
    });
    const http = client();
    expect(await reasonOf(http.getJson(url))).toBe('connection');
    expect((await http.getJson(url)).status).toBe(200);
  });
});

describe('close', () => {
  it('ends requests in flight, at any stage', async () => {
    const silent = await serveRaw(() => undefined);
    const started = await answering('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{', {
      keepOpen: true,
    });
    const http = client({
      lookup: (host) =>
        host === 'hangs.example.com'
          ? new Promise(() => undefined)
          : Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    });
    const reasons = Promise.all(
      [silent.url, started.url, 'http://hangs.example.com/'].map((url) =>
        reasonOf(http.getJson(url)),
      ),
    );
    await pause(100);
    http.close();
    expect(await reasons).toEqual(['closed', 'closed', 'closed']);
  });

  it('drops idle connections', async () => {
    const { url, sockets } = await serve((_, response) => sendJson(response, {}));
    const http = client();
    await http.getJson(url);
    const [socket] = sockets;
    if (socket === undefined) throw new Error('no connection');
    const ended = once(socket, 'close');
    http.close();
    await ended; // else the test times out
    expect(socket.destroyed).toBe(true);
  });

  it('refuses later requests, and may be repeated', async () => {
    const http = client();
    http.close();
    http.close();
    const error = await failure(http.getJson('http://127.0.0.1:1/'));
    expect(error).toBeInstanceOf(OutboundHttpError);
    expect(error.reason).toBe('closed');
    expect(await reasonOf(http.postForm('http://127.0.0.1:1/', new URLSearchParams()))).toBe(
      'closed',
    );
  });
});
