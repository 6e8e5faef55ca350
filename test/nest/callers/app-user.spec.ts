/** The application's own user behind a caller, over real HTTP. */
import { afterEach, describe, expect, vi, test } from 'vitest';
import {
  Controller,
  Get,
  Injectable,
  Logger,
  Post,
  type NestMiddleware,
  Req,
} from '@nestjs/common';
import {
  AuthContext,
  CurrentUser,
  Public,
  Scopes,
  type AuthplaneModuleOptions,
  type VerifiedClaims,
} from 'authplane-nestjs';
import { withScopesOf } from '../../../src/nest/callers/app-user.js';
import { otherCredentials } from '../../support/callers/other-callers.js';
import { call, type McpApp, startMcpApp } from '../../support/nest/mcp-app.js';
import { platforms } from '../../support/nest/start-app.js';
import { holdTimers } from '../../support/time/held-timers.js';

interface Row {
  readonly id: number;
  readonly name: string;
}

@Injectable()
class Names {
  constructor(private readonly caller: AuthContext<Row>) {}

  name() {
    return this.caller.user.name;
  }
}

@Controller('things')
class ThingsController {
  constructor(private readonly names: Names) {}

  @Get()
  list(@CurrentUser() user: Row, @Req() request: { user?: unknown }) {
    return { user, name: this.names.name(), request: request.user };
  }

  @Post()
  @Scopes('things:write')
  write() {
    return {};
  }

  @Get('open')
  @Public()
  open(@CurrentUser() user?: Row) {
    return { user: user ?? null };
  }
}

@Injectable()
class OldUser implements NestMiddleware {
  use(request: object, _response: unknown, next: () => void) {
    Object.assign(request, { user: { id: 'of a session' } });
    next();
  }
}

let running: McpApp | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

const ROWS: Readonly<Record<string, Row>> = {
  alice: { id: 1, name: 'Alice' },
  bob: { id: 2, name: 'Bob' },
};

async function start(
  platform: 'fastify' | 'express',
  user: AuthplaneModuleOptions['user'] | 'none',
  configure?: Parameters<typeof startMcpApp>[0]['configure'],
) {
  const app = (running = await startMcpApp({
    platform,
    mcp: { tools: { write: ['tools/write'] } },
    options: {
      guard: 'global',
      otherCredentials,
      ...(user === 'none' || user === undefined ? {} : { user }),
    },
    metadata: { controllers: [ThingsController], providers: [Names, OldUser] },
    ...(configure === undefined ? {} : { configure }),
  }));
  const base = app.mcpUrl.replace('/mcp', '');
  const send = async (sub: string, path = '/things', method = 'GET', claims: object = {}) =>
    fetch(`${base}${path}`, {
      method,
      headers: { authorization: await app.bearer('', { sub, ...claims }) },
    });
  return { ...app, base, send };
}

