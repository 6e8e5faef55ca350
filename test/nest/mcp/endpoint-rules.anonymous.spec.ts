/** `mcp.authentication: 'when-needed'`: what passes without any credential, and what does not. */
import { afterEach, describe, expect, test } from 'vitest';
import { Controller, Get, Injectable, Post, Req, Res, All, UseGuards } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AuthContext, AuthplaneGuard, type McpOptions, Scopes } from 'authplane-nestjs';
import { otherCredentials } from '../../support/callers/other-callers.js';
import {
  call,
  Host,
  type HostName,
  hosts,
  type McpApp,
  modern,
  request,
  startMcpApp,
} from '../../support/nest/mcp-app.js';
import { platforms } from '../../support/nest/start-app.js';

const seen: unknown[] = [];

@Injectable()
@Controller('mcp')
@UseGuards(AuthplaneGuard)
class McpController {
  constructor(
    private readonly host: Host,
    private readonly caller: AuthContext,
  ) {}

  @All()
  async handle(
    @Req()
    incoming: IncomingMessage & {
      raw?: IncomingMessage;
      body?: unknown;
      auth?: unknown;
      user?: unknown;
    },
    @Res() reply: ServerResponse & { raw?: ServerResponse; hijack?(): void },
  ): Promise<void> {
    const { current, claims } = this.caller;
    seen.push({ sub: current?.claims.sub, claims: claims?.sub, auth: incoming.auth !== undefined });
    reply.hijack?.();
    await this.host.handle(incoming.raw ?? incoming, reply.raw ?? reply, incoming.body);
  }
}

@Controller('other')
class OtherController {
  @Get()
  list() {
    return {};
  }

  @Post()
  post() {
    return {};
  }
}

@Controller('mcp')
@Scopes('mcp:use')
class ScopedController {
  @Post()
  post() {
    return {};
  }
}

let running: McpApp | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
  seen.length = 0;
});

const TOOLS: NonNullable<McpOptions['tools']> = {
  write: ['w'],
  read: () => {
    throw new Error('asked without a caller');
  },
};

interface Setting {
  readonly host?: HostName;
  readonly mcp?: McpOptions;
  readonly options?: Parameters<typeof startMcpApp>[0]['options'];
  readonly controller?: Parameters<typeof startMcpApp>[0]['controller'];
}

async function start(platform: 'fastify' | 'express', setting: Setting = {}) {
  const { host, mcp, options, controller = McpController } = setting;
  const app = (running = await startMcpApp({
    platform,
    controller,
    ...(host === undefined ? {} : { host }),
    mcp: { authentication: 'when-needed', tools: TOOLS, ...mcp },
    options: { guard: 'global', otherCredentials, ...options },
    metadata: { controllers: [OtherController] },
  }));
  const anonymous = (body: unknown, headers: Record<string, string> = {}, method = 'POST') =>
    app.post(body, { scope: null, headers, method });
  return { ...app, anonymous };
}

const initialize = request('initialize', {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: { name: 'test', version: '1' },
});

