import fastifyCors from '@fastify/cors';
import { request as httpRequest } from 'node:http';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, vi, test, type MockInstance } from 'vitest';
import {
  Body,
  Controller,
  type INestApplication,
  Logger,
  type MiddlewareConsumer,
  Module,
  Post,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import {
  AuthContext,
  AuthplaneGuard,
  AuthplaneMiddleware,
  ConfigurationError,
} from 'authplane-nestjs';
import { type PlatformReply, type PlatformRequest, serveMcp } from 'authplane-nestjs/mcp';
import { seesEverySpelling } from '../../src/nest/authplane.middleware.js';
import { type Platform, platforms } from '../support/nest/start-app.js';
import { clients, type ClientName, walk } from '../support/hosts/hosts-clients.js';
import { type Caller, type Message, RawClient } from '../support/hosts/hosts-requests.js';
import {
  type MountedHandler,
  type MountedServer,
  type MountName,
  mounts,
  servers,
  startMounted,
} from '../support/hosts/mounted-hosts.js';
import { until } from '../support/time/until.js';

let server: MountedServer | undefined;

afterEach(async () => {
  vi.restoreAllMocks();
  await server?.close();
  server = undefined;
});

const READ = 'notes:read';
const call = (name: string, args: object = {}): Message => ({
  method: 'tools/call',
  params: { name, arguments: args },
});

/** The self-check has asked what it asks, and heard the answers. */
async function untilChecked({ selfChecks }: MountedServer): Promise<void> {
  const wanted = ['GET /mcp', 'POST /mcp', 'GET /.well-known/oauth-protected-resource/mcp'];
  await until(() => wanted.every((one) => selfChecks.includes(one)));
}

const doubts = (warn: MockInstance<Logger['warn']>) =>
  warn.mock.calls.map(([text]) => String(text)).filter((text) => !text.startsWith('devMode'));

const names = Object.keys(mounts) as MountName[];

describe.each(names)('12.5: %s', (mount) => {
  test.each(Object.entries(servers).filter(([name]) => !name.includes('sessions')))(
    '%s: no token, a bad one, too few scopes, enough, a batch: refused before dispatch, as behind the guard',
    async (_, host) => {
      server = await startMounted(mount, host);
      const raw = new RawClient(server, '2025');
      const send = (message: Message, caller: Caller) => raw.send(message, caller);

      const none = await send(call('read'), { scope: null });
      expect([none.status, none.headers.get('content-type')]).toEqual([
        401,
        'application/json; charset=utf-8',
      ]);
      expect(none.headers.get('www-authenticate')).toContain(
        `resource_metadata="${new URL(server.mcpUrl).origin}/.well-known/oauth-protected-resource/mcp"`,
      );
      expect(none.headers.get('www-authenticate')).toContain(`scope="${READ}"`);
      expect(none.message).toMatchObject({ id: 1, error: { code: -32003 } });

      const bad = await send(call('read'), {
        scope: READ,
        headers: { authorization: 'Bearer x.y.z' },
      });
      expect(bad.status).toBe(401);

      const lacking = await send(call('write'), { scope: READ });
      expect(lacking.status).toBe(403);
      expect(lacking.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
      expect(lacking.headers.get('www-authenticate')).toContain('notes:write');

      const batch = await raw.batch([call('read'), call('write')], { scope: READ });
      expect([batch.status, server.runs]).toEqual([403, []]);

      const good = await send(call('read'), { scope: READ });
      expect([good.status, good.text]).toEqual([200, expect.stringContaining('read for alice')]);
      expect(server.runs).toEqual(['alice read']);
    },
  );
});

describe.each(names)('12.5: %s, sessions and lists', (mount) => {
  test('lists do not name what the caller may not use, and calling it is as calling nothing', async () => {
    server = await startMounted(mount, servers['SDK v1'], {
      mcp: { tools: { read: [READ], write: ['notes:write'] }, list: 'hide' },
    });
    const raw = new RawClient(server, '2025');
    const list = await raw.send({ method: 'tools/list' }, { scope: READ });
    expect(list.text).toContain('"read"');
    expect(list.text).not.toContain('"write"');
    const [hidden, unknown] = [
      await raw.send(call('write'), { scope: READ }),
      await raw.send(call('nope'), { scope: READ }),
    ];
    expect([hidden.status, hidden.text.replaceAll('write', 'nope')]).toEqual([
      unknown.status,
      unknown.text,
    ]);
    expect(server.runs).toEqual([]);
  });

  test('a session is of whoever has opened it', async () => {
    server = await startMounted(mount, servers['SDK v1 with sessions']);
    const raw = new RawClient(server, '2025');
    await raw.openSession({ scope: READ, user: 'alice' });
    expect((await raw.send(call('read'), { scope: READ, user: 'bob' })).status).toBe(404);
    expect(await raw.bodiless('GET', { scope: READ, user: 'bob' })).toBe(404);
    expect((await raw.send(call('read'), { scope: READ, user: 'alice' })).status).toBe(200);
    expect(server.runs).toEqual(['alice read']);
  });

  test('a page of another origin is refused', async () => {
    server = await startMounted(mount, servers['SDK v1']);
    const raw = new RawClient(server, '2025');
    const headers = { origin: 'https://evil.example' };
    expect((await raw.send(call('free'), { scope: READ, headers })).status).toBe(403);
    expect(server.runs).toEqual([]);
  });
});

describe.each(names)('12.5: %s, what comes with it', (mount) => {
  test.each((Object.keys(clients) as ClientName[]).filter((name) => !name.includes('2026')))(
    '%s gets its tokens, and the scope of the tool when it calls it',
    async (client) => {
      server = await startMounted(mount, servers['SDK v1'], { scopes: [READ] });
      const { asked, result } = await walk(client, server, 'write', {});
      expect(asked).toEqual([READ, expect.stringContaining('notes:write')]);
      expect(JSON.stringify(result)).toContain('write for alice');
    },
  );

  test('the 2026 era', async () => {
    server = await startMounted(mount, servers['SDK v2'], { scopes: [READ] });
    const { asked, result } = await walk('SDK v2 (2026 era)', server, 'write', {});
    expect(asked).toEqual([READ, expect.stringContaining('notes:write')]);
    expect(JSON.stringify(result)).toContain('write for alice');
  });

  test('nothing is said at the start, and nothing by the self-check', async () => {
    const warn = vi.spyOn(Logger.prototype, 'warn');
    server = await startMounted(mount, servers['SDK v1']);
    await untilChecked(server);
    expect(doubts(warn)).toEqual([]);
  });

  test('a name that no forFeature has given', async () => {
    server = await startMounted(mount, servers['SDK v1']);
    const middleware = server.app.get(AuthplaneMiddleware);
    expect(() => middleware.for({ resource: 'nobody' })).toThrow(ConfigurationError);
  });
});

describe('12.5: what pages of other origins may read of a refusal', () => {
  const origin = 'https://app.example.com';
  const cors = { origin: [origin], exposedHeaders: ['WWW-Authenticate'] };
  const ways: readonly (readonly [string, Platform, (app: INestApplication) => void])[] = [
    ['express, enableCors', 'express', (app) => app.enableCors(cors)],
    ['fastify, enableCors', 'fastify', (app) => app.enableCors(cors)],
    [
      'fastify, the plugin',
      'fastify',
      (app) => void (app as NestFastifyApplication).register(fastifyCors, cors),
    ],
  ];

  test.each(ways)('%s: is as elsewhere', async (_, platform, allow) => {
    const mount = (app: INestApplication, handler: MountedHandler) => {
      allow(app);
      app.use('/mcp', app.get(AuthplaneMiddleware).for());
      app.use('/mcp', handler);
    };
    const mcp = { tools: { write: ['notes:write'] }, allowedOrigins: [origin] };
    server = await startMounted([platform, mount], servers['SDK v1'], { mcp });
    const raw = new RawClient(server, '2025');
    for (const [scope, status] of [
      [null, 401],
      [READ, 403],
    ] as const) {
      const refused = await raw.send(call('write'), { scope, headers: { origin } });
      expect(refused.status).toBe(status);
      expect(refused.headers.get('access-control-allow-origin')).toBe(origin);
      expect(refused.headers.get('access-control-expose-headers')).toBe('WWW-Authenticate');
      expect(refused.headers.get('vary')).toMatch(/\bOrigin\b/i);
      expect(refused.headers.get('www-authenticate')).toContain('resource_metadata=');
    }
  });
});

/** Answers what a server would, from a body that the platform has parsed. */
@Controller()
class PlainController {
  constructor(private readonly caller: AuthContext) {}

  @Post('mcp')
  mcp(@Body() body: object) {
    return { sub: this.caller.claims.sub, body };
  }

  @Post('guarded')
  @UseGuards(AuthplaneGuard)
  guarded(@Body() body: object) {
    return { sub: this.caller.claims.sub, body };
  }

  @Post('served')
  served(@Req() request: PlatformRequest, @Res() reply: PlatformReply) {
    return serveMcp(request, reply, () => (_, response, body) => {
      response.end(JSON.stringify({ sub: this.caller.claims.sub, body }));
      return Promise.resolve();
    });
  }

  @Post('open')
  open(@Body() body: object) {
    return { body };
  }
}

@Module({ controllers: [PlainController] })
class ConsumerModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(AuthplaneMiddleware).forRoutes('mcp', 'guarded', 'served');
  }
}

