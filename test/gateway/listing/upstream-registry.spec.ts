import { afterEach, describe, expect, test } from 'vitest';
import { McpServer } from '@modelcontextprotocol/server';
import { exchange, none, type UpstreamOptions } from 'authplane-nestjs/gateway';
import {
  type GatewayAnswer,
  type GatewayApp,
  startGateway,
} from '../../support/gateway/gateway-app.js';
import {
  calendarServer,
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';

const open: { close?(): Promise<void>; stop?(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await (one.close?.() ?? one.stop?.());
});

async function upstream(make = searchServer): Promise<RunningUpstream> {
  const one = await startUpstream(make);
  open.push({ stop: one.stop });
  return one;
}

async function gateway(
  upstreams: Record<string, UpstreamOptions>,
  more: Partial<Parameters<typeof startGateway>[0]> & { pageSize?: number } = {},
): Promise<GatewayApp> {
  const { pageSize = 1000, ...rest } = more;
  const one = await startGateway({ gateway: { upstreams, pageSize }, ...rest });
  open.push({ close: one.close });
  return one;
}

const many =
  (count: number, start = 't') =>
  () => {
    const server = new McpServer({ name: 'many', version: '1' });
    for (let index = 0; index < count; index++) {
      server.registerTool(`${start}${index}`, { description: 'x' }, () => ({ content: [] }));
    }
    return server;
  };
const toolsOf = ({ json }: Pick<GatewayAnswer, 'json'>): string[] =>
  json.result.tools.map(({ name }: { name: string }) => name);
const lists = (one: RunningUpstream) =>
  one.asked.filter(({ method }) => method === 'tools/list').length;

/** Speaks 2025-11-25 alone. */
const older: NonNullable<RunningUpstream['intercept']> = (request, response, body) => {
  const { id, method = '' } = (body === '' ? {} : JSON.parse(body)) as Record<string, string>;
  const isModern = request.headers['mcp-protocol-version'] === '2026-07-28';
  const results: Record<string, object> = {
    initialize: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: {} },
    'tools/call': { content: [{ type: 'text', text: 'found in a session' }] },
  };
  const unsupported = { code: -32000, message: 'Bad Request: Unsupported protocol version' };
  const answer = isModern ? { id: null, error: unsupported } : { id, result: results[method] };
  response.writeHead(isModern ? 400 : id === undefined ? 202 : 200, {
    'content-type': 'application/json',
  });
  response.end(JSON.stringify({ jsonrpc: '2.0', ...answer }));
  return true;
};

/** Answers lists with this. */
function listing(one: RunningUpstream, result: object | (() => object | undefined)): void {
  one.intercept = async (_request, response, body) => {
    if (!body.includes('"tools/list"')) return false;
    const answer = typeof result === 'function' ? result() : result;
    if (answer === undefined) return true; // never
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ jsonrpc: '2.0', id: 1, result: { resultType: 'complete', ...answer } }),
    );
    return true;
  };
}

