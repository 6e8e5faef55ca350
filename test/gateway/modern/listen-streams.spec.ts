import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { McpServer } from '@modelcontextprotocol/server';
import { none } from 'authplane-nestjs/gateway';
import { eventsOf } from '../../support/gateway/event-reader.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type RunningUpstream, startUpstream } from '../../support/gateway/upstream-servers.js';
import { settled } from '../../support/time/settled.js';
import { until } from '../../support/time/until.js';

function notes(): McpServer {
  const server = new McpServer(
    { name: 'notes', version: '1' },
    {
      capabilities: {
        resources: { subscribe: true, listChanged: true },
        tools: { listChanged: true },
      },
    },
  );
  server.registerTool('a', {}, () => ({ content: [] }));
  server.registerResource('all', 'notes://all', {}, ({ href }) => ({
    contents: [{ uri: href, text: '' }],
  }));
  return server;
}

describe('14.C: changes', () => {
  let one: RunningUpstream;
  let other: RunningUpstream;
  let app: GatewayApp;
  beforeEach(async () => {
    one = await startUpstream(notes);
    other = await startUpstream(notes);
    app = await startGateway({
      gateway: {
        upstreams: {
          one: { url: one.url, token: none() },
          other: { url: other.url, token: none() },
        },
        listenStreams: { perCaller: 2 },
      },
    });
  });
  afterEach(async () => {
    await app.close().catch(() => undefined); // closed by the last test
    await one.stop();
    await other.stop();
  });

  const listen = async (notifications: object) => {
    const stop = new AbortController();
    const response = await app.fetch(
      'subscriptions/listen',
      { notifications },
      { signal: stop.signal, id: 'my-stream' },
    );
    return { stop, stream: eventsOf(response), response };
  };
  test('14.6: streams that are asked for at the same moment are no more than one caller may have', async () => {
    const stops: AbortController[] = [];
    const opened = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const one = await listen({ resourceSubscriptions: ['notes://all'] });
        stops.push(one.stop);
        return one.response.headers.get('content-type');
      }),
    );
    expect(opened.filter((type) => type === 'text/event-stream')).toHaveLength(2);
    for (const stop of stops) stop.abort();
  });

  const listening = async (upstream: RunningUpstream) => {
    await until(() => upstream.asked.some(({ method }) => method === 'subscriptions/listen'));
    await settled(); // its server has to have answered, too
  };

  test('of a list reach the client once, under its own id, and the list is read anew', async () => {
    const { stop, stream } = await listen({ toolsListChanged: true });
    const meta = { 'io.modelcontextprotocol/subscriptionId': 'my-stream' };
    expect((await stream.next()).value).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { toolsListChanged: true }, _meta: meta },
    });
    await Promise.all([listening(one), listening(other)]);
    await app.ask('tools/list');
    const before = one.asked.filter(({ method }) => method === 'tools/list').length;
    one.notify.toolsChanged();
    other.notify.toolsChanged();
    expect((await stream.next()).value).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/tools/list_changed',
      params: { _meta: meta },
    });
    await app.ask('tools/list');
    expect(one.asked.filter(({ method }) => method === 'tools/list').length).toBe(before + 1);
    stop.abort();
    for (const upstream of [one, other])
      while (upstream.aborted.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('of a resource come from the upstream that has it', async () => {
    const { stop, stream } = await listen({
      resourceSubscriptions: ['notes://all', 'nowhere://x'],
    });
    expect((await stream.next()).value.params.notifications).toEqual({
      resourceSubscriptions: ['notes://all'],
    });
    await listening(one);
    expect(other.asked.some(({ method }) => method === 'subscriptions/listen')).toBe(false);
    one.notify.resourceUpdated('notes://all');
    expect((await stream.next()).value).toMatchObject({
      method: 'notifications/resources/updated',
      params: { uri: 'notes://all' },
    });
    stop.abort();
  });

  test('an upstream that comes back is listened to again', async () => {
    const { stop, stream } = await listen({ toolsListChanged: true });
    await stream.next();
    await listening(one);
    await one.stop();
    await one.start();
    expect((await stream.next()).value.method).toBe('notifications/tools/list_changed');
    stop.abort();
  });

  test('a caller has so many streams, and no more; wrong filters are refused', async () => {
    const first = await listen({ toolsListChanged: true });
    await first.stream.next();
    const second = await listen({ toolsListChanged: true });
    await second.stream.next();
    const third = await app.ask('subscriptions/listen', {
      notifications: { toolsListChanged: true },
    });
    expect(third.json.error).toEqual({ code: -32603, message: 'Subscription limit reached' });
    const token = await app.token({ sub: 'somebody else' });
    const wrong = await app.ask('subscriptions/listen', { notifications: 1 }, { token });
    expect(wrong.json.error.code).toBe(-32602);
    first.stop.abort();
    second.stop.abort();
  });

  test('streams end well when the application stops', async () => {
    const { stream } = await listen({ toolsListChanged: true });
    await stream.next();
    const closing = app.close();
    expect((await stream.next()).value).toMatchObject({
      id: 'my-stream',
      result: { resultType: 'complete' },
    });
    expect((await stream.next()).done).toBe(true);
    await closing;
  });
});