describe.each(platforms)('12.6: free tools on %s', (platform) => {
  test.each(Object.keys(hosts) as HostName[])('what needs no scope passes, on %s', async (host) => {
    if (host === 'SDK v1 with sessions') return; // below
    const { anonymous, runs } = await start(platform, { host });
    for (const body of [initialize, request('ping'), request('tools/list'), call('open')]) {
      expect([body.method, (await anonymous(body)).status]).toEqual([body.method, 200]);
    }
    const notification = { jsonrpc: '2.0', method: 'notifications/initialized' };
    expect((await anonymous(notification)).status).toBe(202);
    expect((await anonymous(request('resources/read', { uri: 'calendar://today' }))).status).toBe(
      200,
    );
    expect((await anonymous(request('logging/setLevel', { level: 'info' }))).status).not.toBe(401);
    expect(runs).toEqual(['open', 'calendar://today']);
    expect(new Set(seen.map((one) => JSON.stringify(one)))).toEqual(new Set(['{"auth":false}']));
  });

  test('2026-07-28: discovery and free tools', async () => {
    const { post, runs } = await start(platform, { host: 'SDK v2' });
    const send = ({ body, headers }: ReturnType<typeof modern>) =>
      post(body, { scope: null, headers });
    expect((await send(modern('server/discover', {}))).status).toBe(200);
    expect((await send(modern('tools/call', { name: 'open' }))).status).toBe(200);
    expect((await send(modern('tools/call', { name: 'write' }))).status).toBe(401);
    expect(runs).toEqual(['open']);
  });

  test('what needs scopes, a rule or a caller is a 401 that names the scopes', async () => {
    const { anonymous, runs } = await start(platform);
    const refused = await anonymous(call('write'));
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer realm=.*scope="w"/);
    expect((await anonymous(call('read'))).status).toBe(401); // its rule is not called
    expect((await anonymous([call('open'), call('write', 2)])).status).toBe(401);
    for (const method of ['tasks/get', 'tasks/list', 'vendor/run', 'notifications/vendor', '']) {
      expect([method, (await anonymous(request(method, { taskId: 'a' }))).status]).toEqual([
        method,
        401,
      ]);
    }
    expect(runs).toEqual([]);
  });

  test('a credential that is sent is verified, and never ignored', async () => {
    const { anonymous, post, runs } = await start(platform);
    for (const authorization of ['Bearer x', 'DPoP x', 'Basic eDp5', 'Bearer a.b.c']) {
      expect((await anonymous(call('open'), { authorization })).status).toBe(401);
    }
    expect((await anonymous(call('open'), { 'x-api-key': 'revoked' })).status).toBe(401);
    expect(runs).toEqual([]);
    expect((await anonymous(call('open'), { authorization: '' })).status).toBe(200); // an unset variable
    expect((await anonymous(call('write'), { 'x-api-key': 'bob+w' })).status).toBe(200);
    expect((await post(call('write'), { scope: 'w' })).status).toBe(200);
    expect(seen.at(-1)).toMatchObject({ auth: true });
  });

  test('other handlers stay shut, whatever their body is', async () => {
    const { anonymous, mcpUrl } = await start(platform);
    const other = mcpUrl.replace('/mcp', '/other');
    const { post } = running!;
    expect((await post(request('ping'), { scope: null, url: other })).status).toBe(401);
    expect((await fetch(other)).status).toBe(401);
    expect((await anonymous(request('ping'))).status).toBe(200);
  });

  test('scopes of the class, and enforceScopesOnAllRequests, still need a token', async () => {
    const { anonymous } = await start(platform, { controller: ScopedController });
    expect((await anonymous(request('ping'))).status).toBe(401);
    await running?.close();
    const strict = await start(platform, {
      options: { guard: 'global', scopes: ['mcp:use'], enforceScopesOnAllRequests: true },
    });
    expect((await strict.anonymous(request('ping'))).status).toBe(401);
  });

  test('with hiding, the list is of what needs no scope, and the rest does not exist', async () => {
    const { anonymous } = await start(platform, { mcp: { list: 'hide' } });
    const { text } = await anonymous(request('tools/list'));
    expect([text.includes('"open"'), text.includes('"write"'), text.includes('"read"')]).toEqual([
      true,
      false,
      false,
    ]);
    const unknown = await anonymous(call('nothing'));
    const hidden = await anonymous(call('write'));
    expect([hidden.status, hidden.text]).toEqual([
      unknown.status,
      unknown.text.replaceAll('nothing', 'write'),
    ]);
  });

  test('an anonymous session becomes that of its first caller, once', async () => {
    const { anonymous, post } = await start(platform, { host: 'SDK v1 with sessions' });
    const open = async (headers: Record<string, string> = {}) => {
      const opened = await anonymous(initialize, headers);
      return { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    };
    const session = await open();
    const ping = async (headers: Record<string, string>) =>
      (await anonymous(request('ping'), headers)).status;
    expect(await ping(session)).toBe(200);
    expect(await ping({ 'mcp-session-id': 'made-up' })).toBe(404);
    const ofBob = await open({ 'x-api-key': 'bob' });
    expect(await ping(ofBob)).toBe(404);
    expect((await anonymous(undefined, ofBob, 'DELETE')).status).toBe(404);
    const alice = { claims: { sub: 'alice' }, headers: session };
    expect((await post(request('ping'), alice)).status).toBe(200);
    expect(await ping(session)).toBe(404);
    expect(await ping({ ...session, 'x-api-key': 'bob' })).toBe(404);
    expect((await post(request('ping'), alice)).status).toBe(200);
    const another = await open();
    expect((await anonymous(undefined, another, 'DELETE')).status).toBe(200);
  });

  test('a stream that nobody has opened ends when the session becomes that of a caller', async () => {
    const { anonymous, post, mcpUrl } = await start(platform, { host: 'SDK v1 with sessions' });
    const opened = await anonymous(initialize);
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    const listen = (headers: Record<string, string> = {}) =>
      fetch(mcpUrl, {
        headers: { accept: 'text/event-stream', ...session, ...headers },
        signal: AbortSignal.timeout(60_000), // for one that does not end
      });
    const stream = await listen();
    expect(stream.status).toBe(200);
    expect((await anonymous(request('ping'), session)).status).toBe(200);
    expect((await post(request('ping'), { headers: session })).status).toBe(200);
    expect(await stream.text()).not.toContain('data:');
    expect((await listen()).status).toBe(404);
    const own = await listen({ authorization: await running!.bearer() });
    expect(own.status).toBe(200);
    await own.body?.cancel();
  });

  test('required is the default', async () => {
    const app = (running = await startMcpApp({ platform, mcp: { tools: TOOLS } }));
    expect((await app.post(request('ping'), { scope: null })).status).toBe(401);
  });
});
