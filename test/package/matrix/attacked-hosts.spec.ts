/**
 * The twin of test/hostile/host-messages.stress.spec.ts for hosts that other majors of Nest run: whatever is
 * sent with a token that lacks every scope, nothing may run that needs one.
 */
import { Agent } from 'node:http';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, vi, test } from 'vitest';
import {
  attack,
  ATTACK_WITH_SCOPE,
  type Attacked,
  COUNT,
  hasRun,
  isFull,
  notRun,
  SIMULTANEOUS,
  ways,
} from '../../support/hostile/attack.js';
import { BESIDE_OPEN_TEMPLATES, readAt } from '../../support/hostile/beside-templates.js';
import { send, type Targets } from '../../support/hostile/host-messages.js';
import { type Platform, platforms } from '../../support/nest/start-app.js';
import {
  compileApp,
  type Dependencies,
  installApp,
  startInstalled,
} from '../../support/package/installed-app.js';
import { FOREIGN_HOSTS_FLAGS, foreignHosts, MCP_NEST_1_9 } from '../../support/package/peers.js';
import { PROJECT } from '../../support/package/packed-package.js';

if (isFull) vi.setConfig({ testTimeout: 3_600_000 });

const agent = new Agent({ keepAlive: true, maxSockets: SIMULTANEOUS });
afterAll(() => agent.destroy());

interface Started extends Attacked {
  readonly key: string;
  /** All that has run so far. */
  forget(): Promise<void>;
  token(scope?: string, sub?: string): Promise<string>;
}
let running: Started | undefined;
afterAll(() => running?.close());

const TARGETS_19: Targets = {
  tools: ['named', 'wrapped', 'inherited', 'overridden', 'requested', 'open'],
  prompts: ['briefing'],
  uris: ['notes://secret', 'notes://days/monday', 'https://example.com/secret/plan'],
  paths: ['/mcp', '/plain/bound', '/messages'],
  open: 'open',
};

let installed: string | undefined;
function mcpNest19(): string {
  installed ??= appOf('mcp-nest-attacked', 'mcp-nest-1.9', MCP_NEST_1_9);
  return installed;
}

describe.each([false, true])('9.1g: MCP-Nest 1.9, sessions: %s', (hasSessions) => {
  let app: string;
  beforeAll(() => {
    app = mcpNest19();
  });
  const targets = TARGETS_19;
  const startOn = (platform: Platform, list: 'show' | 'hide') =>
    start(app, platform, targets, { MCP_LIST: list, MCP_SESSIONS: String(hasSessions) });

  test.each(ways)(
    'on %s, list: %s: nothing runs without its scope',
    async (platform, list, seed) => {
      running = await startOn(platform, list);
      const count = COUNT / 2; // with and without sessions
      expect(await attack(running, agent, { seed, hasSessions, count })).toEqual([]);
      expect(await running.ran()).toEqual([]);
    },
  );

  test('with the scope the same messages run all there is', async () => {
    const host = (running = await startOn('express', 'show'));
    const names = [...targets.tools, ...targets.prompts, 'secret', 'day', 'plan', 'bound'];
    const isEnough = () => hasRun(host, names);
    await attack(host, agent, { ...ATTACK_WITH_SCOPE, hasSessions, isEnough });
    expect(await notRun(host, names)).toEqual([]);
  });
});

describe.each(platforms)('9.9: MCP-Nest 1.9 on %s', (platform) => {
  test('a hidden URI beside an open template is served as any other one, by the template', async () => {
    running = await start(mcpNest19(), platform, TARGETS_19, { MCP_LIST: 'hide' });
    const { origin, token, ran } = running;
    for (const [hidden, open] of BESIDE_OPEN_TEMPLATES) {
      const served = await readAt(`${origin}/mcp`, await token(), open);
      const answer = await readAt(`${origin}/mcp`, await token(), hidden);
      expect({ ...answer, text: answer.text.replaceAll('vate', 'vite') }).toEqual(served);
      expect([open, served.text]).toEqual([open, expect.stringMatching(/the (file|page) /)]);
    }
    expect(await ran()).toEqual([]);
    await readAt(`${origin}/mcp`, await token('x'), 'files://private');
    expect(await ran()).toEqual(['hidden file']);
  });
});

