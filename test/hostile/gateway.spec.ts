import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../support/gateway/legacy-servers.js';
import {
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../support/gateway/upstream-servers.js';
import { unhandledRejections } from '../support/tokens/unhandled-rejections.js';
import { until } from '../support/time/until.js';

const META = 'io.modelcontextprotocol/';
const EVENTS = { 'content-type': 'text/event-stream' };
const JSON_TYPE = { 'content-type': 'application/json' };

/** A client of 2025-11-25 as it is on the wire. */
interface Wire {
  readonly session: string;
  readonly token: string;
  send(message: object, session?: string): Promise<{ status: number; text: string }>;
}

describe('14.8: a gateway between bad upstreams and bad clients', () => {
  unhandledRejections();
  let bad: RunningUpstream;
  let good: RunningUpstream;
  let old: LegacyUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    [bad, good] = [await startUpstream(searchServer), await startUpstream(searchServer)];
    old = await startLegacyUpstream();
    app = await startGateway({
      gateway: {
        upstreams: {
          bad: { url: bad.url, token: none(), breaker: false },
          good: { url: good.url, token: none() },
          old: { url: old.url, token: none() },
        },
      },
    });
    await app.ask('tools/list');
  });
  afterEach(() => {
    bad.intercept = undefined;
  });
  afterAll(async () => {
    await app.close();
    await Promise.all([bad.stop(), good.stop(), old.stop()]);
  });

  const call = (name: string, init = {}) => app.ask('tools/call', { name, arguments: {} }, init);
  const calls = (one: RunningUpstream) => one.asked.filter(({ method }) => method === 'tools/call');
  const answering = (answer: (response: ServerResponse, request: IncomingMessage) => void) => {
    bad.intercept = (request, response, body) => {
      if (!body.includes('"tools/call"')) return false;
      answer(response, request);
      return true;
    };
  };

  async function connect(sub: string): Promise<Wire> {
    const token = await app.token({ sub });
    const send = async (message: object, session = '') => {
      const response = await fetch(app.mcpUrl, {
        method: 'POST',
        headers: {
          ...{ authorization: `Bearer ${token}`, ...JSON_TYPE },
          accept: 'application/json, text/event-stream',
          ...(session === '' ? {} : { 'mcp-session-id': session }),
        },
        body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      });
      opened = response.headers.get('mcp-session-id') ?? opened;
      return { status: response.status, text: await response.text() };
    };
    let opened = '';
    const clientInfo = { name: 'wire', version: '1' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
    await send({ id: 1, method: 'initialize', params });
    return { token, session: opened, send: (message, session = opened) => send(message, session) };
  }

  test('names of prototypes and nonsense lead nowhere, and nothing leaves', async () => {
    const before = [calls(bad).length, calls(good).length];
    const names = [
      ...['__proto__', 'constructor', 'toString', 'good____proto__', 'good__constructor', 'good__'],
      ...['__web', 'good__web\u0000', 'good__web ', 'GOOD__web', 'x'.repeat(100_000), ''],
    ];
    for (const name of names) {
      // Fetch trims header values as HTTP says; the name in the header is encoded instead.
      const encoded = `=?base64?${Buffer.from(name.slice(0, 3000)).toString('base64')}?=`;
      const { status, json } = await call(name, { headers: { 'mcp-name': encoded } });
      expect(status).toBeLessThan(500);
      expect([-32602, -32020]).toContain(json?.error?.code);
    }
    expect([calls(bad).length, calls(good).length]).toEqual(before);
  });

  test('a cursor that is none of this list is refused', async () => {
    const cursorOf = (said: unknown) => Buffer.from(JSON.stringify(said)).toString('base64url');
    const cursors = [
      ...['', 'x', '{}', 1, null, {}, 'a'.repeat(50_000), cursorOf(null), cursorOf([])],
      ...[cursorOf({ k: 'prompts', a: 'good__web' }), cursorOf({ k: 'tools', a: 'gone__tool' })],
      cursorOf({ k: 'tools', a: '__proto__' }),
    ];
    for (const cursor of cursors) {
      const { status, json } = await app.ask('tools/list', { cursor });
      expect([status, json.error.code]).toEqual([200, -32602]);
    }
  });

  test('answers with other ids, twice and out of order: the one that was asked for counts, in a session', async () => {
    answering((response) => {
      const result = (text: string) => ({
        resultType: 'complete',
        content: [{ type: 'text', text }],
      });
      const event = (id: unknown, text: string) =>
        response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: result(text) })}\n\n`);
      response.writeHead(200, EVENTS);
      event(999, 'of somebody else');
      event('7', 'of a text');
      event(null, 'of nobody');
      event(7, 'mine');
      event(7, 'again');
      response.end();
    });
    const { send } = await connect('ann');
    const { text } = await send({ id: 7, method: 'tools/call', params: { name: 'bad__web' } });
    expect(text).toContain('mine');
    expect(text).not.toMatch(/somebody|of a text|of nobody|again/);
  });

  test('a redirect is not followed, and a 401 is asked twice at most', async () => {
    const before = calls(good).length;
    answering((response) => response.writeHead(307, { location: good.url }).end());
    expect((await call('bad__web')).status).toBe(502);
    expect(calls(good)).toHaveLength(before);
    const asked = calls(bad).length;
    answering((response) =>
      response.writeHead(401, { 'www-authenticate': 'Bearer', 'set-cookie': 'a=b' }).end(),
    );
    const { status, headers, json } = await call('bad__web');
    expect([status, json.error.data.error]).toEqual([502, 'upstream_refused']);
    expect([headers.get('www-authenticate'), headers.get('set-cookie')]).toEqual([null, null]);
    expect(calls(bad).length - asked).toBeLessThanOrEqual(2);
  });

  test('gigantic headers, and a result without an end of line, are a failure of that upstream', async () => {
    answering((response) =>
      response.writeHead(200, { ...JSON_TYPE, x: 'a'.repeat(100_000) }).end('{}'),
    );
    expect((await call('bad__web')).status).toBe(502);
    expect((await call('good__web')).status).toBe(200);
  });

  test('headers of an upstream, its session and cookies included, reach no client', async () => {
    answering((response) => {
      const own = { 'mcp-session-id': 's', 'set-cookie': 'a=b', 'x-secret': '1', link: '<x>' };
      response.writeHead(200, { ...JSON_TYPE, ...own });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { resultType: 'complete' } }));
    });
    const { headers } = await call('bad__web');
    for (const name of ['mcp-session-id', 'set-cookie', 'x-secret', 'link']) {
      expect(headers.get(name)).toBeNull();
    }
  });

  test('a session, and what runs in it, is its owner’s alone', async () => {
    const [ann, bob] = [await connect('ann'), await connect('bob')];
    const hanging = ann.send({ id: 'h', method: 'tools/call', params: { name: 'old__hang' } });
    await until(() => old.log.includes('hanging'));
    const cancel = { method: 'notifications/cancelled', params: { requestId: 'h' } };
    expect((await bob.send(cancel, ann.session)).status).toBe(404);
    await bob.send(cancel); // in his own session: there is no such call
    const ping = { id: 2, method: 'ping' };
    expect((await bob.send(ping, ann.session)).status).toBe(404);
    expect((await bob.send(ping, `${ann.session}x`)).status).toBe(404);
    expect((await bob.send({ id: 'gateway-1', result: {} }, ann.session)).status).toBe(404);
    expect(old.log).not.toContain('cancelled');
    await ann.send(cancel);
    await until(() => old.log.includes('cancelled'));
    await hanging;
  });

  test('one session may use an id, and a progress token, that another one uses', async () => {
    const clients = await Promise.all(['ann', 'bob', 'eve'].map(connect));
    const params = { name: 'old__slow', arguments: {}, _meta: { progressToken: 'p' } };
    const answers = await Promise.all(
      clients.map(({ send }) => send({ id: 5, method: 'tools/call', params })),
    );
    for (const { text } of answers) {
      expect(text.match(/notifications\/progress/g)).toHaveLength(2);
      expect(text).toContain('slow ran');
    }
  });

  test('metadata that belongs to one hop does not cross it in a session', async () => {
    const { send } = await connect('ann');
    const smuggled = {
      [`${META}clientCapabilities`]: { elicitation: {} },
      [`${META}clientInfo`]: { name: 'forged', version: '1' },
      [`${META}logLevel`]: 'debug',
      [`${META}related-task`]: { taskId: 't' },
      'example.com/own': 1,
    };
    const params = { name: 'good__web', arguments: {}, _meta: smuggled };
    await send({ id: 1, method: 'tools/call', params });
    const meta = JSON.parse(calls(good).at(-1)!.body).params._meta;
    expect(meta).toMatchObject({
      'example.com/own': 1,
      [`${META}clientCapabilities`]: {},
      [`${META}clientInfo`]: { name: 'wire' },
    });
    expect(meta).not.toHaveProperty([`${META}logLevel`]);
    expect(meta).not.toHaveProperty([`${META}related-task`]);
  });

  test('what is removed or replaced during a call lets the call end, and has no further one', async () => {
    await app.upstreams.add('brief', { url: bad.url, token: none() });
    let release = (): void => undefined;
    bad.intercept = async (_request, _response, body) => {
      if (body.includes('"tools/call"')) await new Promise<void>((resolve) => (release = resolve));
      return false;
    };
    for (const change of [
      () => app.upstreams.replace('brief', { url: bad.url, token: none(), prefix: 'other' }),
      () => app.upstreams.remove('brief'),
    ]) {
      const name = change.toString().includes('replace') ? 'brief__web' : 'other__web';
      const before = calls(bad).length;
      const running = call(name);
      await until(() => calls(bad).length > before);
      await change();
      release();
      expect((await running).json.result.content[0].text).toBe('found');
      expect((await call(name)).json.error.code).toBe(-32602);
    }
  });
});
