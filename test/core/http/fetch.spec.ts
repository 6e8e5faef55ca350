import { afterEach, describe, expect, it } from 'vitest';

import type { OutboundHttp, OutboundHttpOptions } from '../../../src/core/http/client.js';
import type { OutboundFetch } from '../../../src/core/http/fetch.js';
import {
  bodyOf,
  cleanUp,
  client,
  failure,
  lookupOf,
  reasonOf,
  sendJson,
  serve,
  serveRaw,
  watchConnections,
} from '../../support/servers/http-servers.js';
import { until } from '../../support/time/until.js';

afterEach(cleanUp);

const JSON_TYPE = { 'content-type': 'application/json' };
const AS = 'https://as.example.com/token';

function using(fetch: OutboundFetch, options: OutboundHttpOptions = {}): OutboundHttp {
  return client({ devMode: false, timeoutMs: 500, fetch, ...options });
}

/** A body that goes on until it is cancelled. */
function endless(chunk: string): { body: ReadableStream<Uint8Array>; cancelled: () => boolean } {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(Buffer.from(chunk)),
    cancel: () => void (cancelled = true),
  });
  return { body, cancelled: () => cancelled };
}

describe("the application's own fetch", () => {
  it('may be the one of the platform', async () => {
    const requests: unknown[] = [];
    const { url } = await serve((request, response) => {
      void bodyOf(request).then((body) => {
        requests.push([request.method, request.headers['content-type'], body]);
        sendJson(response, { ok: true }, 'application/problem+json');
      });
    });
    const http = client({ fetch: globalThis.fetch });
    expect((await http.getJson(`${url}/a`)).json).toEqual({ ok: true });
    const form = new URLSearchParams({ a: 'b c' });
    expect((await http.postForm(`${url}/b`, form, { DPoP: 'x' })).status).toBe(200);
    expect(requests).toEqual([
      ['GET', undefined, ''],
      ['POST', 'application/x-www-form-urlencoded', 'a=b+c'],
    ]);
  });

  it('gets the URL and what to send, and no socket is opened beside it', async () => {
    const attempts = watchConnections();
    const seen: unknown[] = [];
    const lookup = lookupOf('10.0.0.5');
    const http = using(
      async (url, { signal, ...init }) => {
        seen.push(url, init, signal.aborted);
        return new Response('{}', { headers: JSON_TYPE });
      },
      { lookup },
    );
    const headers = { Authorization: 'Basic eA==' };
    expect((await http.postForm(AS, new URLSearchParams({ a: 'b' }), headers)).json).toEqual({});
    expect(seen).toEqual([
      AS,
      {
        method: 'POST',
        headers: {
          authorization: 'Basic eA==',
          accept: 'application/json, application/jwk-set+json, application/problem+json;q=0.9',
          'accept-encoding': 'identity',
          'user-agent': 'authplane-nestjs',
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: 'a=b',
        redirect: 'manual',
      },
      false,
    ]);
    expect(lookup.calls).toEqual([]);
    expect(attempts).toEqual([]);
  });

  it.each(['http://as.example.com/', 'https://u:p@as.example.com/', 'https://as.example.com/#x'])(
    'is not asked for %s',
    async (url) => {
      let calls = 0;
      const http = using(async () => new Response(String(calls++)));
      expect(await reasonOf(http.getJson(url))).toBe('url');
      expect(calls).toBe(0);
    },
  );

  it('brings no redirect, shown or hidden', async () => {
    const { url } = await serve((_, response) => response.writeHead(307, { location: AS }).end());
    expect(await reasonOf(client({ fetch: globalThis.fetch }).getJson(url))).toBe('redirect');
    const hidden = new Response(null);
    Object.defineProperties(hidden, { type: { value: 'opaqueredirect' }, status: { value: 0 } });
    expect(await reasonOf(using(async () => hidden).getJson(AS))).toBe('redirect');
    const notModified = new Response(null, { status: 304 });
    expect(await reasonOf(using(async () => notModified).getJson(AS))).toBe('redirect');
  });

  it('brings no decompressed body', async () => {
    const http = using(
      async () => new Response('{}', { headers: { ...JSON_TYPE, 'content-encoding': 'gzip' } }),
    );
    expect(await reasonOf(http.getJson(AS))).toBe('content_encoding');
  });

  it('brings no body beyond maxBytes, which is cancelled', async () => {
    const { body, cancelled } = endless('x'.repeat(100));
    const http = using(async () => new Response(body, { headers: JSON_TYPE }), { maxBytes: 1000 });
    expect(await reasonOf(http.getJson(AS))).toBe('too_large');
    await until(cancelled);
    const announced = using(
      async () => new Response('{}', { headers: { ...JSON_TYPE, 'content-length': '1001' } }),
      { maxBytes: 1000 },
    );
    expect(await reasonOf(announced.getJson(AS))).toBe('too_large');
  });

  it.each<[string, string | Uint8Array | null, Record<string, string>, string]>([
    ['HTML', '<p>', { 'content-type': 'text/html' }, 'media type text/html'],
    ['nothing', null, JSON_TYPE, 'empty body'],
    ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22]), JSON_TYPE, 'not valid UTF-8'],
    ['a byte order mark', '\ufeff{}', JSON_TYPE, 'not valid JSON'],
    ['a member twice', '{"a":1,"a":2}', JSON_TYPE, 'a member is named twice'],
  ])('brings no JSON with %s', async (_, body, headers, notJson) => {
    const answer = await using(async () => new Response(body, { headers })).getJson(AS);
    expect(answer).toMatchObject({ status: 200, json: undefined, notJson });
  });

  it('has the total deadline, also when it ignores the signal', async () => {
    let aborted: unknown;
    const never: OutboundFetch = (_, { signal }) => {
      signal.addEventListener('abort', () => (aborted = signal.reason));
      return new Promise(() => undefined);
    };
    const error = await failure(using(never, { timeoutMs: 60 }).getJson(AS));
    expect(error.reason).toBe('timeout');
    expect(aborted).toBe(error);
    const stuck = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) });
    const http = using(async () => new Response(stuck, { headers: JSON_TYPE }), { timeoutMs: 60 });
    expect(await reasonOf(http.getJson(AS))).toBe('timeout');
  });

  it('has the total deadline when it is the one of the platform', async () => {
    const { url } = await serveRaw((socket) => {
      socket.resume();
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n');
      const drip = setInterval(() => socket.write(' '), 20);
      socket.on('close', () => clearInterval(drip));
    });
    const http = client({ fetch: globalThis.fetch, timeoutMs: 150 });
    expect(await reasonOf(http.getJson(url))).toBe('timeout');
  });

  it('may answer or fail after the deadline without harm', async () => {
    const { body, cancelled } = endless('x');
    let answer: (response: Response) => void = () => undefined;
    let fail: (error: Error) => void = () => undefined;
    const unanswered: OutboundFetch = () =>
      new Promise((resolve, reject) => ([answer, fail] = [resolve, reject]));
    const http = using(unanswered, { timeoutMs: 20 });
    expect(await reasonOf(http.getJson(AS))).toBe('timeout');
    answer(new Response(body));
    await until(cancelled);
    expect(await reasonOf(http.getJson(AS))).toBe('timeout');
    fail(new Error('late'));
    await new Promise(setImmediate);
  });

  it.each<[string, OutboundFetch]>([
    ['rejects', () => Promise.reject(new TypeError('fetch failed'))],
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['answers something else', async () => 'text' as unknown as Response],
    [
      'brings text instead of bytes',
      async () =>
        new Response(
          new ReadableStream<Uint8Array>({
            pull: (controller) => controller.enqueue('text' as unknown as Uint8Array),
          }),
        ),
    ],
  ])('that %s is a failed connection', async (_, fetch) => {
    const error = await failure(using(fetch).getJson(AS));
    expect(error.reason).toBe('connection');
    expect(error.message).toContain('as.example.com');
  });

  it('has its error codes named', async () => {
    const { port } = await serve((_, response) => response.end());
    await cleanUp(); // nobody listens there any more
    const error = await failure(
      client({ fetch: globalThis.fetch }).getJson(`http://127.0.0.1:${port}/`),
    );
    expect(error.message).toContain('(ECONNREFUSED)');
  });

  it('is ended by close', async () => {
    const http = using(() => new Promise(() => undefined));
    const reason = reasonOf(http.getJson(AS));
    http.close();
    expect(await reason).toBe('closed');
  });
});
