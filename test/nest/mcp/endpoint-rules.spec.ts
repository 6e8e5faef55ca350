import { afterEach, describe, expect, it } from 'vitest';
import { Controller, Post, type Type, UseGuards } from '@nestjs/common';
import {
  AuthplaneGuard,
  ConfigurationError,
  McpEndpoint,
  type McpOptions,
  Scopes,
  type ScopeRule,
} from 'authplane-nestjs';
import { platforms } from '../../support/nest/start-app.js';
import {
  call,
  type HostName,
  hosts,
  type McpApp,
  type McpAppOptions,
  McpController,
  modern,
  request,
  startMcpApp,
} from '../../support/nest/mcp-app.js';

const TOOLS = { read: ['mcp:read'], write: { all: ['mcp:write'], any: ['one:a', 'one:b'] } };

let server: McpApp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(options: McpAppOptions): Promise<McpApp> {
  server = await startMcpApp(options);
  return server;
}

describe.each(platforms)('scopes of MCP operations on %s', (platform) => {
  describe.each(Object.keys(hosts) as HostName[])('%s', (host) => {
    it('a missing scope is a 403 that names all scopes, before the tool runs', async () => {
      const { post, runs } = await start({ platform, host, mcp: { tools: TOOLS } });
      const session = await sessionHeaders(host);
      const refused = await post(call('write'), { scope: 'mcp:read', headers: session });
      expect(refused.status).toBe(403);
      expect(refused.headers.get('www-authenticate')).toContain(
        'error="insufficient_scope", scope="mcp:write one:a", resource_metadata="',
      );
      expect(refused.json).toEqual({ error: 'insufficient_scope', scope: 'mcp:write one:a' });
      expect(runs).toEqual([]);
      const passed = await post(call('write'), { scope: 'mcp:write one:b', headers: session });
      expect(passed.status).toBe(200);
      expect(passed.text).toContain('write ran');
      expect(runs).toEqual(['write']);
    });

    it('a batch with one forbidden element is refused whole', async () => {
      const { post, runs } = await start({ platform, host, mcp: { tools: TOOLS } });
      const session = await sessionHeaders(host);
      const batch = [call('open', 1), call('read', 2), call('write', 3)];
      const refused = await post(batch, { scope: 'mcp:read', headers: session });
      expect(refused.status).toBe(403);
      expect(refused.json.scope).toBe('mcp:read mcp:write one:a');
      expect(runs).toEqual([]);
      const scope = 'mcp:read mcp:write one:a';
      expect((await post(batch, { scope, headers: session })).status).toBe(200);
      expect([...runs].sort()).toEqual(['open', 'read', 'write']);
    });

    it("an unknown tool, and a message that is none, get the server's own answer", async () => {
      const { post } = await start({ platform, host, mcp: { tools: TOOLS } });
      const session = await sessionHeaders(host);
      for (const body of [call('nothing'), call(['write']), call({}), request('no/method')]) {
        const answer = await post(body, { headers: session });
        expect(answer.status).toBeLessThan(500);
        expect([401, 403]).not.toContain(answer.status);
      }
    });
  });

  async function sessionHeaders(host: HostName): Promise<Record<string, string>> {
    if (host !== 'SDK v1 with sessions') return {};
    return openSession();
  }

  it('the 2026 era is judged by its body; a header that says otherwise changes nothing', async () => {
    const { post, runs } = await start({ platform, host: 'SDK v2', mcp: { tools: TOOLS } });
    const { body, headers } = modern('tools/call', { name: 'write' });
    expect((await post(body, { headers })).status).toBe(403);
    const lying = { ...headers, 'mcp-name': 'open', 'mcp-method': 'ping' };
    expect((await post(body, { headers: lying })).status).toBe(403);
    const scope = 'mcp:write one:a';
    expect((await post(body, { headers: lying, scope })).status).toBe(400);
    expect(runs).toEqual([]);
    expect((await post(body, { headers, scope })).status).toBe(200);
  });

  it('adds the scopes of controller and module, and honours the hierarchy', async () => {
    @Scopes('of:class')
    class ScopedController extends McpController {}
    Controller('mcp')(ScopedController);
    UseGuards(AuthplaneGuard)(ScopedController);
    Reflect.defineMetadata(
      'design:paramtypes',
      Reflect.getMetadata('design:paramtypes', McpController),
      ScopedController,
    );
    const { post } = await start({
      platform,
      controller: ScopedController,
      mcp: { tools: TOOLS },
      options: {
        scopes: ['of:module'],
        enforceScopesOnAllRequests: true,
        scopeHierarchy: { 'mcp:admin': ['mcp:write', 'one:b'] },
      },
    });
    const refused = await post(call('write'), { scope: 'of:module' });
    expect(refused.json.scope).toBe('of:module of:class mcp:write one:a');
    const scope = 'of:module of:class mcp:admin';
    expect((await post(call('write'), { scope })).status).toBe(200);
    const anonymous = await post(call('read'), { scope: null });
    expect(anonymous.status).toBe(401);
    expect(anonymous.headers.get('www-authenticate')).toContain(
      'scope="of:module of:class mcp:read"',
    );
  });

  it('resources: raw and normalised URI, templates, subscriptions; prompts and completion', async () => {
    const mcp: McpOptions = {
      resources: {
        'https://example.com/secret': ['r:secret'],
        'calendar://days/{day}': ['r:days'],
        'calendar://today': ['r:today'],
      },
      prompts: { briefing: ['p:briefing'] },
    };
    const { post, runs } = await start({ platform, mcp });
    const refusedScope = async (method: string, params: object) => {
      const answer = await post(request(method, params));
      return answer.status === 403 ? String(answer.json.scope) : answer.status;
    };
    const secrets = [
      'https://example.com/secret',
      'HTTPS://EXAMPLE.com:443/x/../%73ecret'.replace('%73', 's'),
    ];
    for (const uri of secrets)
      expect(await refusedScope('resources/read', { uri })).toBe('r:secret');
    for (const method of ['resources/read', 'resources/subscribe', 'resources/unsubscribe']) {
      expect(await refusedScope(method, { uri: 'calendar://days/monday' })).toBe('r:days');
    }
    expect(await refusedScope('prompts/get', { name: 'briefing' })).toBe('p:briefing');
    const argument = { name: 'day', value: 'm' };
    const byPrompt = { ref: { type: 'ref/prompt', name: 'briefing' }, argument };
    expect(await refusedScope('completion/complete', byPrompt)).toBe('p:briefing');
    const byTemplate = { ref: { type: 'ref/resource', uri: 'calendar://days/{day}' }, argument };
    expect(await refusedScope('completion/complete', byTemplate)).toBe('r:days');
    const listen = { notifications: { resourceSubscriptions: ['calendar://today', 'x://y'] } };
    expect(await refusedScope('subscriptions/listen', listen)).toBe('r:today');
    expect(runs).toEqual([]);
    const read = request('resources/read', { uri: 'calendar://days/monday' });
    expect((await post(read, { scope: 'r:days' })).json.result.contents[0].text).toBe('content');
  });

  it('only POST bodies name operations; streams and the end of a session need the base scopes', async () => {
    const { post } = await start({ platform, mcp: { tools: TOOLS } });
    expect(
      (await post(undefined, { method: 'GET', headers: { accept: 'text/html' } })).status,
    ).toBe(406);
    expect((await post(undefined, { method: 'GET', scope: null })).status).toBe(401);
  });

  it('a POST whose body was not parsed is refused, after a missing token', async () => {
    const { post, runs } = await start({ platform, mcp: { tools: TOOLS } });
    const headers = { 'content-type': 'text/plain' };
    const refused = await post(call('write'), { headers });
    expect([400, 415]).toContain(refused.status);
    expect((await post(call('write'), { headers, raw: '"text"' })).status).toBeGreaterThanOrEqual(
      400,
    );
    expect((await post([...Array(101)].map((_, id) => call('open', id)))).status).toBe(400);
    const prototype =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"__proto__":{"name":"write"},"arguments":{}}}';
    expect((await post(undefined, { raw: prototype })).status).toBe(400);
    if (platform === 'express') {
      expect(refused.json).toEqual({
        error: 'invalid_request',
        error_description: 'The request has no JSON-RPC body that can be checked',
      });
      const anonymous = await post(call('write'), { headers, scope: null });
      expect(anonymous.status).toBe(401);
    }
    expect(runs).toEqual([]);
  });

  it.each(['/MCP', '/mcp/', '/%6dcp', '//mcp', '/mcp?x=1', '/mcp;x', '/./mcp', '/Mcp/?'])(
    'no spelling of the path goes by unchecked: %s',
    async (path) => {
      const { post, runs, app } = await start({ platform, mcp: { tools: TOOLS } });
      const answer = await post(call('write'), { url: `${app.url}${path}` });
      expect([403, 404]).toContain(answer.status);
      expect(runs).toEqual([]);
    },
  );

  it('@McpEndpoint() marks a controller on another path, and a further path of one is none less', async () => {
    class ElsewhereController extends McpController {}
    McpEndpoint()(ElsewhereController);
    Controller('elsewhere')(ElsewhereController);
    class TwoPathsController extends McpController {}
    Controller(['mcp', 'mcp-too'])(TwoPathsController);
    for (const type of [ElsewhereController, TwoPathsController]) {
      UseGuards(AuthplaneGuard)(type);
      const types: unknown = Reflect.getMetadata('design:paramtypes', McpController);
      Reflect.defineMetadata('design:paramtypes', types, type);
    }
    const { post, app } = await start({
      platform,
      controller: ElsewhereController as Type,
      metadata: { controllers: [TwoPathsController] },
      mcp: { tools: TOOLS },
    });
    for (const path of ['/elsewhere', '/mcp', '/mcp-too']) {
      expect((await post(call('write'), { url: `${app.url}${path}` })).status).toBe(403);
    }
  });

  it('other routes are read for JSON-RPC only', async () => {
    @Controller('things')
    @UseGuards(AuthplaneGuard)
    class ThingsController {
      @Post()
      take() {
        return 'taken';
      }
    }
    const { post, app } = await start({
      platform,
      mcp: { tools: TOOLS },
      metadata: { controllers: [ThingsController] },
    });
    const plain = { method: 'tools', params: { name: 'write' } };
    expect((await post(plain, { url: `${app.url}/things` })).text).toBe('taken');
    expect((await post(call('write'), { url: `${app.url}/things` })).status).toBe(403);
  });

  it('a rule decides by arguments and by agents', async () => {
    const rule: ScopeRule = ({ params }, { agentChain }) => {
      if (agentChain.length > 1) return false;
      const { arguments: given } = params as { arguments: { all?: boolean } };
      return given.all ? { all: ['mcp:admin'] } : [];
    };
    const { post, runs } = await start({ platform, mcp: { tools: { read: rule } } });
    const everything = { ...call('read'), params: { name: 'read', arguments: { all: true } } };
    expect((await post(call('read'))).status).toBe(200);
    expect((await post(everything)).json.scope).toBe('mcp:admin');
    expect((await post(everything, { scope: 'mcp:admin' })).status).toBe(200);
    expect(runs).toEqual(['read', 'read']);
    const claims = { agent_id: 'b', agent_chain: ['a', 'b'], act: { sub: 'b' } };
    const refused = await post(call('read'), { claims, scope: 'mcp:admin' });
    expect(refused.status).toBe(403);
    expect(refused.headers.get('www-authenticate')).toBeNull();
    expect(refused.json).toMatchObject({ error: 'access_denied' });
    expect(runs).toHaveLength(2);
  });

  it('a rule that throws or returns nonsense refuses; one that misses a scope names it', async () => {
    const broken = (rule: (...args: never[]) => unknown) => rule as unknown as ScopeRule;
    const tools = {
      open: broken(() => {
        throw new TypeError('cannot read properties');
      }),
      read: broken(async () => Promise.resolve('a')),
      write: broken((_, claims: { requireScope(scope: string): void }) => {
        claims.requireScope('mcp:late');
        return [];
      }),
      constructor: broken(() => undefined),
    };
    const { post, runs } = await start({ platform, mcp: { tools } });
    for (const name of ['open', 'read', 'constructor']) {
      const refused = await post(call(name));
      expect([refused.status, refused.json.error]).toEqual([403, 'access_denied']);
    }
    expect((await post(call('write'))).json).toEqual({
      error: 'insufficient_scope',
      scope: 'mcp:late',
    });
    expect(runs).toEqual([]);
  });

  it('names of prototype members are names like others', async () => {
    const { post, runs } = await start({
      platform,
      mcp: { tools: { constructor: ['mcp:constructor'] } },
    });
    expect((await post(call('constructor'))).json.scope).toBe('mcp:constructor');
    expect((await post(call('toString'))).status).toBe(200);
    expect((await post(call('__proto__'))).status).toBe(200);
    expect(runs).toEqual([]);
  });

  it('Origin: only those of the list, before anything else; none passes', async () => {
    const allowedOrigins = ['https://app.example.com'];
    const { post } = await start({ platform, mcp: { allowedOrigins } });
    for (const origin of ['https://evil.example', 'null', 'https://app.example.com.evil.example']) {
      const refused = await post(call('open'), { headers: { origin }, scope: null });
      expect(refused.status).toBe(403);
      expect(refused.json).toEqual({
        jsonrpc: '2.0',
        error: { code: -32003, message: 'Forbidden: Origin not allowed' },
        id: 1,
      });
    }
    const origin = 'https://app.example.com';
    expect((await post(call('open'), { headers: { origin } })).status).toBe(200);
    expect((await post(call('open'))).status).toBe(200);
  });

  it('10.23: without a list only pages of the resource itself, and with devMode of this machine', async () => {
    const { post, mcpUrl } = await start({ platform });
    const status = async (origin: string, method = 'POST') =>
      (await post(call('open'), { headers: { origin }, method, scope: null })).status;
    for (const origin of [
      'https://anything.example',
      'null',
      'http://127.0.0.1.evil.example',
      '',
    ]) {
      expect([origin, await status(origin)]).toEqual([origin, 403]);
      expect([origin, await status(origin, 'GET')]).toEqual([origin, 403]);
    }
    for (const origin of [new URL(mcpUrl).origin, 'http://localhost:6274', 'https://[::1]:1']) {
      expect([origin, await status(origin)]).toEqual([origin, 401]);
    }
  });

  it('10.23: allowedOrigins: false checks nothing', async () => {
    const { post } = await start({ platform, mcp: { allowedOrigins: false } });
    const headers = { origin: 'https://anything.example' };
    expect((await post(call('open'), { headers })).status).toBe(200);
  });

  it('a global, a class and a handler guard check once', async () => {
    let asked = 0;
    const rule: ScopeRule = () => {
      asked++;
      return ['mcp:read'];
    };
    const { post } = await start({
      platform,
      mcp: { tools: { read: rule } },
      options: { guard: 'global' },
    });
    expect((await post(call('read'), { scope: 'mcp:read' })).status).toBe(200);
    expect(asked).toBe(1);
  });

  it('the session of another user or client does not exist: POST, GET and DELETE', async () => {
    const { post, runs } = await start({ platform, host: 'SDK v1 with sessions' });
    const headers = await openSession({ sub: 'alice' });
    const sessionNotFound = {
      jsonrpc: '2.0',
      error: { code: -32001, message: 'Session not found' },
      id: null,
    };
    const strangers = [{ sub: 'bob' }, { sub: 'alice', client_id: 'another-client' }];
    for (const claims of strangers) {
      for (const method of ['POST', 'GET', 'DELETE']) {
        const answer = await post(call('open'), { method, headers, claims });
        expect([method, answer.status]).toEqual([method, 404]);
        expect(answer.json).toEqual({ ...sessionNotFound, id: method === 'GET' ? null : 1 });
      }
    }
    expect(runs).toEqual([]);
    const claims = { sub: 'alice' };
    expect((await post(call('open'), { headers, claims, scope: 'other' })).status).toBe(200);
    const unknown = { 'mcp-session-id': '__proto__' };
    expect((await post(call('open'), { headers: unknown })).json).toEqual({ unknown: 'session' });
    expect((await post({}, { method: 'DELETE', headers, claims })).status).toBe(200);
    // Forgotten here and at the server: whose it was no longer matters.
    expect((await post(call('open'), { headers })).status).toBe(404);
  });

  it('sessionBinding: false leaves sessions to the server', async () => {
    const { post } = await start({
      platform,
      host: 'SDK v1 with sessions',
      mcp: { sessionBinding: false },
    });
    const headers = await openSession({ sub: 'alice' });
    expect((await post(call('open'), { headers, claims: { sub: 'bob' } })).status).toBe(200);
  });

  async function openSession(claims: Record<string, unknown> = {}) {
    const initialize = request('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    });
    const opened = await server!.post(initialize, { claims });
    expect(opened.status).toBe(200);
    return {
      'mcp-session-id': String(opened.headers.get('mcp-session-id')),
      'mcp-protocol-version': '2025-11-25',
    };
  }
});

describe('options of MCP operations', () => {
  const starting = (mcp: unknown) => start({ platform: 'express', mcp: mcp as McpOptions });

  it.each([
    [{ tools: { a: [] } }, /mcp: tools: 'a': names no scope/],
    [{ tools: { a: ['not a scope'] } }, /'not a scope' is not a scope/],
    [{ tools: { a: { al: ['x'] } } }, /al: unknown; use all and any/],
    [{ tools: { a: { any: [] } } }, /any: names no scope/],
    [{ tools: { a: 'x' } }, /must be a list of scopes/],
    [{ tools: [] }, /tools: must be a table/],
    [{ list: 'filter' }, /must be one of 'show', 'hide'/],
    [{ allowedOrigins: ['https://app.example.com/'] }, /is not an origin/],
    [{ allowed_origins: [] }, /did you mean allowedOrigins/],
    ['x', /mcp: must be an object/],
  ])('%j is a mistake', async (mcp, message) => {
    const error = await starting(mcp).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as Error).message).toMatch(message);
  });
});
