import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { addCallersApp, describeCallers } from '../../support/hosts/callers-suite.js';
import type { Caller, HostServer, Message } from '../../support/hosts/hosts-requests.js';
import { describeConsent } from '../../support/consent/consent-suite.js';
import {
  BASE,
  describeHost,
  type HiddenOperation,
  SCOPES,
} from '../../support/hosts/hosts-suite.js';
import { type Platform, platforms } from '../../support/nest/start-app.js';
import {
  compileApp,
  installApp,
  type InstalledServer,
  startInstalled,
  startProcess,
} from '../../support/package/installed-app.js';
import { MCP_NEST_1_9 } from '../../support/package/peers.js';
import { PROJECT } from '../../support/package/packed-package.js';

const SOURCES = join(PROJECT, 'test/package/matrix/mcp-nest-1.9');

/** The example of docs/hosts-mcp-nest.md, and what people write instead. */
const VARIANTS = {
  asShown: (source: string) => withSessions(source),
  /** Then MCP-Nest serves HTTP+SSE, too, on two more paths. */
  allTransports: (source: string) => without(withSessions(source), /^ +transport: .*\n/m),
  unguarded: (source: string) => without(allTransports(source), /^ +guards: .*\n/m),
  /** No transport is at the path of the resource. */
  elsewhere: (source: string) =>
    allTransports(source).replace(/^ +version: .*\n/m, "$&      mcpEndpoint: 'elsewhere',\n"),
};

/** The example has none; here they are switched on and off. */
function withSessions(source: string): string {
  expect(source).toContain('{ statelessMode: true }');
  const switched = `{
        statelessMode: process.env['MCP_SESSIONS'] !== 'true',
        sessionIdGenerator: () => crypto.randomUUID(),
      }`;
  return source.replace('{ statelessMode: true }', switched);
}

function allTransports(source: string): string {
  return VARIANTS.allTransports(source);
}

function without(source: string, line: RegExp): string {
  expect(source).toMatch(line);
  return source.replace(line, '');
}

let app: string;

beforeAll(() => {
  app = installApp('mcp-nest', MCP_NEST_1_9);
  for (const [variant, change] of Object.entries(VARIANTS)) {
    mkdirSync(join(app, 'src', variant), { recursive: true });
    for (const file of ['app.ts', 'main.ts']) {
      const source = readFileSync(join(SOURCES, `${file}.txt`), 'utf8');
      writeFileSync(join(app, 'src', variant, file), file === 'app.ts' ? change(source) : source);
    }
  }
  const consent = readFileSync(join(SOURCES, 'consent.ts.txt'), 'utf8');
  writeFileSync(join(app, 'src', 'consent.ts'), consent);
  addCallersApp(app, 'mcp-nest-1');
  compileApp(app, { checked: true });
});

test('has the version under test, as CommonJS', () => {
  const manifest = readFileSync(join(app, 'node_modules/@rekog/mcp-nest/package.json'), 'utf8');
  expect((JSON.parse(manifest) as { version: string }).version).toMatch(/^1\.9\./);
  expect(readFileSync(join(app, 'dist', 'asShown', 'app.js'), 'utf8')).toContain(
    'require("authplane-nestjs")',
  );
});

/** What the application marks with `{ list: 'hide' }`. */
const hidden: readonly HiddenOperation[] = [
  { list: 'tools/list', method: 'tools/call', member: 'name', name: 'forget_all' },
  { list: 'resources/list', method: 'resources/read', member: 'uri', name: 'notes://secret' },
  { list: 'prompts/list', method: 'prompts/get', member: 'name', name: 'confession' },
].map((one) => ({ ...one, scope: 'notes:admin' }) as HiddenOperation);

describe.each(platforms)('%s', (platform) => {
  for (const sessions of [false, true]) {
    describeHost(`MCP-Nest 1.9${sessions ? ' with sessions' : ''}`, {
      era: '2025',
      sessions,
      hidden,
      clients: ['SDK v1', 'SDK v2 (2025 era)'],
      start: () => start(platform, sessions),
      startHiding: () => start(platform, sessions),
    });
    describeCallers(`MCP-Nest 1.9${sessions ? ' with sessions' : ''} on ${platform}`, {
      app: () => app,
      platform,
      sessions,
      clients: ['SDK v1', 'SDK v2 (2025 era)'],
      batches: true,
    });
  }
});