describe.each(platforms)('12.2: the user of the application on %s', (platform) => {
  test('is at @CurrentUser(), AuthContext.user and request.user, for keys and tokens', async () => {
    const { send, base } = await start(platform, ({ sub }) => Promise.resolve(ROWS[sub]));
    const expected = { user: ROWS['alice'], name: 'Alice', request: ROWS['alice'] };
    expect(await (await send('alice')).json()).toEqual(expected);
    const byKey = await fetch(`${base}/things`, { headers: { 'x-api-key': 'bob' } });
    expect(await byKey.json()).toMatchObject({ user: ROWS['bob'] });
    expect(await (await send('alice', '/things/open')).json()).toEqual({ user: null });
  });

  test('row 6: null, and whatever else is nobody, refuses with 403 access_denied, without a challenge', async () => {
    const answers: unknown[] = [];
    const { send, post, runs } = await start(platform, () => answers.pop());
    for (const gone of [null, undefined, false, '', 0, -0, 0n, NaN, Promise.resolve(NaN)]) {
      answers.push(gone);
      const refused = await send('eve');
      expect(refused.status).toBe(403);
      expect(refused.headers.get('www-authenticate')).toBeNull();
      expect(await refused.json()).toMatchObject({ error: 'access_denied' });
    }
    answers.push(null);
    expect((await post(call('open'))).status).toBe(403);
    expect(runs).toEqual([]);
  });

  test('after the scopes, once for a request', async () => {
    const asked: string[] = [];
    const { send, post } = await start(platform, ({ sub }, { resource }) => {
      asked.push(`${sub} at ${resource.uri}`);
      return ROWS['alice'];
    });
    expect((await send('alice', '/things', 'POST')).status).toBe(403);
    expect((await post(call('write'))).status).toBe(403);
    expect(asked).toEqual([]);
    expect((await post(call('open'), { claims: { sub: 'alice' } })).status).toBe(200); // two guards
    expect(asked).toEqual([`alice at ${running?.mcpUrl}`]);
  });

  test('what throws or hangs is a 503, and harms nobody else', async () => {
    const { send } = await start(platform, ({ sub }) => {
      if (sub === 'thrower') throw new Error('no database');
      if (sub === 'sleeper') return new Promise(() => undefined);
      return ROWS['alice'];
    });
    const deadlines = holdTimers(5000);
    const sleeping = send('sleeper');
    expect((await send('thrower')).status).toBe(503);
    expect((await send('alice')).status).toBe(200);
    await deadlines.fire(1);
    expect((await sleeping).status).toBe(503);
  });

  test('row 5: kept by identity and lasting claims; failures never', async () => {
    const asked: string[] = [];
    let isAway = true;
    const load = async ({ sub, raw }: VerifiedClaims) => {
      asked.push(`${sub} ${String(raw['org'])}`);
      await Promise.resolve();
      if (isAway) throw new Error('away');
      return { sub, org: raw['org'] };
    };
    const { send } = await start(platform, { load, cacheSeconds: 60 });
    const org = async (sub: string, value: string) =>
      (await send(sub, '/things', 'GET', { org: value })).json() as Promise<{ user?: unknown }>;
    await org('alice', 'a');
    await org('alice', 'a');
    expect(asked).toEqual(['alice a', 'alice a']); // a failure is not kept
    isAway = false;
    await Promise.all([org('alice', 'a'), org('alice', 'a')]); // one flight
    expect(await org('alice', 'a')).toMatchObject({ user: { sub: 'alice', org: 'a' } });
    expect(asked).toHaveLength(3);
    expect(await org('alice', 'b')).toMatchObject({ user: { sub: 'alice', org: 'b' } });
    expect(await org('bob', 'a')).toMatchObject({ user: { sub: 'bob', org: 'a' } });
    expect(asked).toHaveLength(5);
  });

  test('row 5: a key of the application says what else counts, and has to be a string', async () => {
    let count = 0;
    const option = { load: () => ({ count: ++count }), cacheSeconds: 60 };
    const key = ({ raw }: VerifiedClaims) => raw['org'] as string;
    const { send } = await start(platform, { ...option, key });
    const user = async (claims: object) => {
      const answer = await send('alice', '/things', 'GET', claims);
      return answer.status === 200
        ? ((await answer.json()) as { user: unknown }).user
        : answer.status;
    };
    expect(await user({ org: 'a', other: 1 })).toEqual({ count: 1 });
    expect(await user({ org: 'a', other: 2 })).toEqual({ count: 1 });
    expect(await user({ org: 'b' })).toEqual({ count: 2 });
    expect(await user({})).toBe(503);
  });

  test('row 7: request.user is ours, with one warning where another value stood there', async () => {
    const warn = vi.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const { send } = await start(
      platform,
      ({ sub }) => ROWS[sub],
      (app) => {
        const { use } = new OldUser();
        app.use(use);
      },
    );
    for (let i = 0; i < 3; i++) {
      expect(await (await send('alice')).json()).toMatchObject({ request: ROWS['alice'] });
    }
    const warnings = warn.mock.calls.filter(([text]) => String(text).includes('request.user had'));
    expect(warnings).toHaveLength(platform === 'express' ? 1 : warnings.length);
    warn.mockRestore();
  });

  test('without the option @CurrentUser() is a mistake, and request.user is left alone', async () => {
    const { send } = await start(platform, 'none');
    expect((await send('alice')).status).toBe(500);
  });
});

test('12.2: MCP-Nest reads the scopes of the caller at the user, and its roles', () => {
  class Person {
    constructor(
      readonly roles: readonly string[],
      readonly scopes: readonly string[],
    ) {}
    greet() {
      return this.roles[0];
    }
  }
  const person = Object.freeze(new Person(['admin'], ['all']));
  const claims = { scopes: ['notes:read'] } as unknown as VerifiedClaims;
  const seen = withScopesOf({ claims }, person) as Person & { scope: string };
  expect([seen.scopes, seen.scope, seen.roles]).toEqual([['notes:read'], 'notes:read', ['admin']]);
  expect([seen instanceof Person, seen.greet()]).toEqual([true, 'admin']);
  expect(JSON.parse(JSON.stringify(seen))).toEqual({ roles: ['admin'] });
  expect(withScopesOf({ claims }, 'alice')).toBe('alice');
  expect(person.scopes).toEqual(['all']);
});
