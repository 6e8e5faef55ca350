import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { exchange, type GatewayDecision, none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../support/gateway/legacy-servers.js';
import {
  calendarServer,
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../support/gateway/upstream-servers.js';
import { until } from '../support/time/until.js';

describe('14.8: decisions', () => {
  let calendar: RunningUpstream;
  let search: RunningUpstream;
  let legacy: LegacyUpstream;
  let app: GatewayApp;
  let heard: GatewayDecision[] = [];
  beforeAll(async () => {
    calendar = await startUpstream(calendarServer);
    search = await startUpstream(searchServer);
    legacy = await startLegacyUpstream();
    app = await startGateway({
      scopes: ['use'],
      options: { selfCheck: false },
      resources: [{ url: search.url, scopeMap: { use: ['search'] } }],
      gateway: {
        upstreams: {
          calendar: {
            url: calendar.url,
            token: none(),
            tools: { create_event: { scopes: ['write'] } },
          },
          search: {
            url: search.url,
            token: none(),
            tools: { web: { token: exchange({ scope: 'search' }) } },
          },
          legacy: { url: legacy.url, token: none() },
        },
      },
    });
    app.gateway.onDecision(() => {
      throw new Error('broken');
    });
    app.gateway.onDecision((decision) => heard.push(decision));
  });
  afterAll(async () => {
    await app.close();
    await Promise.all([calendar.stop(), search.stop(), legacy.stop()]);
  });
  beforeEach(() => {
    heard = [];
  });

  const call = (name: string, init = {}) =>
    app.ask('tools/call', { name, arguments: { day: 'secret' } }, init);
  const told = async () => {
    await until(() => heard.length > 0);
    return heard;
  };
  const alice = { sub: 'user-1', clientId: 'agent' };

  test('of a call name who asked, for what, and where it went; nothing of arguments and tokens', async () => {
    await call('calendar__list_events');
    const [decision] = await told();
    expect(decision).toEqual({
      at: expect.any(Date),
      caller: { ...alice, issuer: app.authorizationServer.issuer },
      resource: app.mcpUrl,
      method: 'tools/call',
      name: 'calendar__list_events',
      upstream: 'calendar',
      outcome: 'answered',
      code: undefined,
      scopes: [],
      durationMs: expect.any(Number),
    });
    expect(JSON.stringify(heard)).not.toMatch(/secret|eyJ/);
  });

  test('of the guard name what is missing, and the caller as far as he is known', async () => {
    await call('calendar__create_event');
    await call('calendar__list_events', { token: null });
    expect(heard).toEqual([
      expect.objectContaining({
        ...{ outcome: 'refused', code: 'insufficient_scope', scopes: ['write'] },
        ...{ name: 'calendar__create_event', caller: expect.objectContaining(alice) },
      }),
      expect.objectContaining({ outcome: 'refused', code: 'token_missing', caller: undefined }),
    ]);
  });

  test('tell consent, unknown names and upstreams that fail apart', async () => {
    const { url: resource } = search;
    app.authorizationServer.requireConsent({ resource, flavour: 'connect' });
    await call('search__web');
    app.authorizationServer.giveConsent({ resource });
    calendar.intercept = (_request, response) => (response.writeHead(500).end(), true);
    await app.upstreams.refresh('calendar');
    await call('calendar__list_events'); // its list cannot be read
    calendar.intercept = undefined;
    await app.upstreams.refresh('calendar');
    await app.ask('tools/list');
    await call('search__nope');
    calendar.intercept = (_request, response) => (response.writeHead(500).end(), true);
    await call('calendar__list_events');
    calendar.intercept = undefined;
    expect(heard.map(({ upstream, outcome, code }) => [upstream, outcome, code])).toEqual([
      ['search', 'consent', 'consent_required'],
      ['calendar', 'failed', 'upstream_failed'],
      [undefined, 'answered', undefined],
      [undefined, 'refused', 'unknown_operation'],
      ['calendar', 'failed', 'upstream_failed'],
    ]);
  });

  test('of clients with sessions are told, too, failures included', async () => {
    const client = await app.client(await app.token(), 'legacy');
    heard = [];
    await client.callTool({ name: 'legacy__count', arguments: {} });
    await client.listTools();
    await client.callTool({ name: 'calendar__create_event', arguments: {} }).catch(() => undefined);
    calendar.intercept = (_request, response) => (response.writeHead(500).end(), true);
    await client.callTool({ name: 'calendar__list_events', arguments: {} });
    calendar.intercept = undefined;
    await client.close();
    expect(heard.map(({ method, upstream, outcome }) => [method, upstream, outcome])).toEqual([
      ['tools/call', 'legacy', 'answered'],
      ['tools/list', undefined, 'answered'],
      ['tools/call', undefined, 'refused'],
      ['tools/call', 'calendar', 'failed'],
    ]);
  });

  test('a client that goes away has cancelled; text of clients is cut', async () => {
    const stop = new AbortController();
    const running = call('calendar__slow', { signal: stop.signal }).catch(() => undefined);
    await until(() => calendar.asked.some(({ body }) => body.includes('"name":"slow"')));
    stop.abort();
    await running;
    expect(await told()).toEqual([
      expect.objectContaining({ outcome: 'cancelled', upstream: 'calendar' }),
    ]);
    heard = [];
    await call('x'.repeat(1000));
    expect((await told())[0]?.name).toHaveLength(128);
  });

  test('are not made where nobody listens any more', async () => {
    const own: GatewayDecision[] = [];
    const end = app.gateway.onDecision((decision) => own.push(decision));
    await call('calendar__list_events');
    end();
    await call('calendar__list_events');
    expect([own.length, heard.length]).toEqual([1, 2]);
  });
});

test('14.8: decisions of a gateway that stands for many resources name the one that was asked', async () => {
  const one = await startGateway({
    gateway: { upstreams: {}, path: 'mcp/:tenant' },
    options: {
      mcpPath: '/mcp/:tenant',
      isResource: ({ tenant }) => ['red', 'blue'].includes(String(tenant)),
      selfCheck: false,
    },
  });
  const heard: GatewayDecision[] = [];
  one.gateway.onDecision((decision) => heard.push(decision));
  const ask = async (tenant: string, aud: string) =>
    fetch(`${one.mcpUrl}/${tenant}`, {
      method: 'POST',
      headers: {
        ...{ 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        authorization: `Bearer ${await one.token({ aud: [`${one.mcpUrl}/${aud}`] })}`,
        ...{ 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' },
      },
      body: JSON.stringify({
        ...{ jsonrpc: '2.0', id: 1, method: 'tools/list' },
        params: {
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientCapabilities': {},
          },
        },
      }),
    });
  expect((await ask('red', 'red')).status).toBe(200);
  expect((await ask('blue', 'red')).status).toBe(401);
  expect(heard.map(({ resource, outcome }) => [resource, outcome])).toEqual([
    [`${one.mcpUrl}/red`, 'answered'],
    [`${one.mcpUrl}/blue`, 'refused'],
  ]);
  await one.close();
});
