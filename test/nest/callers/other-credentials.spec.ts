/** API keys and sessions beside OAuth, over real HTTP. */
import { afterEach, describe, expect, test } from 'vitest';
import { Controller, Get, Injectable, Post, Sse } from '@nestjs/common';
import {
  AuthContext,
  AuthplaneClient,
  AuthplaneModule,
  Claims,
  Scopes,
  UseResource,
  type IncomingRequest,
  type OtherCredentials,
  type VerifiedClaims,
} from 'authplane-nestjs';
import { NEVER, of, concat } from 'rxjs';
import { call, type McpApp, request, startMcpApp } from '../../support/nest/mcp-app.js';
import { platforms } from '../../support/nest/start-app.js';
import { holdTimers } from '../../support/time/held-timers.js';
import { callerOf, otherCredentials } from '../../support/callers/other-callers.js';

@Injectable()
class Exchanger {
  constructor(
    private readonly caller: AuthContext,
    private readonly client: AuthplaneClient,
  ) {}

  token() {
    return this.caller.token;
  }

  exchange(subjectToken: string) {
    return this.client.exchange({ subjectToken });
  }

  fetchAs(subjectToken: string) {
    return this.client.fetchAs({
      url: 'http://127.0.0.1:1/',
      subjectToken,
      exchange: { audiences: ['calendar'] },
    });
  }
}

@Controller('things')
class ThingsController {
  constructor(
    private readonly caller: AuthContext,
    private readonly exchanger: Exchanger,
  ) {}

  @Get()
  list(@Claims() claims: VerifiedClaims) {
    const { sub, issuer, method, clientId, raw } = claims;
    const { current } = this.caller;
    return { sub, issuer, method, clientId, raw, token: current?.token, same: current?.claims.sub };
  }

  @Post()
  @Scopes('things:write')
  write() {
    return { written: true };
  }

  @Sse('stream')
  stream() {
    return concat(of({ data: 'first' }), NEVER);
  }

  @Get('token')
  token() {
    return this.exchanger.token();
  }

  @Get('exchange')
  exchange() {
    return this.exchanger.exchange(this.caller.current?.token ?? 'none');
  }

  @Get('fetch-as')
  fetchAs() {
    return this.exchanger.fetchAs(this.caller.current?.token ?? 'none');
  }

  @Get('oauth-only')
  @UseResource('oauth-only')
  oauthOnly() {
    return {};
  }
}

let running: McpApp | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

interface Setting {
  readonly ask?: OtherCredentials;
  readonly mcp?: Parameters<typeof startMcpApp>[0]['mcp'];
  readonly host?: Parameters<typeof startMcpApp>[0]['host'];
}

async function start(platform: 'fastify' | 'express', { ask, mcp, host }: Setting = {}) {
  const app = (running = await startMcpApp({
    platform,
    ...(host === undefined ? {} : { host }),
    ...(mcp === undefined ? {} : { mcp }),
    options: {
      guard: 'global',
      otherCredentials: ask ?? otherCredentials,
      ...(mcp === undefined ? { mcp: { tools: { write: ['tools/write'] } } } : {}),
    },
    metadata: {
      imports: [
        AuthplaneModule.forFeature({
          name: 'oauth-only',
          resource: 'http://127.0.0.1:1/oauth-only',
          otherCredentials: false,
        }),
      ],
      controllers: [ThingsController],
      providers: [Exchanger],
    },
  }));
  const base = app.mcpUrl.replace('/mcp', '');
  const send = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(`${base}${path}`, { method, headers });
  const tool = (name: string, headers: Record<string, string>) =>
    app.post(call(name), { scope: null, headers });
  return { ...app, base, send, tool };
}