describe.each(platforms)(
  'HTTP+SSE of MCP-Nest 1.9, which it serves unless told not to, on %s',
  (platform) => {
    let server: InstalledServer;
    beforeAll(async () => {
      server = await start(platform, false, 'allTransports');
    });
    afterAll(() => server.close());

    const add = { method: 'tools/call', params: { name: 'add_note', arguments: { note: 'x' } } };
    const forget = { method: 'tools/call', params: { name: 'forget_all', arguments: {} } };
    const history = { method: 'tools/call', params: { name: 'history', arguments: {} } };

    test('a tool without its scope is a 403 that names all, and does not run', async () => {
      const session = await SseSession.open(server, { scope: BASE });
      const refused = await session.post(add);
      expect(refused.status).toBe(403);
      expect(refused.headers.get('www-authenticate')).toContain(
        `error="insufficient_scope", scope="${BASE} notes:write", resource_metadata="`,
      );
      expect(await session.answer(history)).not.toContain('has added');
      const scope = `${BASE} notes:write`;
      expect(await session.answer(add, { scope })).toContain('alice has added x');
      await session.close();
    });

    test('what is hidden is not in the list, and is answered as if it did not exist', async () => {
      const session = await SseSession.open(server, { scope: BASE });
      for (const [method, name] of [
        ['tools/list', 'forget_all'],
        ['resources/list', 'notes://secret'],
        ['prompts/list', 'confession'],
      ] as const) {
        expect(await session.answer({ method })).not.toContain(name);
      }
      const unknown = { ...forget, params: { ...forget.params, name: 'forget_ali' } };
      expect((await session.answer(forget)).replace('forget_all', 'forget_ali')).toBe(
        await session.answer(unknown),
      );
      expect(await session.answer(history)).not.toContain('deleted');
      await session.close();

      const admin = { scope: `${BASE} notes:admin` };
      const allowed = await SseSession.open(server, admin);
      expect(await allowed.answer({ method: 'tools/list' }, admin)).toContain('forget_all');
      expect(await allowed.answer(forget, admin)).toContain('alice has deleted all');
      await allowed.close();
    });

    test("nobody uses another one's session", async () => {
      const session = await SseSession.open(server, { scope: BASE });
      for (const other of [{ user: 'mallory' }, { client: 'client-2' }]) {
        const refused = await session.post(history, { scope: BASE, ...other });
        expect([refused.status, await refused.json()]).toMatchObject([
          404,
          { error: { code: -32001 } },
        ]);
      }
      expect((await session.post(history)).status).toBe(202);
      await session.close();
    });

    test('a client of SDK v1 works, and lists say what a tool needs', async () => {
      const scope = `${BASE} notes:write`;
      const authorization = `Bearer ${await token(server, { scope })}`;
      const client = new Client({ name: 'v1', version: '1' });
      const headers = { authorization };
      await client.connect(
        new SSEClientTransport(new URL('/sse', server.mcpUrl), {
          requestInit: { headers },
          eventSourceInit: {
            fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }),
          },
        }),
      );
      const { tools } = await client.listTools();
      const schemes = Object.fromEntries(
        tools.map(({ name, _meta }) => [name, _meta?.['securitySchemes']]),
      );
      expect(schemes).toEqual({
        history: [{ type: 'oauth2' }],
        read_notes: [{ type: 'oauth2', scopes: ['notes:read'] }],
        add_note: [{ type: 'oauth2', scopes: ['notes:write'] }],
      });
      const added = await client.callTool({ name: 'add_note', arguments: { note: 'y' } });
      expect(JSON.stringify(added)).toContain('alice has added y');
      await client.close();
    });
  },
);

for (const platform of platforms) {
  for (const sessions of [false, true]) {
    describeConsent(
      `10.18 consent: MCP-Nest 1.9 on ${platform}${sessions ? ' with sessions' : ''}`,
      async (settings) => {
        const file = join(app, 'dist', 'consent.js');
        const { close } = await startProcess(file, [
          JSON.stringify({ ...settings, platform, sessions }),
        ]);
        return close;
      },
      { modern: false, sessions },
    );
  }
}