describe('14.C: lists', () => {
  test('one page holds pageSize entries, and our own cursor leads on', async () => {
    const one = await upstream(many(5));
    const other = await upstream(many(3));
    const app = await gateway(
      { a: { url: one.url, token: none() }, b: { url: other.url, token: none() } },
      { pageSize: 3 },
    );
    const seen: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await app.ask('tools/list', cursor === undefined ? {} : { cursor });
      seen.push(...toolsOf(page));
      cursor = page.json.result.nextCursor;
      pages++;
      expect(page.json.result).toMatchObject({ cacheScope: 'private', resultType: 'complete' });
    } while (cursor !== undefined);
    expect(pages).toBe(3);
    expect(seen).toEqual(['a__t0', 'a__t1', 'a__t2', 'a__t3', 'a__t4', 'b__t0', 'b__t1', 'b__t2']);
    for (const foreign of [
      '',
      'x',
      Buffer.from('{"k":"prompts","a":"a__t0"}').toString('base64url'),
    ]) {
      expect((await app.ask('tools/list', { cursor: foreign })).json.error.code).toBe(-32602);
    }
  });

  test('an upstream that hangs or is away is named, and hides no other', async () => {
    const good = await upstream();
    const hung = await upstream();
    const away = await upstream();
    let asked = 0;
    hung.intercept = async () => ++asked > 0;
    await away.stop();
    const app = await gateway({
      hung: { url: hung.url, token: none(), listTimeoutMs: 200, connectTimeoutMs: 200 },
      good: { url: good.url, token: none() },
      away: { url: away.url, token: none() },
    });
    const listed = await app.ask('tools/list');
    expect(toolsOf(listed)).toEqual(['good__web']);
    expect(listed.json.result._meta['ai.authplane/unavailable']).toEqual(['hung', 'away']);
    const before = asked;
    await app.ask('tools/list');
    expect(asked).toBe(before); // it is not waited for again
    const call = await app.ask('tools/call', { name: 'away__web', arguments: {} });
    expect([call.status, call.json.error.data]).toEqual([502, { upstream: 'away' }]);
    expect(
      app.upstreams.states().map(({ name, lastError, toolCount }) => [name, lastError, toolCount]),
    ).toEqual([
      ['hung', 'upstream_timeout', undefined],
      ['good', undefined, 1],
      ['away', 'upstream_failed', undefined],
    ]);
  });

  test('an upstream that fails after it was listed is shown as it was, and is not named', async () => {
    const one = await upstream();
    listing(one, { tools: [{ name: 'old' }], ttlMs: 0 });
    const app = await gateway({ one: { url: one.url, token: none() } });
    expect(toolsOf(await app.ask('tools/list'))).toEqual(['one__old']);
    await one.stop();
    const stale = await app.ask('tools/list');
    expect(toolsOf(stale)).toEqual(['one__old']);
    expect(stale.json.result._meta).not.toHaveProperty(['ai.authplane/unavailable']);
  });

  test('a server that is replaced by an older one is called in sessions, without a restart', async () => {
    const search = await upstream();
    const app = await gateway({ search: { url: search.url, token: none() } });
    const call = () => app.ask('tools/call', { name: 'search__web', arguments: {} });
    expect((await call()).json.result.content[0].text).toBe('found');
    search.intercept = older;
    expect((await call()).status).toBe(400); // says so itself
    const { json } = await call();
    expect(json.result.content[0].text).toBe('found in a session');
    expect(app.upstreams.states()[0]?.era).toBe('2025-11-25');
  });

  test('what is public is read once for a thousand callers, and what is not by each of them', async () => {
    const shared = await upstream();
    const own = await upstream();
    listing(shared, { tools: [{ name: 'a' }], cacheScope: 'public', ttlMs: 60_000 });
    listing(own, { tools: [{ name: 'b' }], cacheScope: 'private', ttlMs: 60_000 });
    const app = await gateway({
      shared: { url: shared.url, token: none() },
      own: { url: own.url, token: none() },
    });
    const callers = process.env['AUTHPLANE_STRESS'] === undefined ? 40 : 1000;
    const tokens = await Promise.all(
      Array.from({ length: callers }, (_, index) => app.token({ sub: `u${index}` })),
    );
    await Promise.all(tokens.map((token) => app.ask('tools/list', {}, { token })));
    await app.ask('tools/list', {}, { token: tokens[0]! });
    expect([lists(shared), lists(own)]).toEqual([1, callers]);
  });

  test('names that two upstreams have are withdrawn, for lists and calls alike', async () => {
    const one = await upstream();
    const other = await upstream();
    listing(one, { tools: [{ name: 'same' }, { name: 'one' }] });
    listing(other, { tools: [{ name: 'same' }, { name: 'twice' }, { name: 'twice' }] });
    const app = await gateway({
      one: { url: one.url, token: none(), prefix: false },
      other: { url: other.url, token: none(), prefix: false },
    });
    expect(toolsOf(await app.ask('tools/list'))).toEqual(['one']);
    for (const name of ['same', 'twice']) {
      const answer = await app.ask('tools/call', { name, arguments: {} });
      expect(answer.json.error).toEqual({ code: -32602, message: `Unknown tool: ${name}` });
    }
  });

  test('hidden tools are not listed, and are as unknown as others', async () => {
    const calendar = await upstream(calendarServer);
    const app = await gateway(
      { cal: { url: calendar.url, token: none(), tools: { 'create_*': { scopes: ['write'] } } } },
      { scopes: ['write'], options: { mcp: { list: 'hide' } } },
    );
    const token = await app.token({ scope: '' });
    expect(toolsOf(await app.ask('tools/list', {}, { token }))).not.toContain('cal__create_event');
    const hidden = await app.ask(
      'tools/call',
      { name: 'cal__create_event', arguments: {} },
      { token },
    );
    const unknown = await app.ask(
      'tools/call',
      { name: 'cal__delete_event', arguments: {} },
      { token },
    );
    expect(hidden.text).toBe(unknown.text.replace('delete', 'create'));
    expect(hidden.status).toBe(unknown.status);
    expect(toolsOf(await app.ask('tools/list'))).toContain('cal__create_event');
    expect(calendar.asked.some(({ method }) => method === 'tools/call')).toBe(false);
  });

  test('shortened names under a glob are guarded from the first call on', async () => {
    const own = `danger_${'y'.repeat(80)}`;
    const one = await upstream();
    listing(one, { tools: [{ name: own }] });
    const url = one.url;
    const app = await gateway(
      { one: { url, token: none(), tools: { 'danger_*': { scopes: ['write'] } } } },
      { scopes: ['write'] },
    );
    const [name = ''] = toolsOf(await app.ask('tools/list'));
    expect(name).toHaveLength(64);
    const fresh = await gateway(
      { one: { url, token: none(), tools: { 'danger_*': { scopes: ['write'] } } } },
      { scopes: ['write'] },
    );
    const refused = await fresh.ask(
      'tools/call',
      { name, arguments: {} },
      { token: await fresh.token({ scope: '' }) },
    );
    expect(refused.status).toBe(403);
    expect(one.asked.some(({ method }) => method === 'tools/call')).toBe(false);
  });

  test('a list that needs consent answers calls of its names with the consent', async () => {
    const one = await upstream();
    const app = await gateway(
      { one: { url: one.url, token: exchange({ scope: 'one.read' }) } },
      { scopes: ['use'], resources: [{ url: one.url, scopeMap: { use: ['one.read'] } }] },
    );
    app.authorizationServer.requireConsent({ resource: one.url, flavour: 'connect' });
    const listed = await app.ask('tools/list');
    expect(listed.json.result._meta['ai.authplane/unavailable']).toEqual(['one']);
    const called = await app.ask('tools/call', { name: 'one__web', arguments: {} });
    expect(called.json.result.isError).toBe(true);
    const unknown = await app.ask('tools/call', { name: 'two__web', arguments: {} });
    expect(unknown.json.error.code).toBe(-32602);
  });
});
