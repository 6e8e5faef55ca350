import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigurationError } from 'authplane-nestjs';
import { clientCredentials, exchange, none, type UpstreamOptions } from 'authplane-nestjs/gateway';
import { eventsOf } from '../support/gateway/event-reader.js';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import {
  calendarServer,
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../support/gateway/upstream-servers.js';

describe('14.E: upstreams while the gateway runs', () => {
  let calendar: RunningUpstream;
  let search: RunningUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    calendar = await startUpstream(calendarServer);
    search = await startUpstream(searchServer);
    app = await startGateway({
      scopes: ['write'],
      gateway: { upstreams: { calendar: { url: calendar.url, token: none() } } },
    });
  });
  afterAll(async () => {
    await app.close();
    await calendar.stop();
    await search.stop();
  });

  const tools = async (): Promise<string[]> =>
    (await app.ask('tools/list')).json.result.tools.map(({ name }: { name: string }) => name);
  const call = (name: string, token?: string) =>
    app.ask('tools/call', { name, arguments: {} }, token === undefined ? {} : { token });

  test('come, are replaced and go; what they need is asked for from the first call on', async () => {
    expect(await tools()).toHaveLength(6);
    await app.upstreams.add('search', { url: search.url, token: none() });
    expect(await tools()).toContain('search__web');
    expect((await call('search__web')).json.result.content[0].text).toBe('found');
    await app.upstreams.replace('search', {
      url: search.url,
      token: none(),
      tools: { web: { scopes: ['write'] } },
    });
    expect((await call('search__web', await app.token({ scope: '' }))).status).toBe(403);
    expect((await call('search__web')).status).toBe(200);
    await app.upstreams.remove('search');
    expect(await tools()).not.toContain('search__web');
    expect((await call('search__web')).json.error.code).toBe(-32602);
    expect(app.upstreams.states().map(({ name }) => name)).toEqual(['calendar']);
  });

  test('clients that listen are told when one comes, is replaced or goes', async () => {
    const stop = new AbortController();
    const asked = { notifications: { toolsListChanged: true } };
    const stream = eventsOf(
      await app.fetch('subscriptions/listen', asked, { signal: stop.signal }),
    );
    await stream.next(); // acknowledged
    const web = { url: search.url, token: none() };
    for (const change of [
      () => app.upstreams.add('search', web),
      () => app.upstreams.replace('search', web),
      () => app.upstreams.remove('search'),
    ]) {
      await change();
      expect((await stream.next()).value.method).toBe('notifications/tools/list_changed');
    }
    stop.abort();
  });

  test('14.8: name the tools that they offer, and what callers need for each', async () => {
    await app.upstreams.replace('calendar', {
      url: calendar.url,
      token: none(),
      tools: {
        'debug_*': false,
        create_event: { scopes: ['write'] },
        list_events: { as: 'events' },
      },
    });
    expect(app.upstreams.tools('calendar')).toEqual([]); // never listed
    await tools();
    expect(app.upstreams.tools('calendar').slice(0, 2)).toEqual([
      { name: 'events', own: 'list_events', scopes: { all: [], any: [] } },
      { name: 'calendar__create_event', own: 'create_event', scopes: { all: ['write'], any: [] } },
    ]);
    expect(() => app.upstreams.tools('nope')).toThrow('is not there');
    await app.upstreams.replace('calendar', { url: calendar.url, token: none() });
  });

  test('14.8: say since when they fail, and how long they are spared', async () => {
    const breaker = { threshold: 1, cooldownSeconds: 60 };
    await app.upstreams.add('search', { url: search.url, token: none(), breaker });
    const state = () => app.upstreams.states()[1];
    await call('search__web');
    expect(state()).toMatchObject({ failingSince: undefined, retryAfterSeconds: 0 });
    search.intercept = (_request, response) => (response.writeHead(500).end(), true);
    const before = Date.now();
    expect((await call('search__web')).status).toBe(502);
    search.intercept = undefined;
    expect((await call('search__web')).headers.get('retry-after')).toBe('60');
    expect(state()).toMatchObject({ breaker: 'open', retryAfterSeconds: 60 });
    expect(Math.abs(Number(state()?.failingSince) - before)).toBeLessThan(30_000);
    await app.upstreams.remove('search');
  });

  test('nothing is half done when an option is wrong', async () => {
    const wrong = app.upstreams.replace('calendar', {
      url: 'nonsense',
      token: none(),
      prefix: 'A',
    });
    await expect(wrong).rejects.toMatchObject({
      problems: [expect.stringContaining('url'), expect.stringContaining('prefix')],
    });
    await expect(app.upstreams.add('calendar', { url: search.url, token: none() })).rejects.toThrow(
      'is there already',
    );
    await expect(app.upstreams.remove('nope')).rejects.toBeInstanceOf(ConfigurationError);
    await expect(app.upstreams.refresh('nope')).rejects.toThrow('is not there');
    expect(await tools()).toHaveLength(6);
  });

  test('14.9: tokens that nobody could get without a client are refused at boot, and when added', async () => {
    const options = { asCredentials: undefined as never };
    const url = calendar.url;
    const token = exchange({ scope: 'a' });
    const message = 'upstreams.one: token: exchange needs a client of the gateway';
    const started = (one: UpstreamOptions) =>
      startGateway({ options, gateway: { upstreams: { one } } });
    await expect(started({ url, token })).rejects.toThrow(message);
    await expect(started({ url, token: none(), tools: { a: { token } } })).rejects.toThrow(message);
    const plain = await started({ url, token: none(), tools: { a: false } });
    const ofItself = clientCredentials({ scope: 'a' });
    await expect(plain.upstreams.add('two', { url, token: ofItself })).rejects.toThrow(
      'upstreams.two: token: clientCredentials needs',
    );
    expect(plain.upstreams.states()).toHaveLength(1);
    await plain.close();
  });

  test('calls that are under way finish when their upstream is replaced', async () => {
    const running = call('calendar__slow');
    while (!calendar.asked.some(({ body }) => body.includes('"name":"slow"')))
      await new Promise((resolve) => setTimeout(resolve, 5));
    await app.upstreams.replace('calendar', { url: calendar.url, token: none(), prefix: 'cal' });
    expect((await running).json.result.content[0].text).toBe('slow ran');
    expect(await tools()).toContain('cal__slow');
  });

  test('are asked anew after a refresh, and say how they are', async () => {
    await tools();
    const [before] = app.upstreams.states();
    expect(before).toMatchObject({
      era: '2026-07-28',
      breaker: 'closed',
      toolCount: 6,
      url: calendar.url,
    });
    expect(Date.now() - Number(before?.listedAt)).toBeLessThan(60_000);
    await app.upstreams.refresh('calendar');
    expect(app.upstreams.states()[0]).toMatchObject({ era: undefined, toolCount: undefined });
    const asked = calendar.asked.length;
    await tools();
    expect(calendar.asked.slice(asked).map(({ method }) => method)).toEqual([
      'server/discover',
      'tools/list',
    ]);
  });
});
