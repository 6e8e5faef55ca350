import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { eventsOf } from '../../support/gateway/event-reader.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { bodyOf, cleanUp, sendJson, serve } from '../../support/servers/http-servers.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
const INITIALIZE = {
  protocolVersion: '2025-11-25',
  capabilities: { elicitation: {} },
  clientInfo: { name: 'raw', version: '1' },
};

describe('14.6: ids and names of any kind', () => {
  unhandledRejections();
  let old: LegacyUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    old = await startLegacyUpstream();
    const { url } = await serve(async (request, response) => {
      const { id, method, params } = JSON.parse(await bodyOf(request));
      const inputSchema = { type: 'object' };
      const results: Readonly<Record<string, object>> = {
        'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
        'tools/list': { tools: NAMES.map((name) => ({ name, inputSchema })) },
        'tools/call': { content: [{ type: 'text', text: `${params.name} ran` }] },
      };
      sendJson(response, {
        jsonrpc: '2.0',
        id,
        result: { resultType: 'complete', ...results[method] },
      });
    });
    const upstreams = {
      old: { url: old.url, token: none() },
      odd: { url: `${url}/mcp`, token: none(), prefix: false as const },
      constructor: { url: `${url}/other`, token: none() },
    };
    app = await startGateway({ gateway: { upstreams } });
  });
  afterAll(async () => {
    await app.close();
    await old.stop();
    await cleanUp();
  });

  async function post(message: object, session?: string): Promise<Response> {
    return fetch(app.mcpUrl, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await app.token()}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(session === undefined ? {} : { 'mcp-session-id': session }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
  }
  async function open(): Promise<string> {
    const response = await post({ id: 0, method: 'initialize', params: INITIALIZE });
    await response.text();
    return String(response.headers.get('mcp-session-id'));
  }
  const call = (id: unknown, name: string, session: string, more: object = {}) =>
    post({ id, method: 'tools/call', params: { name, arguments: {}, ...more } }, session);
  const last = async (response: Response) => {
    let message;
    for await (message of eventsOf(response));
    return message;
  };

  test('1 and "1" are two calls at the same time; each is answered, and cancelled, by its own', async () => {
    const session = await open();
    const hanging = call('1', 'old__hang', session);
    await until(() => old.log.includes('hanging'));
    expect(await last(await call(1, 'old__count', session))).toMatchObject({
      id: 1,
      result: { content: [{ text: '1' }] },
    });
    const cancel = (requestId: unknown) =>
      post({ method: 'notifications/cancelled', params: { requestId } }, session);
    for (const id of [1, null, '__proto__', 1.5, {}]) expect((await cancel(id)).status).toBe(202);
    expect(old.log).not.toContain('cancelled');
    await cancel('1');
    await until(() => old.log.includes('cancelled'));
    expect((await last(await hanging)).error.message).toBe('Cancelled'); // no failure of the server
  });

  test('what is no id is refused, and what is one comes back as it was', async () => {
    const session = await open();
    for (const id of [null, 1.5, 1e300, {}, [], true])
      expect((await call(id, 'old__count', session)).status).toBe(400);
    for (const id of ['', '__proto__', 'x'.repeat(10_000), -1, Number.MAX_SAFE_INTEGER])
      expect((await last(await call(id, 'odd__none', session))).id).toBe(id);
    for (const id of ['__proto__', -1, Number.MAX_SAFE_INTEGER])
      expect(
        (await app.ask('tools/call', { name: '__proto__', arguments: {} }, { id })).json.id,
      ).toBe(id);
  });

  test('tools, upstreams and progress tokens may be called as what every object has', async () => {
    const session = await open();
    for (const name of NAMES.flatMap((one) => [one, `constructor__${one}`])) {
      const own = name.replace(/^constructor__(?=.)/, '');
      const ran = { content: [{ text: `${own} ran` }] };
      expect((await app.ask('tools/call', { name, arguments: {} })).json.result).toMatchObject(ran);
      expect((await last(await call(1, name, session))).result).toMatchObject(ran);
    }
    for (const name of ['valueOf', 'constructor__valueOf', 'old____proto__'])
      expect((await app.ask('tools/call', { name, arguments: {} })).json.error.code).toBe(-32602);
    for (const progressToken of ['__proto__', 1, '1', 0]) {
      const tokens: unknown[] = [];
      const response = await call(2, 'old__slow', session, { _meta: { progressToken } });
      for await (const { params } of eventsOf(response))
        if (params) tokens.push(params.progressToken);
      expect(tokens).toEqual([progressToken, progressToken]);
    }
  });

  test('a session that ends while its client is asked ends the call, and takes no answer', async () => {
    const session = await open();
    const sessions = new Set(old.sessions.keys());
    const asking = await call('q', 'old__ask', session);
    const events = eventsOf(asking);
    const { value: question } = await events.next();
    expect(question.method).toBe('elicitation/create');
    const headers = { authorization: `Bearer ${await app.token()}`, 'mcp-session-id': session };
    await (await fetch(app.mcpUrl, { method: 'DELETE', headers })).text();
    await until(() => [...old.sessions.keys()].every((one) => sessions.has(one)));
    const late = { id: question.id, result: { action: 'accept', content: {} } };
    expect((await post(late, session)).status).toBe(404);
    for await (const { error } of events) expect(error.code).toBe(-32603);
  });
});
