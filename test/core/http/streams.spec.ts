import { afterEach, describe, expect, test } from 'vitest';
import type { IncomingMessage } from 'node:http';
import { OutboundHttpError } from '../../../src/core/http/errors.js';
import { OutboundStreams } from '../../../src/core/http/streams.js';
import { bodyOf, cleanUp, later, lookupOf, serve } from '../../support/servers/http-servers.js';

afterEach(cleanUp);

const request = {
  method: 'POST',
  headers: { 'x-a': 'b' },
  body: '{}',
  signal: new AbortController().signal,
} as const;

function streams(url: string, options = {}): OutboundStreams {
  const one = new OutboundStreams(new URL(url), { devMode: true, ...options });
  later(() => one.close());
  return one;
}

describe('14.D: streamed calls to services', () => {
  test('an answer is there with its head, and connections are used again', async () => {
    const { url, sockets } = await serve((incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' }).write('first');
      void bodyOf(incoming).then((body) =>
        response.end(` ${body} ${String(incoming.headers['x-a'])}`),
      );
    });
    const one = streams(url);
    for (let times = 0; times < 3; times++) {
      const answer = await one.send(request);
      expect(answer.statusCode).toBe(200);
      expect(await bodyOf(answer)).toBe('first {} b');
    }
    expect(sockets).toHaveLength(1);
  });

  test.each(['http://127.0.0.1:1/mcp', 'http://[::1]:1/mcp', 'http://10.1.2.3/mcp'])(
    'without devMode nothing is sent to %s',
    async (url) => {
      const sent = streams(url, { devMode: false }).send(request);
      await expect(sent).rejects.toMatchObject({ reason: 'address_refused' });
    },
  );

  test('names are judged by all of their addresses, when a connection is made', async () => {
    const lookup = lookupOf('93.184.216.34', '169.254.169.254');
    const sent = streams('http://service.example/', { lookup }).send(request);
    await expect(sent).rejects.toMatchObject({ reason: 'address_refused' });
    await expect(sent).rejects.toThrow(/trusted|correct/);
    const none = streams('http://service.example/', { lookup: lookupOf() }).send(request);
    await expect(none).rejects.toBeInstanceOf(OutboundHttpError);
  });

  test('cloud metadata is refused with devMode, too, and a trusted service may be anywhere', async () => {
    const sent = streams('http://169.254.169.254/').send(request);
    await expect(sent).rejects.toMatchObject({ reason: 'address_refused' });
    const { port } = await serve((_incoming, response) => response.end('x'));
    const lookup = lookupOf('127.0.0.1');
    const trusted = streams(`http://service.example:${port}/`, {
      lookup,
      devMode: false,
      trusted: true,
    });
    expect((await trusted.send(request)).statusCode).toBe(200);
  });

  test('what is under way when it is closed ends by itself', async () => {
    let release: () => void = () => undefined;
    const { url, sockets } = await serve((_incoming, response) => {
      response.write('a');
      release = () => response.end('b');
    });
    const one = streams(url);
    const answer = await one.send(request);
    one.close();
    release();
    expect(await bodyOf(answer)).toBe('ab');
    while (!sockets[0]?.closed) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('a redirect is an answer', async () => {
    const { url, sockets } = await serve((_incoming, response) => {
      response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    });
    expect((await streams(url).send(request)).statusCode).toBe(302);
    expect(sockets).toHaveLength(1);
  });

  test('the signal ends a call with its own reason, before and after the head', async () => {
    const { url } = await serve((incoming, response) => {
      if (incoming.method === 'GET') response.writeHead(200).write('x');
    });
    const stop = new AbortController();
    const waiting = streams(url).send({ ...request, signal: stop.signal });
    stop.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    const later = new AbortController();
    const answer: IncomingMessage = await streams(url).send({
      method: 'GET',
      headers: {},
      signal: later.signal,
    });
    later.abort(new Error('gone'));
    await expect(bodyOf(answer)).rejects.toThrow();
  });

  test('a refused connection is one', async () => {
    await expect(streams('http://127.0.0.1:1/').send(request)).rejects.toMatchObject({
      reason: 'connection',
    });
  });
});
