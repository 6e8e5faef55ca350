import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { AuthplaneResource } from 'authplane-nestjs';
import { exchange } from 'authplane-nestjs/gateway';
import { LegacySession } from '../../src/gateway/upstream/legacy-session.js';
import type { Upstream } from '../../src/gateway/upstream/upstream.js';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import { askingAs, upstreamAt } from '../support/gateway/upstream-objects.js';
import { bodyOf, cleanUp, sendJson, serve } from '../support/servers/http-servers.js';

const ANN = { name: 'the client of ann', version: '1' };
const BOB = { name: 'the client of bob', version: '1' };

describe('14.3: LegacySession.forCall, with a server that gives no session', () => {
  let asked: string[];
  let seen: string;
  /** What happens to calls; `undefined`: a result. */
  let refuse:
    ((session: string | undefined) => { status: number; error?: object } | undefined) | undefined;
  /** The session that it gives from now on. */
  let given: string | undefined;
  let upstream: Upstream;
  beforeEach(async () => {
    [asked, seen, refuse, given] = [[], '', undefined, undefined];
    const { url } = await serve(async (request, response) => {
      const text = await bodyOf(request);
      seen += text;
      const { id, method } = text === '' ? {} : JSON.parse(text);
      const session = request.headers['mcp-session-id'] as string | undefined;
      asked.push(method ?? request.method);
      if (given !== undefined) response.setHeader('mcp-session-id', given);
      if (id === undefined) return void response.writeHead(202).end();
      const refused = method === 'initialize' ? undefined : refuse?.(session);
      if (refused !== undefined && refused.error === undefined)
        return void response.writeHead(refused.status).end();
      const result = { protocolVersion: '2025-06-18', capabilities: {} };
      const { error } = refused ?? {};
      sendJson(response, { jsonrpc: '2.0', id, ...(error === undefined ? { result } : { error }) });
    });
    upstream = upstreamAt(`${url}/mcp`);
  });
  afterEach(cleanUp);

  async function call(who = 'ann', { clientInfo = ANN, scopes = [] as string[] } = {}) {
    const asking = askingAs(who, { scopes });
    const client = { capabilities: {}, clientInfo };
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'a' } };
    const operation = { method: 'tools/call', name: 'a' };
    const sent = { ...asking, strategy: upstream.options.token, operation };
    const before = asked.length;
    const { session, reply } = await LegacySession.forCall(upstream, client, asking, (begun) =>
      begun.send(message, sent),
    );
    reply.body.resume();
    await session.close(asking);
    return { requests: asked.slice(before), session, status: reply.status };
  }
  const HANDSHAKE = ['initialize', 'notifications/initialized'];
  const FIRST = [...HANDSHAKE, 'tools/call'];
  const AGAIN = ['tools/call'];

  test('the first call of a caller is three requests, each other one is one', async () => {
    expect((await call()).requests).toEqual(FIRST);
    expect((await call()).requests).toEqual(AGAIN);
    const others = await Promise.all(Array.from({ length: 5 }, () => call()));
    for (const { status } of others) expect(status).toBe(200);
    expect(asked).toHaveLength(9);
  });

  test('nobody begins with what was said to somebody else, or to another client of his', async () => {
    await call();
    seen = '';
    expect((await call('bob', { clientInfo: BOB })).requests).toEqual(FIRST);
    expect(seen).toContain(BOB.name);
    expect(seen).not.toContain(ANN.name);
    expect((await call('ann', { clientInfo: BOB })).requests).toEqual(FIRST);
    expect((await call('ann', { scopes: ['more'] })).requests).toEqual(FIRST);
    expect((await call('__proto__')).requests).toEqual(FIRST);
    expect((await call()).requests).toEqual(AGAIN);
  });

  test.each([400, 404])(
    'a server that answers %i hears it again, and the call once more',
    async (status) => {
      await call();
      let refusals = 1;
      refuse = () => (refusals-- > 0 ? { status } : undefined);
      expect(await call()).toMatchObject({ requests: ['tools/call', ...FIRST], status: 200 });
      expect((await call()).requests).toEqual(AGAIN);
      refuse = () => ({ status });
      expect(await call()).toMatchObject({ requests: ['tools/call', ...FIRST], status });
      refuse = undefined;
      expect((await call()).requests).toEqual(FIRST); // what was refused is not remembered
    },
  );

  test('after an answer that is an error the next call begins anew', async () => {
    await call();
    const { session } = await call();
    session.doubt();
    expect((await call()).requests).toEqual(FIRST);
  });

  test('a server that gives sessions now has one for each call', async () => {
    await call();
    given = 's-1';
    refuse = (session) => (session === undefined ? { status: 400 } : undefined);
    expect((await call()).requests).toEqual(['tools/call', ...FIRST, 'DELETE']);
    expect((await call()).requests).toEqual([...FIRST, 'DELETE']);
    given = '';
    refuse = undefined;
    expect((await call()).requests).toEqual(FIRST);
    given = 's-2'; // says so without refusing anything
    expect((await call()).requests).toEqual(AGAIN);
    expect((await call()).requests).toEqual([...FIRST, 'DELETE']);
  });

  test('nothing is remembered of a server that was refreshed, or of another one', async () => {
    await call();
    LegacySession.forget(upstream);
    expect((await call()).requests).toEqual(FIRST);
    upstream = upstreamAt(upstream.options.url);
    expect((await call()).requests).toEqual(FIRST);
  });
});

