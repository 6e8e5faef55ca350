import { afterEach, describe, expect, test } from 'vitest';
import { InsufficientScopeError, type McpOptions, type ScopeRule } from 'authplane-nestjs';
import { platforms } from '../../../support/nest/start-app.js';
import {
  call,
  type HostName,
  hosts,
  type McpApp,
  request,
  startMcpApp,
} from '../../../support/nest/mcp-app.js';

const answers = ['SDK v1', 'SDK v1 with JSON answers', 'SDK v2'] satisfies HostName[];

let server: McpApp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
  asked.length = 0;
});

/** What rules were asked about, and as which method. */
const asked: string[] = [];

/** Whoever it is for has it for nothing. */
const later =
  (...allowed: string[]): ScopeRule =>
  async ({ name, method }, { sub }) => {
    asked.push(`${method} ${name}`);
    await new Promise((resolve) => setImmediate(resolve));
    if (name === 'briefing') throw new Error('the database is away');
    if (name === 'calendar://today') throw new InsufficientScopeError(['calendar:read']);
    return allowed.includes(sub) ? [] : false;
  };

const MCP: McpOptions = {
  list: 'hide',
  tools: {
    open: ({ name, method }) => {
      asked.push(`${method} ${name}`);
      return [];
    },
    read: later('alice', 'bob'),
    write: later('alice'),
  },
  resources: {
    'calendar://today': later(),
    'https://example.com/secret': later('bob'),
    'calendar://days/{day}': later('alice'),
  },
  prompts: { briefing: later('alice') },
};

const listed = (text: string, member: string) =>
  [...text.matchAll(new RegExp(`"${member}":"([^"]+)"`, 'g'))].map(([, name]) => name);

describe.each(platforms)('12.3: asynchronous rules of what is hidden, on %s', (platform) => {
  const start = async (host: HostName) => {
    server = await startMcpApp({ platform, host, mcp: MCP });
    const { post } = server;
    return (body: object, sub: string, scope = '') => post(body, { claims: { sub }, scope });
  };

  test.each(answers)('%s: a list shows what they let this caller use', async (host) => {
    expect(Object.keys(hosts)).toContain(host);
    const send = await start(host);
    const tools = async (sub: string) =>
      listed((await send(request('tools/list'), sub)).text, 'name');
    expect(await tools('alice')).toEqual(['open', 'read', 'write']);
    expect(asked).toEqual(['tools/call open', 'tools/call read', 'tools/call write']); // once each
    expect(await tools('bob')).toEqual(['open', 'read']);
    expect(await tools('carol')).toEqual(['open']);
    const uris = async (sub: string, scope = '') =>
      listed((await send(request('resources/list'), sub, scope)).text, 'uri');
    expect(await uris('alice')).toEqual([]);
    expect(await uris('bob')).toEqual(['https://example.com/secret']);
    expect(await uris('carol', 'calendar:read')).toEqual(['calendar://today']);
    const templates = await send(request('resources/templates/list'), 'alice');
    expect(templates.text).toContain('calendar://days/{day}');
    const others = await send(request('resources/templates/list'), 'bob');
    expect(others.text).not.toContain('calendar://days');
  });

  test('one that fails shows nothing, and nobody is refused the list for it', async () => {
    const send = await start('SDK v1 with JSON answers');
    const prompts = await send(request('prompts/list'), 'alice');
    expect([prompts.status, prompts.json]).toMatchObject([200, { result: { prompts: [] } }]);
  });

  test('a batch with several lists, and a call that they do not let pass', async () => {
    const send = await start('SDK v1 with JSON answers');
    const batch = [request('tools/list', {}, 1), request('resources/list', {}, 2)];
    const { text } = await send(batch, 'bob');
    expect(listed(text, 'name')).toEqual(['open', 'read', 'secret']);
    expect(new Set(asked).size).toBe(asked.length);
    const [hidden, unknown] = [await send(call('write'), 'bob'), await send(call('wrong'), 'bob')];
    expect([hidden.status, hidden.text.replaceAll('write', 'wrong')]).toEqual([200, unknown.text]);
    expect(server?.runs).toHaveLength(0);
  });

  test('a call asks for no list', async () => {
    const send = await start('SDK v1 with JSON answers');
    await send(call('open'), 'bob');
    expect(asked).toEqual(['tools/call open']);
  });
});