describe.each(platforms)('12.1: other credentials on %s', (platform) => {
  test('an API key is a caller of its own issuer, without a token', async () => {
    const { send } = await start(platform);
    const answer = await send('/things', { 'x-api-key': 'bob' });
    expect(await answer.json()).toEqual({
      sub: 'bob',
      issuer: 'local:api_key',
      method: 'api_key',
      clientId: '',
      raw: {},
      token: '',
      same: 'bob',
    });
    expect(answer.headers.get('cache-control')).toBe('private');
  });

  test('a token is one as ever, and without anything it is a 401 with the challenge', async () => {
    const { send, bearer } = await start(platform);
    const answer = await send('/things', { authorization: await bearer('', { sub: 'alice' }) });
    expect(await answer.json()).toMatchObject({ sub: 'alice', method: 'access_token' });
    const refused = await send('/things');
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer realm=/);
  });

  test('the same scopes: of handlers, of tools, in batches; 403 names them', async () => {
    const { send, tool, post, runs } = await start(platform);
    const key = { 'x-api-key': 'bob' };
    const strong = { 'x-api-key': 'bob+tools/write+things:write' };
    const refused = await send('/things', key, 'POST');
    expect(refused.status).toBe(403);
    expect(refused.headers.get('www-authenticate')).toContain('scope="things:write"');
    expect((await send('/things', strong, 'POST')).status).toBe(201);
    expect((await tool('write', key)).json).toMatchObject({
      error: 'insufficient_scope',
      scope: 'tools/write',
    });
    const batch = [call('open'), call('write', 2)];
    expect((await post(batch, { scope: null, headers: key })).status).toBe(403);
    expect(runs).toEqual([]);
    expect((await tool('write', { authorization: 'Bearer rf_bob+tools/write' })).status).toBe(200);
    expect((await tool('write', strong)).status).toBe(200);
    expect(runs).toEqual(['write', 'write']);
  });

  test('hidden tools are hidden from them, too', async () => {
    const mcp = { tools: { write: ['tools/write'] }, list: 'hide' } as const;
    const { post, tool } = await start(platform, { mcp });
    const list = async (key: string) => {
      const { text } = await post(request('tools/list'), {
        scope: null,
        headers: { 'x-api-key': key },
      });
      return text.includes('"write"');
    };
    expect(await list('bob')).toBe(false);
    expect(await list('bob+tools/write')).toBe(true);
    const unknown = await tool('nothing', { 'x-api-key': 'bob' });
    const hidden = await tool('write', { 'x-api-key': 'bob' });
    expect(hidden.text).toBe(unknown.text.replaceAll('nothing', 'write'));
  });

  test('sessions are bound to method and subject', async () => {
    const { post } = await start(platform, { host: 'SDK v1 with sessions' });
    const initialize = request('initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    });
    const opened = await post(initialize, { scope: null, headers: { 'x-api-key': 'bob' } });
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    const ping = (headers: Record<string, string>) =>
      post(request('ping'), { scope: null, headers: { ...session, ...headers } });
    expect((await ping({ 'x-api-key': 'bob' })).status).toBe(200);
    expect((await ping({ 'x-api-key': 'eve' })).status).toBe(404);
    expect((await ping({ authorization: 'Bearer rf_bob' })).status).toBe(404);
    const claims = { sub: 'bob' };
    expect((await post(request('ping'), { claims, headers: session })).status).toBe(404);
  });

  test('row 1: two credentials', async () => {
    const { send, bearer, base } = await start(platform);
    const token = await bearer('', { sub: 'alice' });
    const status = async (headers: Record<string, string>) =>
      (await send('/things', headers)).status;
    expect(await status({ 'x-api-key': 'bob', authorization: token })).toBe(400);
    expect(await status({ 'x-api-key': 'bob', authorization: 'Bearer x' })).toBe(400);
    expect(await status({ 'x-api-key': 'bob', authorization: 'DPoP x' })).toBe(400);
    expect(await status({ 'x-api-key': 'bob', authorization: 'Basic eDp5' })).toBe(200);
    const cookie = { cookie: 'sid=carol' };
    const both = await send('/things', { ...cookie, authorization: token });
    expect(await both.json()).toMatchObject({ sub: 'alice' });
    expect(await status({ ...cookie, authorization: 'Bearer x' })).toBe(401);
    const repeated = await rawRequest(base, [
      ['authorization', 'Bearer rf_bob'],
      ['authorization', 'Bearer rf_bob'],
    ]);
    expect(repeated).toMatch(/^HTTP\/1.1 400 /);
  });

  test('row 2: a cookie counts only for pages of our own', async () => {
    const { send, base, post } = await start(platform, {
      mcp: { allowedOrigins: ['https://app.example.com'] },
    });
    const cookie = { cookie: 'sid=carol+things:write' };
    const write = async (headers: Record<string, string>) =>
      (await send('/things', { ...cookie, ...headers }, 'POST')).status;
    expect(await write({})).toBe(403);
    expect(await write({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await write({ 'sec-fetch-site': 'same-site' })).toBe(403);
    expect(await write({ origin: 'https://evil.example.com' })).toBe(403);
    expect(await write({ 'sec-fetch-site': 'same-origin' })).toBe(201);
    expect(await write({ 'sec-fetch-site': 'none' })).toBe(201);
    expect(await write({ origin: base })).toBe(201);
    const listed = { origin: 'https://app.example.com', 'sec-fetch-site': 'cross-site' };
    expect(await write(listed)).toBe(201);
    expect((await send('/things', cookie)).status).toBe(200); // changes nothing
    const sse = { ...cookie, accept: 'text/event-stream' };
    expect((await send('/things/stream', sse)).status).toBe(403);
    const opened = await send('/things/stream', { ...sse, 'sec-fetch-site': 'same-origin' });
    expect(opened.status).toBe(200);
    await opened.body?.cancel();
    const mcp = async (headers: Record<string, string>) =>
      (await post(call('open'), { scope: null, headers: { ...cookie, ...headers } })).status;
    expect(await mcp({})).toBe(403);
    expect(await mcp({ 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect((await send('/mcp', cookie)).status).toBe(403); // a stream
  });

  test('row 2: allowedOrigins: false is no permission to use cookies', async () => {
    const { send, base } = await start(platform, { mcp: { allowedOrigins: false } });
    const cookie = { cookie: 'sid=carol+things:write' };
    const write = async (origin: string) =>
      (await send('/things', { ...cookie, origin }, 'POST')).status;
    expect(await write('https://evil.example.com')).toBe(403);
    expect(await write(base)).toBe(201);
  });

  test('row 3: expiresAt refuses, without skew, and ends streams', async () => {
    const ends = Date.now() / 1000 + 1.5;
    const { send } = await start(platform, {
      ask: ({ headers }) => {
        const key = headers['x-api-key'];
        if (key === undefined) return undefined;
        const expiresAt = key === 'past' ? Date.now() / 1000 - 1 : ends;
        return { ...callerOf('api_key', 'bob'), expiresAt };
      },
    });
    const past = await send('/things', { 'x-api-key': 'past' });
    expect(past.status).toBe(401);
    expect(past.headers.get('www-authenticate')).toContain('error="invalid_token"');
    const stream = await send('/things/stream', {
      'x-api-key': 'now',
      accept: 'text/event-stream',
    });
    expect(stream.status).toBe(200);
    expect(await stream.text()).toContain('first'); // it ends
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(ends - 0.01);
  });

  test('row 8: what says not for certain who it is is a 503; a refused credential a 401', async () => {
    const bob = callerOf('api_key', 'bob');
    const answers: unknown[] = [
      null,
      true,
      false,
      'bob',
      [],
      {},
      { ...bob, method: 'access_token' },
      { ...bob, method: 'Key' },
      { ...bob, sub: '' },
      { ...bob, sub: 'x'.repeat(256) },
      { ...bob, sub: 7 },
      { ...bob, scopes: 'a b' },
      { ...bob, scopes: ['a b'] },
      { ...bob, scopes: new Array(1) },
      { ...bob, expiresAt: Number.NaN },
      { ...bob, expiresAt: Date.now() },
      { ...bob, from: 'cookie' },
      { ...bob, claims: [] },
      { ...bob, claims: { big: 1n } },
      { ...bob, expires: 1 },
      new Error('thrown'),
      new Promise(() => undefined),
    ];
    const { send } = await start(platform, {
      ask: ({ headers }) => {
        const key = headers['x-api-key'];
        if (key === undefined) return undefined;
        const answer = answers[Number(key)];
        if (answer instanceof Error) throw answer;
        return answer as never;
      },
    });
    const deadlines = holdTimers(5000);
    const asking = answers.map(async (_, at) => {
      const answer = await send('/things', { 'x-api-key': String(at) });
      return [answer.status, answer.headers.get('retry-after'), await answer.json()];
    });
    const hanging = asking.pop();
    const statuses = await Promise.all(asking);
    await deadlines.fire(1);
    statuses.push((await hanging) ?? []);
    expect(new Set(statuses.map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify([503, '5', { error: 'temporarily_unavailable' }])]),
    );
  });

  test('row 8: claims are raw only, a copy, and never who it is', async () => {
    const claims = {
      iss: 'x',
      sub: 'root',
      scope: 'things:write',
      client_id: 'y',
      inner: { a: 1 },
    };
    const { send } = await start(platform, {
      ask: () => ({ ...callerOf('api_key', 'bob'), clientId: 'cli', claims }),
    });
    expect(await (await send('/things')).json()).toMatchObject({
      sub: 'bob',
      issuer: 'local:api_key',
      clientId: 'cli',
      raw: claims,
    });
    expect((await send('/things', {}, 'POST')).status).toBe(403);
    claims.inner.a = 2; // not frozen
  });

  test('CredentialRefusedError is a 401 with the challenge', async () => {
    const { send } = await start(platform);
    const refused = await send('/things', { 'x-api-key': 'revoked' });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('resource_metadata=');
    expect(await refused.json()).toMatchObject({ error: 'invalid_token' });
  });

  test('row 15: there is no token to exchange; uncaught it is a 403 without a challenge', async () => {
    const { send, authorizationServer } = await start(platform);
    const asked = authorizationServer.requests().token;
    for (const path of ['/things/token', '/things/exchange', '/things/fetch-as']) {
      const refused = await send(path, { 'x-api-key': 'bob' });
      expect([path, refused.status]).toEqual([path, 403]);
      expect(refused.headers.get('www-authenticate')).toBeNull();
      expect(await refused.json()).toMatchObject({ error: 'access_denied' });
    }
    expect(authorizationServer.requests().token).toBe(asked);
  });

  test('row 16: what the function gets', async () => {
    const seen: unknown[] = [];
    const { send, mcpUrl } = await start(platform, {
      ask: (incoming: IncomingRequest, place) => {
        seen.push({ ...incoming, headers: incoming.headers['x-api-key'] }, place);
        incoming.headers['authorization'] = 'Bearer rf_eve'; // a copy
        delete incoming.headers['x-api-key'];
        return undefined;
      },
    });
    expect((await send('/things?a=%20b', { 'x-api-key': 'bob' })).status).toBe(401);
    expect(seen).toEqual([
      { method: 'GET', url: '/things?a=%20b', headers: 'bob', ip: '127.0.0.1' },
      { resource: { uri: mcpUrl, params: {} } },
    ]);
  });

  test('a further resource has them, too, unless it says false', async () => {
    const { send } = await start(platform);
    expect((await send('/things/oauth-only', { 'x-api-key': 'bob' })).status).toBe(401);
  });
});

/** `fetch` joins repeated lines. */
async function rawRequest(base: string, headers: readonly (readonly [string, string])[]) {
  const { connect } = await import('node:net');
  const { hostname, port } = new URL(base);
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    socket.once('data', (data) => {
      resolve(String(data));
      socket.destroy();
    });
    socket.once('error', reject);
    socket.write(`GET /things HTTP/1.1\r\nHost: x\r\n${lines}\r\n`);
  });
}
