/** `@Allow` and asynchronous scope rules, over real HTTP. */
import { afterEach, describe, expect, test } from 'vitest';
import {
  Body,
  Controller,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Module,
  Post,
  SetMetadata,
} from '@nestjs/common';
import {
  Allow,
  type AllowRule,
  InsufficientScopeError,
  type McpHost,
  type McpOptions,
  Scopes,
} from 'authplane-nestjs';
import { requireAllowed } from '../../../src/nest/callers/allow-rule.js';
import { otherCredentials } from '../../support/callers/other-callers.js';
import { call, type HostName, type McpApp, startMcpApp } from '../../support/nest/mcp-app.js';
import { platforms } from '../../support/nest/start-app.js';
import { holdTimers } from '../../support/time/held-timers.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

interface Row {
  readonly roles: readonly string[];
}

const asked: unknown[] = [];
const ran: string[] = [];

const isEditor: AllowRule<Row | undefined> = async ({ user }) => {
  await Promise.resolve();
  return user?.roles.includes('editor') === true;
};
/** One that remembers what it was asked. */
const ownNotes: AllowRule<Row> = ({ claims, resource }, operation) => {
  asked.push({ sub: claims.sub, resource, operation });
  const { arguments: args } = (operation?.params ?? {}) as { arguments?: { of?: unknown } };
  return Promise.resolve(args?.of === claims.sub);
};

/** A library that runs decorated methods, and knows nothing of ours. */
const Tool = (name: string) => SetMetadata('own:tool', name);

@Injectable()
@Allow(({ claims }) => claims.sub !== 'banned')
class NotesTools {
  @Tool('read_notes')
  @Allow(ownNotes)
  read() {
    ran.push('read');
    return 'notes';
  }

  @Tool('write_note')
  @Scopes('notes:write')
  @Allow(isEditor)
  async write() {
    await Promise.resolve();
    ran.push('write');
    return 'written';
  }
}

@Module({ providers: [NotesTools], exports: [NotesTools] })
class OwnHostModule {}

const host: McpHost = {
  name: 'its own host',
  owner: OwnHostModule,
  operations(handler) {
    const name: unknown = Reflect.getMetadata('own:tool', handler);
    return typeof name === 'string' ? [{ kind: 'tool', name }] : [];
  },
};

interface Call {
  readonly id: number;
  readonly params: { readonly name: string };
}

@Controller('mcp')
class OwnHostController {
  constructor(@Inject(NotesTools) private readonly tools: NotesTools) {}

  @Post()
  @HttpCode(200)
  async handle(@Body() body: Call | readonly Call[]) {
    const calls = Array.isArray(body) ? (body as readonly Call[]) : [body as Call];
    return Promise.all(
      calls.map(async ({ id, params }) => {
        try {
          const { name } = params;
          const result = await (name === 'write_note' ? this.tools.write() : this.tools.read());
          return { jsonrpc: '2.0', id, result };
        } catch (error) {
          return { jsonrpc: '2.0', id, error: { code: (error as { code?: unknown }).code } };
        }
      }),
    );
  }
}

@Controller('things')
@Allow(({ claims }) => claims.sub !== 'banned')
class ThingsController {
  @Get()
  @Allow(isEditor)
  list() {
    return { listed: true };
  }

  @Get('odd')
  @Allow((): never => 'true' as never)
  odd() {
    return {};
  }

  @Get('throws')
  @Allow(() => {
    throw new Error('no database');
  })
  throws() {
    return {};
  }

  @Get('hangs')
  @Allow(() => new Promise(() => undefined))
  hangs() {
    return {};
  }

  @Get('sync')
  @Allow(() => true)
  sync() {
    return { value: 1 };
  }
}

let running: McpApp | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
  asked.length = 0;
  ran.length = 0;
});
unhandledRejections();

async function start(platform: 'fastify' | 'express') {
  const app = (running = await startMcpApp({
    platform,
    controller: OwnHostController,
    mcp: { hosts: [host] },
    options: {
      guard: 'global',
      otherCredentials,
      user: ({ sub }) => (sub === 'nobody' ? null : { roles: sub === 'alice' ? ['editor'] : [] }),
    },
    metadata: { imports: [OwnHostModule], controllers: [ThingsController] },
  }));
  const get = async (path: string, sub: string) => {
    const answer = await fetch(`${app.mcpUrl.replace('/mcp', '/things')}${path}`, {
      headers: { 'x-api-key': sub },
    });
    return [answer.status, answer.headers.get('www-authenticate')];
  };
  const tool = (body: unknown, key: string) =>
    app.post(body, { scope: null, headers: { 'x-api-key': key } });
  return { ...app, get, tool };
}

const read = (of: string, id = 1) => ({
  ...call('read_notes', id),
  params: { name: 'read_notes', arguments: { of } },
});