test.each([
  ['10.4.20', false],
  ['11.0.20', false],
  ['11.1.13', false],
  ['11.1.14', true],
  ['11.2.0', true],
  ['12.0.0-next.1', true],
  ['unknown', false],
])(
  '12.5: on Fastify, middleware of Nest %s sees every spelling of a path: %s',
  (version, expected) => {
    expect(seesEverySpelling(version)).toBe(expected);
  },
);

describe.each(platforms)('12.5: consumer.apply on %s', (platform) => {
  let verified = 0;
  const start = async () => {
    verified = 0;
    const revocationChecker = () => {
      verified += 1;
      return Promise.resolve(false);
    };
    server = await startMounted(
      [platform, () => undefined],
      () => () => undefined,
      { revocationChecker },
      { imports: [ConsumerModule] },
    );
    return server;
  };
  const send = async (path: string, body: object, scope: string | null) => {
    if (server === undefined) throw new Error('not started');
    const { mcpUrl, authorizationServer } = server;
    const claims = { sub: 'alice', aud: [mcpUrl], scope: scope ?? '' };
    const authorization = `Bearer ${await authorizationServer.issueToken(claims)}`;
    const response = await fetch(new URL(path, mcpUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(scope === null ? {} : { authorization }) },
      body: JSON.stringify(body),
    });
    return [response.status, await response.json()] as const;
  };
  const message = (name: string) => ({ jsonrpc: '2.0', id: 1, ...call(name) });

  test('a controller at the endpoint without a guard: scopes before dispatch, the caller, no warning', async () => {
    const warn = vi.spyOn(Logger.prototype, 'warn');
    const running = await start();
    await untilChecked(running);
    expect(doubts(warn)).toEqual([]);
    expect((await send('/mcp', message('read'), null))[0]).toBe(401);
    expect((await send('/mcp', message('write'), READ))[0]).toBe(403);
    expect(await send('/mcp', message('read'), READ)).toEqual([
      201,
      { sub: 'alice', body: message('read') },
    ]);
  });

  test.each(['/guarded', '/mcp'])('%s: verified once, and the body is whole', async (path) => {
    await start();
    const big = { order: 'x'.repeat(50_000) };
    if (path === '/guarded')
      expect(await send(path, big, READ)).toMatchObject([201, { body: big }]);
    else await send(path, message('read'), READ);
    expect(verified).toBe(1);
  });

  test('messages on another path are judged, too, and what it is not applied to is left alone', async () => {
    await start();
    expect((await send('/guarded', message('write'), READ))[0]).toBe(403);
    expect((await send('/guarded', message('read'), READ))[0]).toBe(201);
    expect((await send('/served', message('write'), READ))[0]).toBe(403);
    expect(await send('/served', message('read'), READ)).toMatchObject([201, { sub: 'alice' }]);
    expect((await send('/guarded', { order: 1 }, null))[0]).toBe(401);
    expect(await send('/open', { order: 1 }, null)).toEqual([201, { body: { order: 1 } }]);
  });

  test('no other spelling of a path gets around it', async () => {
    const { mcpUrl } = await start();
    for (const path of ['/mcp', '/guarded'].flatMap(spellings))
      for (const method of ['POST', 'GET', 'OPTIONS'])
        expect([path, method, await statusOf(mcpUrl, method, path)]).toEqual(SHUT(path, method));
  });
});