describe('14.3: a stateless server of SDK v1 behind a gateway, for clients of 2026-07-28', () => {
  let app: GatewayApp;
  const asked: { method: string; sub: string; text: string }[] = [];
  beforeAll(async () => {
    const { url } = await serve(async (request, response) => {
      const text = await bodyOf(request);
      const body = text === '' ? undefined : JSON.parse(text);
      const token = request.headers.authorization?.split('.')[1] ?? '';
      const { sub } = JSON.parse(Buffer.from(token, 'base64url').toString());
      asked.push({ method: body?.method ?? request.method, sub, text });
      const server = new McpServer({ name: 'stateless', version: '1' });
      server.registerTool('hello', {}, () => ({
        content: [{ type: 'text', text: `hello ${sub}` }],
      }));
      const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
      await server.connect(transport);
      await transport.handleRequest(request, response, body);
    });
    const upstreams = { old: { url: `${url}/mcp`, token: exchange({ scope: 'old' }) } };
    const resources = [{ url: `${url}/mcp`, scopeMap: { use: ['old'] } }];
    app = await startGateway({ gateway: { upstreams }, resources, scopes: ['use'] });
  });
  afterAll(async () => {
    await app.close();
    await cleanUp();
  });

  test('a warm call is one request, with the token of its own caller', async () => {
    const tokens = [await app.token({ sub: 'ann' }), await app.token({ sub: 'bob' })];
    const hello = async (token: string, client: string) => {
      const meta = { 'io.modelcontextprotocol/clientInfo': { name: client, version: '1' } };
      const init = { token, meta };
      const { json } = await app.ask('tools/call', { name: 'old__hello', arguments: {} }, init);
      return json.result.content[0].text;
    };
    for (const [token, client] of [
      [tokens[0]!, 'of ann'],
      [tokens[1]!, 'of bob'],
    ] as const)
      await hello(token, client);
    asked.splice(0);
    for (let round = 0; round < 3; round++) {
      expect(await hello(tokens[0]!, 'of ann')).toBe('hello ann');
      expect(await hello(tokens[1]!, 'of bob')).toBe('hello bob');
    }
    expect(asked.map(({ method, sub }) => `${method} ${sub}`)).toEqual(
      Array.from({ length: 3 }, () => ['tools/call ann', 'tools/call bob']).flat(),
    );
    const [ofAnn, ofBob] = ['ann', 'bob'].map((sub) => asked.filter((one) => one.sub === sub));
    expect(JSON.stringify(ofAnn)).not.toContain('of bob');
    expect(JSON.stringify(ofBob)).not.toContain('of ann');
    const renewed = await app.token({ sub: 'ann', jti: 'renewed' });
    expect(await hello(renewed, 'of ann')).toBe('hello ann');
    expect(asked.at(-2)?.method).toBe('tools/call');
    const claims = await app.app.app.get(AuthplaneResource).verify(renewed);
    const caller = { claims, token: renewed };
    for (const requests of [3, 1]) {
      const before = asked.length;
      await app.gateway.call('old__hello', {}, { caller });
      expect(asked.length - before).toBe(requests);
    }
  });
});