describe.each(platforms)('12.3: @Allow on %s', (platform) => {
  test('on class and handler, both; 403 without a challenge', async () => {
    const { get } = await start(platform);
    expect(await get('', 'alice')).toEqual([200, null]);
    expect(await get('', 'bob')).toEqual([403, null]);
    expect(await get('/sync', 'bob')).toEqual([200, null]);
    expect(await get('/sync', 'banned')).toEqual([403, null]);
    expect(await get('/sync', 'nobody')).toEqual([403, null]);
  });

  test('row 17: only true passes; throws and hangs are a 503', async () => {
    const { get } = await start(platform);
    const deadlines = holdTimers(5000);
    const hanging = get('/hangs', 'alice');
    expect(await get('/odd', 'alice')).toEqual([403, null]);
    expect(await get('/throws', 'alice')).toEqual([503, null]);
    await deadlines.fire(1);
    expect(await hanging).toEqual([503, null]);
  });

  test('on tools, by user and arguments, after the scopes', async () => {
    const { tool, mcpUrl } = await start(platform);
    expect((await tool(call('write_note'), 'alice')).json).toMatchObject({
      error: 'insufficient_scope',
    });
    expect((await tool(call('write_note'), 'alice+notes:write')).status).toBe(200);
    const refused = await tool(call('write_note'), 'bob+notes:write');
    expect([refused.status, refused.json]).toEqual([
      403,
      { error: 'access_denied', error_description: 'The caller may not use this operation' },
    ]);
    expect(refused.headers.get('www-authenticate')).toBeNull();
    expect((await tool(read('bob'), 'bob')).json).toMatchObject([{ result: 'notes' }]);
    expect((await tool(read('alice'), 'bob')).status).toBe(403);
    expect(ran).toEqual(['write', 'read']);
    const { method, params } = read('bob');
    expect(asked[0]).toEqual({
      sub: 'bob',
      resource: { uri: mcpUrl, params: {} },
      operation: { kind: 'tool', name: 'read_notes', method, params },
    });
    expect(asked).toHaveLength(3); // and where the method ran, once more
  });

  test('on batches element by element, before anything runs', async () => {
    const { tool } = await start(platform);
    expect((await tool([read('bob'), read('alice', 2)], 'bob')).status).toBe(403);
    expect((await tool([read('bob'), call('write_note', 2)], 'bob+notes:write')).status).toBe(403);
    expect(ran).toEqual([]);
    expect((await tool([read('bob'), read('bob', 2)], 'bob')).status).toBe(200);
    expect(ran).toEqual(['read', 'read']);
    expect((await tool(read('banned'), 'banned')).status).toBe(403);
  });

  test('what a rule does with what it is told changes nothing that the next one is asked about', async () => {
    const operation = {
      kind: 'tool',
      method: 'tools/call',
      name: 'x',
      params: { of: 'bob' },
    } as const;
    const seen: unknown[] = [];
    const rules: AllowRule[] = [
      (caller, asked) => {
        Object.assign(caller, { user: 'alice' });
        Object.assign(caller.resource, { uri: 'y' });
        return Object.assign(asked?.params as object, { of: 'alice' }).of === 'alice';
      },
      ({ user, resource }, asked) => seen.push(user, resource.uri, asked) > 0,
    ];
    const claims = {} as Parameters<AllowRule>[0]['claims'];
    await requireAllowed([{ rules, operation }], { claims, resource: 'x' }, { user: 'bob' });
    expect(seen).toEqual(['bob', 'x', operation]);
    expect(operation.params).toEqual({ of: 'bob' });
  });

  test('the second line: a method that no operation has named is refused where it runs', async () => {
    const { tool } = await start(platform);
    // The host runs `read` for any name that it does not know.
    expect((await tool(call('unknown'), 'bob')).json).toMatchObject([
      { error: { code: 'access_denied' } },
    ]);
    expect(ran).toEqual([]);
  });
});

const HOSTS: readonly HostName[] = ['SDK v1 with JSON answers', 'SDK v1', 'SDK v2'];

describe.each(platforms)('12.3: asynchronous scope rules on %s', (platform) => {
  async function startRules(mcp: McpOptions, name: HostName = 'SDK v1 with JSON answers') {
    return (running = await startMcpApp({ platform, host: name, mcp }));
  }

  test.each(HOSTS)('before dispatch and in batches: %s', async (name) => {
    const { post, runs } = await startRules(
      {
        tools: {
          write: async ({ params }) => {
            await Promise.resolve();
            return (params as { arguments?: object }).arguments === undefined ? ['x'] : ['w'];
          },
          read: () => Promise.resolve(false as const),
        },
      },
      name,
    );
    const refused = await post(call('write'));
    expect(refused.headers.get('www-authenticate')).toContain('scope="w"');
    expect((await post(call('read'), { scope: 'w' })).status).toBe(403);
    expect((await post([call('open'), call('write', 2)])).status).toBe(403);
    expect(runs).toEqual([]);
    expect((await post(call('write'), { scope: 'w' })).status).toBe(200);
    expect(runs).toEqual(['write']);
  });

  test.each(HOSTS)(
    'what a rule does with its arguments changes nothing that runs: %s',
    async (name) => {
      const { post, runs } = await startRules(
        {
          tools: {
            open: ({ params }) => {
              Object.assign(params as object, { name: 'write', arguments: { all: true } });
              return [];
            },
            write: ['w'],
          },
        },
        name,
      );
      expect((await post(call('open'))).status).toBe(200);
      expect(runs).toEqual(['open']);
    },
  );

  test('arguments that no rule can look at are a 400', async () => {
    const { post, runs } = await startRules({ tools: { open: () => [] } });
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    const body = JSON.stringify({ ...call('open'), params: { name: 'open', arguments: { x: 0 } } });
    const answer = await post(undefined, { raw: body.replace('"x":0', `"x":${deep}`) });
    expect([answer.status, runs]).toEqual([400, []]);
    expect((await post(call('open'))).status).toBe(200);
  });

  test('row 18: what rejects or takes too long is a 503; InsufficientScopeError as ever', async () => {
    const { post, runs } = await startRules({
      tools: {
        open: () => Promise.reject(new Error('away')),
        read: () => new Promise(() => undefined),
        write: () => Promise.reject(new InsufficientScopeError(['late'])),
      },
    });
    const deadlines = holdTimers(5000);
    const hanging = post(call('read'));
    const [open, write] = [await post(call('open')), await post(call('write'))];
    await deadlines.fire(1);
    const answers = [open, await hanging, write];
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 403]);
    expect(answers[2]?.headers.get('www-authenticate')).toContain('scope="late"');
    expect(runs).toEqual([]);
  });
});
