import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LegacySession } from '../../../src/gateway/upstream/legacy-session.js';
import type { Upstream } from '../../../src/gateway/upstream/upstream.js';
import { RpcError } from '../../../src/gateway/wire/gateway-errors.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import { bodyOf, cleanUp, sendJson, serve } from '../../support/servers/http-servers.js';
import { until } from '../../support/time/until.js';

const ann = askingAs('ann');
const client = { capabilities: { roots: {} }, clientInfo: { name: 'c', version: '1' } };

describe('14.F: LegacySession, with a server of the SDK', () => {
  let old: LegacyUpstream;
  let upstream: Upstream;
  beforeAll(async () => {
    old = await startLegacyUpstream();
    upstream = upstreamAt(old.url);
  });
  beforeEach(() => void old.log.splice(0));
  afterAll(() => old.stop());
  const open = () => LegacySession.open(upstream, client, ann);
  const running = (name: string, id: string | number = 7) => ({
    message: { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } },
    call: { ...ann, strategy: upstream.options.token, operation: { method: 'tools/call', name } },
  });

  test('is begun in the name of the client, and asks', async () => {
    const session = await open();
    expect([session.hasId, old.sessions.size]).toEqual([true, 1]);
    expect(old.received()).toContain('"capabilities":{"roots":{}},"clientInfo":{"name":"c"');
    const { tools } = await session.ask('tools/list', {}, ann);
    expect(tools).toHaveLength(5);
    expect(old.log).toEqual(['POST new', 'POST session', 'POST session']);
    await session.close(ann);
    expect(old.sessions.size).toBe(0);
  });

  test('errors are those of the upstream', async () => {
    const session = await open();
    const failing = session.ask('vendor/unknown', {}, ann);
    await expect(failing).rejects.toBeInstanceOf(RpcError);
    await expect(failing).rejects.toMatchObject({ rpc: { code: -32601 } });
    await session.close(ann);
  });

  test('what an upstream asks while a call runs has an answer', async () => {
    const session = await open();
    const { message, call } = running('roots');
    const { body } = await session.send(message, call);
    const events = text(body);
    await until(() => old.received().includes('roots'));
    session.answer(0, { result: { roots: [{ uri: 'file:///a' }] } }, ann);
    expect(await events).toContain('file:///a');
    await session.close(ann);
  });

  test('hears of the client who goes away, but not after the answer', async () => {
    const session = await open();
    const gone = new AbortController();
    const asking = { ...ann, signal: gone.signal };
    session.cancelOnAbort('first', asking)(); // answered
    session.cancelOnAbort(8, asking);
    const { message, call } = running('hang', 8);
    const hanging = session.send(message, { ...call, signal: gone.signal });
    hanging.then(({ body }) => body.on('error', () => undefined)).catch(() => undefined);
    await until(() => old.log.includes('hanging'));
    gone.abort(new Error('gone'));
    await until(() => old.log.includes('cancelled'));
    expect(old.received()).not.toContain('"requestId":"first"');
    await session.close(ann);
  });

  test('has a stream for what belongs to no call', async () => {
    const session = await open();
    const { status, isEvents, body } = await session.listen(ann);
    expect([status, isEvents]).toEqual([200, true]);
    body.on('error', () => undefined).destroy();
    await session.close(ann);
  });

  test('its end never fails', async () => {
    const session = await open();
    old.forget();
    await session.close(ann);
    const away = upstreamAt('http://127.0.0.1:1/mcp');
    await expect(LegacySession.open(away, client, ann)).rejects.toMatchObject({
      code: 'upstream_failed',
    });
  });
});

test('14.6: an upstream that asks without end gets no more answers at a time than connections are good for', async () => {
  const held: (() => void)[] = [];
  const ids: string[] = [];
  let answers = 0;
  const { url } = await serve(async (request, response) => {
    const { id, method } = JSON.parse(await bodyOf(request)) as Record<string, unknown>;
    if (method === undefined) {
      answers++;
      held.push(() => response.writeHead(202).end());
    } else if (id === undefined) response.writeHead(202).end();
    else {
      ids.push(String(id));
      sendJson(response, { jsonrpc: '2.0', id, result: {} });
    }
  });
  const session = await LegacySession.open(upstreamAt(`${url}/mcp`), client, ann);
  for (let id = 0; id < 10_000; id++) session.answer(id, { result: {} }, ann);
  await until(() => answers === 64);
  await session.ask('tools/list', {}, ann);
  await session.ask('tools/list', {}, ann);
  expect(answers).toBe(64);
  expect(ids.at(-1)).not.toBe(ids.at(-2));
  expect(ids.at(-1)).toMatch(/^authplane-.{36}$/); // which no client can have guessed
  for (const answer of held.splice(0)) answer();
  await until(() => {
    session.answer('later', { result: {} }, ann);
    return answers > 64;
  });
  for (const answer of held) answer();
  await cleanUp();
});

test('LegacySession: a server without sessions is told of no end, and keeps its own revision', async () => {
  const seen: (string | undefined)[] = [];
  const { url } = await serve(async (request, response) => {
    const { id, method } = JSON.parse(await bodyOf(request)) as Record<string, unknown>;
    seen.push(`${String(method)} ${String(request.headers['mcp-protocol-version'])}`);
    if (id === undefined) return void response.writeHead(202).end();
    const result = method === 'initialize' ? { protocolVersion: '2025-03-26' } : 'none';
    sendJson(response, { jsonrpc: '2.0', id, result });
  });
  const session = await LegacySession.open(upstreamAt(`${url}/mcp`), client, ann);
  await expect(session.ask('tools/list', {}, ann)).rejects.toThrow('its answer has no result');
  await session.close(ann);
  expect(session.hasId).toBe(false);
  expect(seen).toEqual([
    'initialize 2025-11-25',
    'notifications/initialized 2025-03-26',
    'tools/list 2025-03-26',
  ]);
  await cleanUp();
});

test.each(['initialize', 'notifications/initialized'])(
  '14.8b: who goes away during %s leaves no session behind',
  async (moment) => {
    const gone = new AbortController();
    const asked: unknown[] = [];
    const { url } = await serve(async (request, response) => {
      const { id, method } = request.method === 'POST' ? JSON.parse(await bodyOf(request)) : {};
      asked.push(method ?? `${request.method} ${String(request.headers['mcp-session-id'])}`);
      if (method === moment) gone.abort(new Error('gone'));
      response.setHeader('mcp-session-id', 's-1');
      if (id === undefined) response.writeHead(202).end();
      else sendJson(response, { jsonrpc: '2.0', id, result: { protocolVersion: '2025-11-25' } });
    });
    const leaving = askingAs('ann', { signal: gone.signal });
    const opening = LegacySession.open(upstreamAt(`${url}/mcp`), client, leaving);
    await expect(opening).rejects.toThrow('gone');
    await until(() => asked.length === 3);
    expect(asked).toEqual(['initialize', 'notifications/initialized', 'DELETE s-1']);
    await cleanUp();
  },
);