describe.each(platforms)(
  '9.1d: MCP-Nest 1.9 on a path that is not the resource, on %s',
  (platform) => {
    let app: string;
    beforeAll(() => {
      app = mcpNest19();
    });

    test('what is parsed runs there with the scope', async () => {
      const env = { MCP_LIST: 'show', MCP_ENDPOINT: 'nest/mcp2', BODIES: 'parsed' };
      running = await start(app, platform, TARGETS_19, env);
      const body = JSON.stringify(calling('named'));
      expect(await posted('/nest/mcp2', body)).toBe(403);
      expect(await posted('/nest/mcp2', body, { scope: 'x' })).toBe(200);
      expect(await running.ran()).toEqual(['named']);
    });

    test.each([
      ['text/plain; a=application/json', 'parsed'],
      ['application/json', 'unparsed'],
      ['text/plain; a=application/json', 'unparsed'],
      ['application/vnd.api+json', 'unparsed'],
    ])('a body of %s that is %s is not run by the host', async (type, bodies) => {
      const env = { MCP_LIST: 'show', MCP_ENDPOINT: 'nest/mcp2', BODIES: bodies };
      running = await start(app, platform, TARGETS_19, env);
      const body = JSON.stringify(calling('named'));
      const status = await posted('/nest/mcp2', body, { type });
      expect([400, 403, 415]).toContain(status);
      expect(await running.ran()).toEqual([]);
    });
  },
);

const TARGETS_MCP_NESTJS: Targets = {
  tools: ['files_remove', 'named', 'files_open'],
  prompts: ['briefing'],
  uris: ['notes://secret', 'notes://days/monday'],
  paths: ['/mcp', '/plain/bound', '/messages'],
  open: 'files_open',
};

let mcpNestjsApp: string | undefined;
function mcpNestjs(): string {
  mcpNestjsApp ??= appOf(
    'mcp-nestjs-attacked',
    'foreign-hosts',
    foreignHosts('11.x'),
    ...FOREIGN_HOSTS_FLAGS,
  );
  return mcpNestjsApp;
}

