import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { McpServer } from '@modelcontextprotocol/server';
import type { ListenFilter } from '../../../src/gateway/changes/listen-filter.js';
import { type Interest, ModernFeed } from '../../../src/gateway/changes/modern-feed.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import { type RunningUpstream, startUpstream } from '../../support/gateway/upstream-servers.js';
import { until } from '../../support/time/until.js';

function notes(): McpServer {
  const changing = { listChanged: true };
  const capabilities = { tools: changing, resources: { ...changing, subscribe: true } };
  const server = new McpServer({ name: 'notes', version: '1' }, { capabilities });
  server.registerTool('a', {}, () => ({ content: [] }));
  for (const uri of ['notes://a', 'notes://b'])
    server.registerResource(uri, uri, {}, () => ({ contents: [{ uri, text: '' }] }));
  return server;
}

describe('ModernFeed, of a server of the SDK', () => {
  let server: RunningUpstream;
  let feed: ModernFeed;
  let forgotten: string[];
  let logged: unknown[];
  beforeEach(async () => {
    [forgotten, logged] = [[], []];
    server = await startUpstream(notes);
    const catalogue = {
      forget: (_: unknown, { kind }: { kind: string }) => forgotten.push(kind),
    };
    const mine = logged; // a feed of the test before may still be at it
    const registry = { catalogue, log: (error: unknown) => mine.push(error) };
    feed = new ModernFeed(upstreamAt(server.url), registry as never);
  });
  afterEach(() => server.stop());

  function interest(filter: ListenFilter): Interest & { readonly heard: string[] } {
    const heard: string[] = [];
    const changed = (method: string) => heard.push(method);
    const listener = { changed, updated: (uri: string) => heard.push(uri) };
    return { filter, listener, asking: askingAs(), heard };
  }
  const asked = () =>
    server.asked.map(({ body }) => JSON.parse(body).params.notifications as ListenFilter);
  const TOOLS = 'notifications/tools/list_changed';

  test('those who join at the same moment are asked for together, and hear what is theirs', async () => {
    const one = interest({ toolsListChanged: true, resourceSubscriptions: ['notes://a'] });
    const other = interest({ resourceSubscriptions: ['notes://b'] });
    await Promise.all([feed.join(one), feed.join(other)]);
    expect(asked()).toEqual([
      { toolsListChanged: true, resourceSubscriptions: ['notes://a', 'notes://b'] },
    ]);
    server.notify.resourceUpdated('notes://a');
    server.notify.resourceUpdated('notes://b');
    server.notify.toolsChanged();
    await until(() => one.heard.length === 2);
    expect([one.heard, other.heard]).toEqual([['notes://a', TOOLS], ['notes://b']]);
    expect(forgotten).toEqual(['tools']);
    for (const each of [one, other]) feed.leave(each);
  });

  test('whoever wants more gets another stream, before the one there was ends', async () => {
    const one = interest({ toolsListChanged: true });
    await feed.join(one);
    await feed.join(interest({ toolsListChanged: true })); // hears all of it already
    expect(asked()).toHaveLength(1);
    await feed.join(interest({ resourceSubscriptions: ['notes://a'] }));
    expect(asked()[1]).toEqual({ toolsListChanged: true, resourceSubscriptions: ['notes://a'] });
    await until(() => server.aborted.length === 1);
    server.notify.toolsChanged();
    await until(() => one.heard.length === 1);
    expect(logged).toEqual([]);
  });

  test('it ends with the last', async () => {
    const [one, other] = [interest({ toolsListChanged: true }), interest({})];
    await Promise.all([feed.join(one), feed.join(other)]);
    feed.leave(one);
    expect(feed.isEmpty).toBe(false);
    feed.leave(other);
    expect(feed.isEmpty).toBe(true);
    await until(() => server.aborted.length === 1);
  });

  test('one that tells of no changes is not asked again', async () => {
    server.intercept = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}');
      return true;
    };
    await feed.join(interest({ toolsListChanged: true }));
    expect([asked().length, logged]).toEqual([1, []]);
  });

  test('nobody waits for one that is away; that is for the log', async () => {
    await server.stop();
    const one = interest({ toolsListChanged: true });
    await feed.join(one);
    expect(logged).toEqual([expect.objectContaining({ code: 'upstream_failed' })]);
    feed.leave(one);
  });

  test('what is no notification is not heard', async () => {
    server.intercept = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const data of ['{', '5', '{"method":7}', '{"method":"notifications/resources/updated"}'])
        response.write(`data: ${data}\n\n`);
      response.write(`data: {"method":"${TOOLS}"}\n\n`);
      response.write('data: {"method":"notifications/subscriptions/acknowledged"}\n\n');
      return true;
    };
    const one = interest({ toolsListChanged: true, resourceSubscriptions: ['notes://a'] });
    await feed.join(one);
    expect([one.heard, logged]).toEqual([[TOOLS], []]);
    feed.leave(one);
  });
});