describe('what the log says at boot', () => {
  test.each(['asShown', 'allTransports', 'elsewhere'] as const)(
    'nothing about an open endpoint when the guard is named: %s',
    async (variant) => {
      const { close, log } = await start('express', false, variant);
      expect(log()).toContain('devMode');
      expect(log()).not.toMatch(/MCP-Nest|no AuthplaneGuard|not checked/);
      await close();
    },
  );

  test('no start where tools need scopes: every controller that no guard protects', async () => {
    const problem = await start('express', false, 'unguarded').then(
      () => '',
      (error: unknown) => String(error),
    );
    for (const method of ['SseController.messages', 'StreamableHttpController.handlePostRequest']) {
      expect(problem).toContain(`${method} is an MCP endpoint that no AuthplaneGuard protects`);
    }
    expect(problem).toContain('McpModule.forRoot({ guards: [AuthplaneGuard] })');
  });
});

test('docs/hosts-mcp-nest.md shows the application of these tests', () => {
  const example = readFileSync(join(SOURCES, 'app.ts.txt'), 'utf8').trim();
  const page = readFileSync(join(PROJECT, 'docs/hosts-mcp-nest.md'), 'utf8');
  expect(page).toContain(`~~~ts\n${example}\n\nvoid main();\n~~~\n`);
});

async function start(
  platform: Platform,
  sessions: boolean,
  variant: keyof typeof VARIANTS = 'asShown',
): Promise<InstalledServer> {
  return startInstalled(join(app, 'dist', variant, 'main.js'), platform, {
    env: { NO_COLOR: '1', MCP_SESSIONS: String(sessions) },
    authorizationServer: (mcpUrl) => ({
      issueRefreshTokens: false,
      resources: [{ uri: mcpUrl, scopes: SCOPES }],
    }),
  });
}

function token({ authorizationServer, mcpUrl }: HostServer, caller: Caller): Promise<string> {
  const { scope, user = 'alice', client = 'client-1' } = caller;
  const claims = { sub: user, client_id: client, aud: [mcpUrl], scope: scope ?? '' };
  return authorizationServer.issueToken(claims);
}

/** Raw requests of a client of HTTP+SSE (2024-11-05): it posts, and the stream has the answers. */
class SseSession {
  #text = '';
  #ids = 0;

  private constructor(
    private readonly server: HostServer,
    private readonly caller: Caller,
    private readonly reader: ReadableStreamDefaultReader<string>,
  ) {}

  static async open(server: HostServer, caller: Caller): Promise<SseSession> {
    const response = await fetch(new URL('/sse', server.mcpUrl), {
      headers: {
        accept: 'text/event-stream',
        authorization: `Bearer ${await token(server, caller)}`,
      },
    });
    expect(response.status).toBe(200);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (reader === undefined) throw new Error('no stream');
    const session = new SseSession(server, caller, reader);
    await session.#seen(/^data: \S+$/m);
    const params = { protocolVersion: '2024-11-05', capabilities: {} };
    const clientInfo = { name: 'raw', version: '1' };
    await session.answer({ method: 'initialize', params: { ...params, clientInfo } });
    return session;
  }

  async post(message: Message, caller = this.caller): Promise<Response> {
    const [, path = ''] = /^data: (\S+)$/m.exec(this.#text) ?? [];
    return fetch(new URL(path, this.server.mcpUrl), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await token(this.server, caller)}`,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: ++this.#ids, ...message }),
    });
  }

  /** The message in the stream, without its id. */
  async answer(message: Message, caller = this.caller): Promise<string> {
    const posted = await this.post(message, caller);
    expect(posted.status).toBe(202);
    const ofThis = new RegExp(`^data: .*"id":${this.#ids}\\D.*$`, 'm');
    return (await this.#seen(ofThis)).replace(`"id":${this.#ids}`, '');
  }

  async #seen(pattern: RegExp): Promise<string> {
    for (;;) {
      const [found] = pattern.exec(this.#text) ?? [];
      if (found !== undefined) return found;
      const { value, done } = await this.reader.read();
      if (done) throw new Error(`the stream has ended: ${this.#text}`);
      this.#text += value;
    }
  }

  async close(): Promise<void> {
    await this.reader.cancel();
  }
}