/** On Fastify its controllers find what they call on Express, see foreign-hosts/answers.ts.txt. */
describe.each(platforms)('9.1a, 9.1g: mcp-nestjs, described as a host, on %s', (platform) => {
  const startWith = async (list: 'show' | 'hide', env: Record<string, string> = {}) => {
    running = await start(mcpNestjs(), platform, TARGETS_MCP_NESTJS, {
      MCP_LIST: list,
      BODIES: 'parsed',
      ...env,
    });
    return running;
  };

  test.each([
    [platform === 'fastify' ? 'text/plain' : 'application/json', 'unparsed'], // Fastify parses JSON itself
    ['text/plain; a=application/json', 'parsed'],
  ])('9.1d: nor is a body of %s run that is %s', async (type, bodies) => {
    const { ran } = await startWith('show', { BODIES: bodies });
    const { path, close } = await openStream();
    for (const to of [path, '/mcp']) {
      const how = { type, scope: 'x' };
      expect(await posted(to, JSON.stringify(calling('files_remove')), how)).toBe(400);
    }
    expect(await ran()).toEqual([]);
    await close();
  });

  test('9.1d: a message without jsonrpc over HTTP+SSE is judged', async () => {
    const { ran } = await startWith('show');
    const { path, close } = await openStream();
    expect(path).toMatch(/^\/messages\?sessionId=\w/);
    const { id, method, params } = calling('files_remove');
    const message = JSON.stringify({ id, method, params });
    expect(await posted(path, message)).toBe(403);
    expect(await ran()).toEqual([]);
    expect(await posted(path, message, { scope: 'x' })).toBe(202);
    expect(await ran()).toEqual(['files_remove']);
    await close();
  });

  test('9.1: a URI that is a list, of which it makes a text, is refused', async () => {
    const { ran } = await startWith('show');
    const body = JSON.stringify(request('resources/read', { uri: ['notes://days/monday'] }));
    expect(await posted('/mcp', body, { scope: 'x' })).toBe(400);
    expect(await ran()).toEqual([]);
  });

  test("9.4: nobody uses another one's session", async () => {
    await startWith('show');
    const opened = await post('/mcp', JSON.stringify(request('initialize')));
    const headers = { 'mcp-session-id': String(opened.headers.get('mcp-session-id')) };
    const ping = JSON.stringify(request('ping'));
    expect(await posted('/mcp', ping, { headers })).toBe(200);
    const authorization = String(await running?.token('', 'mallory'));
    expect(await posted('/mcp', ping, { headers: { ...headers, authorization } })).toBe(404);
  });

  describe('9.3: the body of a GET', () => {
    const messages = [
      ['files_remove', (name: string) => request('tools/call', { name, arguments: {} })],
      ['briefing', (name: string) => request('prompts/get', { name })],
      ['notes://secret', (uri: string) => request('resources/read', { uri })],
    ] as const;
    const paths = ['/mcp', '/messages?sessionId=1', '/sse'];

    /** As `fetch` cannot send it. */
    const answerTo = async (method: string, path: string, message: object, scope = '') => {
      const authorization = String(await running?.token(scope));
      const accept = 'application/json, text/event-stream';
      const { status, text } = await send(String(running?.origin), agent, {
        ...{ method, path, body: Buffer.from(JSON.stringify(message)) },
        headers: { authorization, accept, 'content-type': 'application/json' },
      });
      return { status, text: text.replace(/sessionId=\S+/, 'sessionId') }; // another one each time
    };

    test('is judged as that of a POST where nothing is hidden', async () => {
      const { ran } = await startWith('show');
      const refused = platform === 'fastify' ? 400 : 403; // Fastify parses no body of a GET
      for (const [name, message] of messages)
        expect((await answerTo('GET', '/sse', message(name))).status).toBe(refused); // a route of GET
      expect(await ran()).toEqual([]);
    });

    test.each(['GET', 'DELETE'])(
      'of a %s: the hidden is as the unknown, and runs nothing',
      async (method) => {
        const { ran } = await startWith('hide');
        for (const path of paths) {
          for (const [name, message] of messages) {
            const other = `${name.slice(0, -1)}!`;
            const hidden = await answerTo(method, path, message(name));
            const unknown = await answerTo(method, path, message(other));
            expect([path, hidden]).toEqual([
              path,
              { ...unknown, text: unknown.text.replaceAll(other, name) },
            ]);
            expect(hidden.status).not.toBe(403);
          }
        }
        expect(await ran()).toEqual([]);
      },
    );
  });

  test('9.9, 9.9a, 9.9b: it has no tasks and no event ids, and the hidden is as the unknown', async () => {
    await startWith('hide');
    const answerTo = async (message: object, headers = {}) => {
      const answer = await post('/mcp', JSON.stringify(message), { headers });
      return [answer.status, await answer.text()] as const;
    };
    for (const method of ['tasks/list', 'tasks/get', 'tasks/result', 'tasks/cancel']) {
      const [, text] = await answerTo(request(method, { taskId: 'a' }));
      expect(text).toContain('"code":-32601');
    }
    const [, listed] = await answerTo(request('tools/list'), { 'last-event-id': '1' });
    expect(listed).not.toMatch(/files_remove|^id:/m);
    expect(listed).toContain('files_open');
    const [status, text] = await answerTo(calling('files_remove'));
    const [, unknown] = await answerTo(calling('files_remova'));
    expect([status, text]).toEqual([200, unknown.replace('remova', 'remove')]);
    const [, read] = await answerTo(request('resources/read', { uri: 'notes://secret' }));
    const [, unread] = await answerTo(request('resources/read', { uri: 'notes://sicret' }));
    expect(read).toBe(unread.replace('sicret', 'secret'));
  });

  test.each(['hide', 'show'] as const)('list: %s: nothing runs without its scope', async (list) => {
    const seed = list === 'hide' ? 1 : 0;
    expect(await attack(await startWith(list), agent, { seed, count: COUNT * 2 })).toEqual([]);
    expect(await running?.ran()).toEqual([]);
  });

  test('with the scope the same messages run all there is', async () => {
    const host = await startWith('show');
    const names = ['files_remove', 'named', 'briefing', 'secret', 'day', 'bound'];
    await attack(host, agent, { ...ATTACK_WITH_SCOPE, isEnough: () => hasRun(host, names) });
    expect(await notRun(host, names)).toEqual([]);
  });
});

