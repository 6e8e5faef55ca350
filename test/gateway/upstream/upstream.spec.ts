import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DPoPSigner } from 'authplane-nestjs/core';
import type { UpstreamOptions, UpstreamTokenRequest } from 'authplane-nestjs/gateway';
import type { ProofSigner } from '../../../src/core/dpop/signer.js';
import type { Upstream, UpstreamCall } from '../../../src/gateway/upstream/upstream.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import { cleanUp, type Served, serve } from '../../support/servers/http-servers.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

const JSON_TYPE = { 'content-type': 'application/json' };
const tokenFor = (accessToken: string, tokenType?: 'DPoP') => () =>
  tokenType === undefined ? { accessToken } : { accessToken, tokenType };

describe('14.D: Upstream', () => {
  let answer: (response: ServerResponse, request: IncomingMessage) => void;
  let received: IncomingMessage['headers'][];
  let server: Served;
  beforeEach(async () => {
    received = [];
    answer = (response) => void response.writeHead(200, JSON_TYPE).end('{}');
    server = await serve((request, response) => {
      received.push(request.headers);
      answer(response, request);
    });
  });
  afterEach(cleanUp);

  const answering = (status: number, headers: Record<string, string> = JSON_TYPE) => {
    answer = (response) => void response.writeHead(status, headers).end('secret');
  };
  const upstreamWith = (options: Partial<UpstreamOptions> = {}, more = {}) =>
    upstreamAt(`${server.url}/mcp`, options, more);
  const callOf = (upstream: Upstream, more: Partial<UpstreamCall> = {}): UpstreamCall => ({
    ...askingAs(),
    ...{ method: 'POST', headers: { 'x-a': 'b' }, body: '{}' },
    ...{ strategy: upstream.options.token, operation: { method: 'tools/call', name: 'list' } },
    ...more,
  });
  const call = (upstream: Upstream, more: Partial<UpstreamCall> = {}) =>
    upstream.call(callOf(upstream, more));
  async function run(upstream: Upstream, more: Partial<UpstreamCall> = {}): Promise<string> {
    return text((await call(upstream, more)).body);
  }

  test('gives back what can be passed on, as soon as its status is known', async () => {
    const upstream = upstreamWith();
    answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      response.write('data: 1\n\n');
    };
    const events = await call(upstream);
    expect([events.status, events.isEvents, upstream.inFlight]).toEqual([200, true, 1]);
    events.body.on('error', () => undefined).destroy();
    answering(404);
    const refusal = await call(upstream);
    expect([refusal.status, refusal.isEvents, await text(refusal.body)]).toEqual([
      ...[404, false, 'secret'],
    ]);
    await expect.poll(() => upstream.inFlight).toBe(0);
    expect([upstream.breaker.state, upstream.lastError]).toEqual(['closed', undefined]);
  });

  test.each<[number, Record<string, string>, object]>([
    [503, JSON_TYPE, { code: 'upstream_failed', status: 503, maybeExecuted: true }],
    [302, { location: '/' }, { code: 'upstream_failed', message: expect.stringMatching(/final/) }],
    [200, { 'content-type': 'text/html' }, { code: 'upstream_failed', maybeExecuted: true }],
    [200, { ...JSON_TYPE, 'content-encoding': 'gzip' }, { code: 'upstream_failed' }],
    [429, { 'retry-after': '7' }, { code: 'upstream_rate_limited', retryAfterSeconds: 7 }],
    [401, JSON_TYPE, { code: 'upstream_refused', maybeExecuted: false }],
  ])('%d %j is none of that', async (status, headers, expected) => {
    const upstream = upstreamWith();
    answering(status, headers);
    const error = await call(upstream).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ ...expected, upstream: 'cal' });
    expect(String(error)).not.toContain('secret');
    expect(upstream.lastError).toBe((error as { code: string }).code);
    expect(upstream.inFlight).toBe(0);
  });

  test('what belongs to a call may have no content, and takes no place', async () => {
    const upstream = upstreamWith({ maxInFlight: 1, maxQueued: 0 });
    answer = (response) => void response.writeHead(200, JSON_TYPE).write('{');
    const { body } = await call(upstream);
    answering(202, {});
    expect(await run(upstream, { isPartOfCall: true })).toBe('secret');
    await expect(call(upstream)).rejects.toMatchObject({
      ...{ code: 'upstream_busy', retryAfterSeconds: 1, maybeExecuted: false },
    });
    expect(upstream.breaker.state).toBe('closed');
    body.on('error', () => undefined).destroy();
  });

  test('after failures in a row it is spared, and says for how long', async () => {
    const clock = new ManualClock();
    const breaker = { threshold: 2, cooldownSeconds: 30 };
    const upstream = upstreamWith({ breaker }, { clock });
    answering(500);
    for (let times = 0; times < 2; times++) await expect(call(upstream)).rejects.toThrow('500');
    await expect(call(upstream)).rejects.toMatchObject({
      ...{ code: 'upstream_unavailable', retryAfterSeconds: 30, maybeExecuted: false },
    });
    expect(received).toHaveLength(2);
    clock.advance(31);
    answering(200);
    await run(upstream);
    expect([upstream.breaker.state, upstream.lastError]).toEqual(['closed', undefined]);
  });

  test('silence is a time-out; a stream of what comes outside of calls may be silent', async () => {
    const upstream = upstreamWith({ breaker: { threshold: 1 } });
    answer = () => undefined;
    const stop = new AbortController();
    const stream = call(upstream, { timeoutMs: undefined, signal: stop.signal });
    await expect.poll(() => received.length).toBe(1);
    stop.abort(new Error('nobody listens'));
    await expect(stream).rejects.toThrow('nobody listens');
    expect(upstream.breaker.state).toBe('closed');
    await expect(call(upstream, { timeoutMs: 1 })).rejects.toMatchObject({
      code: 'upstream_timeout',
    });
    expect(upstream.breaker.state).toBe('open');
  });

  test('who goes away says nothing about the upstream', async () => {
    const upstream = upstreamWith({ breaker: { threshold: 1 } });
    answer = () => undefined;
    const gone = new AbortController();
    const running = call(upstream, { signal: gone.signal });
    await expect.poll(() => received.length).toBe(1);
    gone.abort(new Error('gone'));
    await expect(running).rejects.toThrow('gone');
    expect([upstream.breaker.state, upstream.inFlight]).toEqual(['closed', 0]);
  });

  test('nothing leaves that holds the inbound token', async () => {
    const upstream = upstreamWith();
    const { caller } = askingAs('ann', { token: 'inbound.token' });
    const body = JSON.stringify({ note: 'Bearer inbound.token' });
    await expect(call(upstream, { caller, body })).rejects.toMatchObject({ rpc: { code: -32602 } });
    expect(received).toEqual([]);
  });

  test('a 401 costs the token, and one more attempt with another one', async () => {
    const retries: unknown[] = [];
    const token = ({ retry }: UpstreamTokenRequest) => {
      retries.push(retry);
      return { accessToken: retry === true ? 'second' : 'first' };
    };
    answer = (response, { headers }) =>
      void response
        .writeHead(headers.authorization === 'Bearer second' ? 200 : 401, JSON_TYPE)
        .end();
    await run(upstreamWith({ token }));
    expect(received.map(({ authorization }) => authorization)).toEqual([
      ...['Bearer first', 'Bearer second'],
    ]);
    expect(retries).toEqual([undefined, true]);
    answering(401);
    await expect(call(upstreamWith({ token: tokenFor('same') }))).rejects.toMatchObject({
      code: 'upstream_refused',
    });
    expect(received).toHaveLength(3);
  });

  test('RFC 9449 §9: a bound token has a proof for its URL, and a nonce that is asked for', async () => {
    const dpop = (await DPoPSigner.generate()) as unknown as ProofSigner;
    const upstream = upstreamWith({ token: tokenFor('bound', 'DPoP') }, { dpop });
    answer = (response, { headers }) => {
      const hasNonce = proofOf(headers)['nonce'] === 'n-1';
      const challenge = { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'n-1' };
      response.writeHead(hasNonce ? 200 : 401, { ...JSON_TYPE, ...(hasNonce ? {} : challenge) });
      response.end('{}');
    };
    await run(upstream);
    expect(received.map((headers) => headers.authorization)).toEqual(['DPoP bound', 'DPoP bound']);
    expect(proofOf(received[1] ?? {})).toMatchObject({
      ...{ htm: 'POST', htu: `${server.url}/mcp`, nonce: 'n-1' },
    });
    await run(upstream); // remembers it
    expect(received).toHaveLength(3);
  });

  test('a bound token without a signer is a mistake of the application', async () => {
    const upstream = upstreamWith({ token: tokenFor('bound', 'DPoP') });
    await expect(call(upstream)).rejects.toThrow(/set the option dpop of AuthplaneModule/);
    expect(upstream.breaker.state).toBe('closed');
  });

  test('no connection is a failure in which nothing was done for sure only before it was sent', async () => {
    const upstream = upstreamWith();
    await cleanUp();
    await expect(call(upstream)).rejects.toMatchObject({ code: 'upstream_failed' });
  });

  test('a private address is refused before a connection, unless the upstream is trusted', async () => {
    const calledAt = (options: Partial<UpstreamOptions>) =>
      call(upstreamAt('https://127.0.0.1:9/mcp', options, { devMode: false }));
    await expect(calledAt({})).rejects.toMatchObject({
      ...{ code: 'upstream_failed', maybeExecuted: false },
      message: expect.stringMatching(/is not a public one .*trusted/),
    });
    await expect(calledAt({ trusted: true })).rejects.toMatchObject({
      ...{ code: 'upstream_failed', maybeExecuted: true }, // nobody listens there
    });
  });
});

function proofOf({ dpop }: IncomingMessage['headers']): Record<string, unknown> {
  const [, claims = ''] = String(dpop).split('.');
  return JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
}
