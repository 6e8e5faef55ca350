import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exchange } from 'authplane-nestjs/gateway';
import { type CallInSession, callInSession } from '../../../src/gateway/legacy/call-in-session.js';
import { eventsOf } from '../../support/gateway/event-reader.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import { bodyOf, cleanUp, sendJson, serve } from '../../support/servers/http-servers.js';
import { until } from '../../support/time/until.js';

const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

describe('14.F: a call of 2026-07-28 in a session with an older server', () => {
  let old: LegacyUpstream;
  beforeEach(async () => {
    old = await startLegacyUpstream();
  });
  afterEach(async () => {
    await cleanUp();
    await old.stop();
  });

  function callOf(name: string, more: Partial<CallInSession> = {}, url = old.url): CallInSession {
    const params = { name, arguments: {}, _meta: { [CAPABILITIES]: {}, progressToken: 'p' } };
    const item = { own: name, verdict: { token: undefined, timeoutMs: undefined } };
    const request = { id: 5, method: 'tools/call', params };
    const route = { upstream: upstreamAt(url), item } as never;
    return { route, request, params, asking: askingAs(), ...more };
  }
  /** What a client would get of it. */
  async function messages(call: CallInSession) {
    const pass = await callInSession(call);
    const failures: Error[] = [];
    const { url } = await serve((_request, response) => {
      pass(response).catch((error: Error) => {
        failures.push(error);
        response.end();
      });
    });
    const all = [];
    for await (const message of eventsOf(await fetch(url))) all.push(message);
    for (const failure of failures) throw failure;
    return all;
  }

  test('the result is one of 2026-07-28, and the session ends with it', async () => {
    const [answer] = await messages(callOf('count'));
    expect(answer).toMatchObject({
      id: 5,
      result: { resultType: 'complete', content: [{ text: '1' }] },
    });
    await until(() => old.sessions.size === 0);
    expect(old.log.at(0)).toBe('POST new');
    expect(old.received()).toContain('"capabilities":{}');
    expect(old.received()).not.toContain(CAPABILITIES);
  });

  test('14.34: one token is asked for, however many requests a call is', async () => {
    let exchanges = 0;
    const exchanged = () => (exchanges++, Promise.resolve({ accessToken: 'for-cal' }));
    const client = { exchange: exchanged } as never;
    const upstream = upstreamAt(old.url, { token: exchange({ scope: 'use' }) }, { client });
    const asking = askingAs('ann', { token: 'inbound' });
    const { route } = callOf('count');
    await messages(callOf('count', { route: { ...route, upstream }, asking }));
    await until(() => old.sessions.size === 0);
    expect([exchanges, old.log.length]).toEqual([1, 4]);
  });

  test('what is told on the way comes first', async () => {
    const all = await messages(callOf('slow'));
    expect(all.map(({ method, id }) => method ?? id)).toEqual([
      ...['notifications/progress', 'notifications/progress', 5],
    ]);
  });

  test.each([
    [{}, { code: -32021, data: { upstream: 'cal', requiredCapabilities: { elicitation: {} } } }],
    [{ elicitation: {} }, { code: -32603, data: { upstream: 'cal' } }],
  ])('a question to a client that declares %j ends the call', async (declared, error) => {
    const call = callOf('ask');
    const params = { ...call.params, _meta: { [CAPABILITIES]: declared } };
    const [answer] = await messages({ ...call, request: { ...call.request, params } });
    expect(answer).toMatchObject({ id: 5, error });
    await until(() => old.sessions.size === 0);
    expect(old.received()).toContain('"error":{"code":-32601');
  });

  test('the upstream hears of a client who goes away', async () => {
    const gone = new AbortController();
    const calling = messages(callOf('hang', { asking: askingAs('ann', { signal: gone.signal }) }));
    await until(() => old.log.includes('hanging'));
    gone.abort(new Error('gone'));
    await expect(calling).rejects.toThrow();
    await until(() => old.log.includes('cancelled') && old.sessions.size === 0);
  });

  test('refusals and answers without a result are failures', async () => {
    const refusing = (answer: 'refusal' | 'nothing') =>
      serve(async (request, response) => {
        const { id, method } = JSON.parse(await bodyOf(request)) as Record<string, unknown>;
        if (id === undefined) return void response.writeHead(202).end();
        if (method === 'initialize') return sendJson(response, { jsonrpc: '2.0', id, result: {} });
        if (answer === 'refusal') return void response.writeHead(403).end('no');
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end(': bye\n\n');
      });
    for (const [answer, message] of [
      ['refusal', /it answers 403/],
      ['nothing', /its answer ended without a result/],
    ] as const) {
      const { url } = await refusing(answer);
      await expect(messages(callOf('any', {}, `${url}/mcp`))).rejects.toThrow(message);
    }
  });
});
