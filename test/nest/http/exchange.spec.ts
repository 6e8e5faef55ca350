import { IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { describe, expect, it, test, vi } from 'vitest';
import {
  exchangeOf,
  type HttpExchange,
  keepPrivate,
  nodeRequest,
  nodeResponse,
  offerHeaders,
} from '../../../src/nest/http/exchange.js';

/** As Express hands them out: Node's own. */
function express(): HttpExchange & { readonly reply: ServerResponse } {
  const request = new IncomingMessage(new Socket());
  return { request, reply: new ServerResponse(request) } as never;
}

/** What Fastify sends, whose reply has headers of its own until then. */
async function throughFastify(handle: (exchange: HttpExchange) => void) {
  const adapter = new FastifyAdapter();
  adapter.getInstance().get('/', (request, reply) => {
    handle({ request, reply });
    return 'sent';
  });
  const { headers } = await adapter.inject({ url: '/' });
  await adapter.close();
  return headers;
}

async function throughExpress(handle: (exchange: HttpExchange) => void) {
  const { reply } = express();
  handle({ ...express(), reply });
  reply.writeHead(200);
  return Promise.resolve(reply.getHeaders());
}

describe('one request and the place for its answer', () => {
  it('of an execution context', () => {
    const { request, reply } = express();
    expect(exchangeOf(new ExecutionContextHost([request, reply]))).toEqual({ request, reply });
  });

  test('13.2: of what Nest hands out nothing is made anew, and whoever stands in for it is asked to switch', () => {
    const { request, reply } = express();
    const context = new ExecutionContextHost([request, reply]);
    const switched = vi.spyOn(context, 'switchToHttp');
    expect(exchangeOf(context)).toEqual({ request, reply });
    expect(switched).not.toHaveBeenCalled();
    const http = { getRequest: () => request, getResponse: () => reply, getNext: () => undefined };
    const standIns = [{}, { getArgs: () => undefined }, { getArgs: () => [] }];
    for (const standIn of standIns) {
      const given = { ...standIn, switchToHttp: () => http } as never;
      expect(exchangeOf(given)).toEqual({ request, reply });
    }
  });

  it("on Express they are Node's own", () => {
    const exchange = express();
    expect(nodeRequest(exchange)).toBe(exchange.request);
    expect(nodeResponse(exchange)).toBe(exchange.reply);
  });

  it('on Fastify they are inside', async () => {
    let found: unknown[] = [];
    await throughFastify((exchange) => {
      found = [
        nodeRequest(exchange) instanceof IncomingMessage,
        nodeResponse(exchange).constructor.name,
      ];
      expect(nodeResponse(exchange)).not.toBe(exchange.reply);
    });
    expect(found).toEqual([false, 'Response']); // those of light-my-request, which `inject` makes
  });
});

describe('offerHeaders', () => {
  const headers = { 'DPoP-Nonce': 'n', 'Cache-Control': 'no-store' };

  it('is on the answer of the handler', async () => {
    const { reply } = express();
    offerHeaders({ reply }, headers);
    expect(reply.getHeaders()).toEqual({ 'dpop-nonce': 'n', 'cache-control': 'no-store' });
    expect(await throughFastify((exchange) => offerHeaders(exchange, headers))).toMatchObject({
      'dpop-nonce': 'n',
    });
  });
});

describe('RFC 9111 §4.1, §5.2.2.7: keepPrivate', () => {
  const kept = (headers: Record<string, string | string[]>) => {
    const { reply } = express();
    for (const [name, value] of Object.entries(headers)) reply.setHeader(name, value);
    keepPrivate({ reply });
    return [reply.getHeader('cache-control'), reply.getHeader('vary')];
  };

  it.each<[Record<string, string | string[]>, string, string | string[]]>([
    [{}, 'private', 'Authorization'],
    [{ 'Cache-Control': 'no-store' }, 'no-store', 'Authorization'],
    [{ 'Cache-Control': 'public, max-age=60' }, 'public, max-age=60', 'Authorization'],
    [{ Vary: 'Origin' }, 'private', 'Origin, Authorization'],
    [{ Vary: ['Origin', 'Accept'] }, 'private', 'Origin, Accept, Authorization'],
    [{ Vary: 'Origin, authorization' }, 'private', 'Origin, authorization'],
    [{ Vary: ' AUTHORIZATION ,Origin' }, 'private', ' AUTHORIZATION ,Origin'],
    [{ Vary: '*' }, 'private', '*'],
    [{ Vary: 'X-Authorization' }, 'private', 'X-Authorization, Authorization'],
  ])('after %j the answer has %j and %j', (headers, cacheControl, vary) => {
    expect(kept(headers)).toEqual([cacheControl, vary]);
  });

  it('sees what was said on the reply of Fastify, which would win when it is sent', async () => {
    const headers = await throughFastify((exchange) => {
      exchange.reply.header?.('cache-control', 'no-cache');
      exchange.reply.header?.('vary', 'Origin');
      keepPrivate(exchange);
    });
    expect(headers).toMatchObject({ 'cache-control': 'no-cache', vary: 'Origin, Authorization' });
    expect(await throughFastify(keepPrivate)).toMatchObject({
      'cache-control': 'private',
      vary: 'Authorization',
    });
  });

  it('what the handler says later wins', async () => {
    const { reply } = express();
    keepPrivate({ reply });
    reply.setHeader('Cache-Control', 'public');
    expect(reply.getHeader('cache-control')).toBe('public');
  });
});

describe('13.1: headers that are offered on Fastify', () => {
  const offered = { 'X-Why': 'ours' };

  test("keepPrivate sets none on Node's response, beside which Node would set all others one by one", async () => {
    let names: string[] = [];
    const headers = await throughFastify((exchange) => {
      keepPrivate(exchange);
      names = nodeResponse(exchange).getHeaderNames();
    });
    expect(headers).toMatchObject({ 'cache-control': 'private', vary: 'Authorization' });
    expect(names).not.toContain('vary');
    expect(names).not.toContain('cache-control');
  });

  test.each<[string, (exchange: HttpExchange & { reply: { hijack?(): void } }) => void, unknown]>([
    ['nothing more', () => undefined, 'ours'],
    ['the same on the reply', ({ reply }) => reply.header?.('x-why', 'its own'), 'its own'],
    ["the same on Node's response", (it) => nodeResponse(it).setHeader('x-why', 'raw'), 'raw'],
  ])('a handler that says %s', async (_, say, expected) => {
    const headers = await throughFastify((exchange) => {
      offerHeaders(exchange, offered);
      say(exchange);
    });
    expect(headers['x-why']).toBe(expected);
  });

  test.each<[string, (response: ServerResponse) => void, unknown]>([
    ['with a head', (response) => response.writeHead(200, { a: 'b' }).end(), 'ours'],
    ['without', (response) => response.end('x'), 'ours'],
    ['with its own', (response) => response.writeHead(200, { 'X-WHY': 'raw' }).end(), 'raw'],
    ['that has it set', (response) => response.setHeader('x-why', 'raw').end(), 'raw'],
  ])("a handler that answers on Node's response %s", async (_, answer, expected) => {
    const headers = await throughFastify((exchange) => {
      offerHeaders(exchange, offered);
      (exchange.reply as { hijack?(): void }).hijack?.();
      answer(nodeResponse(exchange));
    });
    expect(headers['x-why']).toBe(expected);
  });

  test('a handler that copies the headers of the reply beside its own, as Nest 11 does for streams', async () => {
    const adapter = new FastifyAdapter();
    adapter.getInstance().get('/', (_, reply) => {
      offerHeaders({ reply }, offered);
      reply.hijack();
      const copied = { ...reply.getHeaders(), 'X-Why': 'its own' };
      reply.raw.writeHead(200, copied as OutgoingHttpHeaders).end();
    });
    const url = await adapter.getInstance().listen({ port: 0, host: '127.0.0.1' });
    const { headers } = await fetch(url);
    expect(headers.get('x-why')).toBe('its own');
    await adapter.close();
  });

  test.each([
    ['on Fastify', throughFastify],
    ['on Express', throughExpress],
  ])('are taken back %s for an answer of another status', async (_, through) => {
    const isError = (status: number) => status >= 400;
    const headers = await through((exchange) => {
      nodeResponse(exchange).setHeader('x-older', 'older');
      offerHeaders(exchange, { ...offered, 'X-Older': 'ours' }, isError);
    });
    expect([headers['x-why'], headers['x-older']]).toEqual([undefined, 'older']);
  });
});