describe.each(names)('12.5: %s, other spellings of the path', (mount) => {
  test('none of them runs anything for nobody', async () => {
    server = await startMounted(mount, servers['SDK v1']);
    for (const path of spellings('/mcp'))
      for (const method of ['POST', 'GET', 'OPTIONS', 'PUT'])
        expect([path, method, await statusOf(server.mcpUrl, method, path)]).toEqual(
          SHUT(path, method),
        );
    expect(server.runs).toEqual([]);
  });
});

/** What routers and middleware may read differently; `fetch` would write most of it anew. */
function spellings(path: string): string[] {
  const [first = '', ...rest] = path.slice(1);
  const escaped = `%${first.charCodeAt(0).toString(16)}${rest.join('')}`;
  return [
    ...[path, `${path}/`, `/${path}`, `/${escaped}`, `/%25${escaped.slice(1)}`, path.toUpperCase()],
    ...[`${path};x=1`, `${path}?x=1`, `${path}#x`, `/.${path}`, `/x/..${path}`, `${path}%2f`],
    ...[`${path}%00`, `${path}%20`, `${path}/%2e`, `http://a.example/${escaped}`],
  ];
}

const SHUT = (path: string, method: string) => [
  path,
  method,
  expect.toSatisfy((status: number) => [400, 401, 404].includes(status)) as unknown,
];

function statusOf(url: string, method: string, path: string): Promise<number | undefined> {
  const message = { jsonrpc: '2.0', id: 1, ...call('free') };
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    const sent = httpRequest(url, { method, path, headers, agent: false });
    sent.on('error', reject);
    sent.on('response', (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.end(method === 'GET' || method === 'OPTIONS' ? undefined : JSON.stringify(message));
  });
}