describe('9: mcp-nestjs on Fastify as it comes, where it can answer nothing', () => {
  const startIt = async () => {
    const env = { MCP_LIST: 'show', ANSWERS: 'as they come', PLAYGROUND: 'true' };
    running = await start(mcpNestjs(), 'fastify', TARGETS_MCP_NESTJS, env);
    return running;
  };

  test('nobody gets in without a token, and nothing runs without its scope', async () => {
    const { ran, origin } = await startIt();
    const body = JSON.stringify(calling('files_remove'));
    for (const path of ['/mcp', '/sse', '/messages', '/mcp-playground/api/tools']) {
      const method = path === '/mcp' || path === '/messages' ? 'POST' : 'GET';
      const headers = { 'content-type': 'application/json' };
      const init = method === 'POST' ? { method, headers, body } : {};
      const answer = await fetch(`${origin}${path}`, init);
      expect([path, answer.status]).toEqual([path, 401]);
      expect(answer.headers.get('www-authenticate')).toContain('resource_metadata');
    }
    expect(await posted('/mcp', body)).toBe(403);
    const playing = JSON.stringify({ name: 'files_remove', arguments: {} });
    const played = await post('/mcp-playground/api/tools/call', playing);
    expect([played.status, await played.text()]).toEqual([
      200,
      expect.stringContaining('"isError":true'),
    ]);
    expect(await ran()).toEqual([]);
  });

  test('with the scope a call runs, and its controllers fail at the answer', async () => {
    const { ran } = await startIt();
    const body = JSON.stringify(calling('files_remove'));
    expect(await posted('/mcp', body, { scope: 'x' })).toBe(500);
    expect(await ran()).toEqual(['files_remove']);
    const playing = JSON.stringify({ name: 'files_remove', arguments: {} });
    expect(await posted('/mcp-playground/api/tools/call', playing, { scope: 'x' })).toBe(200);
    expect(await ran()).toEqual(['files_remove', 'files_remove']);
  });
});

const calling = (name: string) => request('tools/call', { name, arguments: {} });

function request(method: string, params: object = {}) {
  return { jsonrpc: '2.0', id: 1, method, params };
}

interface Posted {
  readonly type?: string;
  readonly scope?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function post(path: string, body: string, how: Posted = {}): Promise<Response> {
  const { type = 'application/json', scope = '', headers = {} } = how;
  return fetch(`${running?.origin}${path}`, {
    method: 'POST',
    headers: {
      authorization: String(await running?.token(scope)),
      'content-type': type,
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body,
  });
}

async function posted(path: string, body: string, how: Posted = {}): Promise<number> {
  const answer = await post(path, body, how);
  await answer.text();
  return answer.status;
}

/** Opens the stream of HTTP+SSE. @returns where to post messages, and the way to close it. */
async function openStream(): Promise<{ path: string; close(): Promise<void> }> {
  const headers = { authorization: String(await running?.token()), accept: 'text/event-stream' };
  const stream = await fetch(`${running?.origin}/sse`, { headers });
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (reader !== undefined && !text.includes('\n\n')) text += (await reader.read()).value ?? '';
  return {
    path: /^data: (\S+)$/m.exec(text)?.[1] ?? '',
    close: async () => reader?.cancel(),
  };
}

function appOf(
  name: string,
  folder: string,
  dependencies: Dependencies,
  ...flags: readonly string[]
): string {
  const app = installApp(name, dependencies, ...flags);
  mkdirSync(join(app, 'src'));
  const sources = join(PROJECT, 'test/package/matrix', folder);
  for (const name of ['attacked.ts', 'answers.ts']) {
    const source = join(sources, `${name}.txt`);
    if (existsSync(source)) copyFileSync(source, join(app, 'src', name));
  }
  compileApp(app);
  return app;
}

/** One at a time, with that environment: the same as before is not started again, and has run nothing yet. */
async function start(
  app: string,
  platform: Platform,
  targets: Targets,
  env: Record<string, string>,
): Promise<Started> {
  const key = JSON.stringify([app, platform, env]);
  if (running?.key !== key) {
    await running?.close();
    running = undefined;
    running = { key, ...(await started(app, platform, targets, env)) };
  }
  await running.forget();
  return running;
}

async function started(
  app: string,
  platform: Platform,
  targets: Targets,
  env: Record<string, string>,
): Promise<Omit<Started, 'key'>> {
  const server = await startInstalled(join(app, 'dist/attacked.js'), platform, { env });
  const { origin, mcpUrl: aud, authorizationServer, close } = server;
  const all = async () => (await (await fetch(`${origin}/ran`)).json()) as string[];
  let known = 0;
  return {
    origin,
    targets,
    token: async (scope = '', sub = 'alice') =>
      `Bearer ${await authorizationServer.issueToken({ aud: [aud], scope, sub })}`,
    ran: async () => (await all()).slice(known).filter((one) => one !== 'open'),
    forget: async () => void (known = (await all()).length),
    close,
  };
}
