import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Global, Module } from '@nestjs/common';
import { UPSTREAM_TOKEN_STRATEGY, type UpstreamTokenFunction } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import {
  calendarServer,
  type RunningUpstream,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';

const strategy: UpstreamTokenFunction = ({ upstream, operation, caller }) => ({
  accessToken: `for-${upstream}-${operation.name ?? operation.method.replace('/', '-')}-${caller.claims.sub}`,
});

/** What a function of the application may give where it was to give `true`. */
const ODD: Record<string, unknown> = {
  cal__list_events: Promise.resolve(false),
  cal__create_event: 'no',
  old__count: true,
  get cal__slow() {
    throw new Error('no such tool');
  },
};

@Global()
@Module({
  providers: [{ provide: UPSTREAM_TOKEN_STRATEGY, useValue: strategy }],
  exports: [UPSTREAM_TOKEN_STRATEGY],
})
class StrategyModule {}

describe('14: one URL for each set of tools, and tokens from a provider', () => {
  let calendar: RunningUpstream;
  let old: LegacyUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    calendar = await startUpstream(calendarServer);
    old = await startLegacyUpstream();
    app = await startGateway({
      options: { mcpPath: '/mcp/:profile', isResource: ({ profile }) => profile !== 'none' },
      metadata: { imports: [StrategyModule] },
      gateway: {
        path: 'mcp/:profile',
        upstreams: { cal: { url: calendar.url }, old: { url: old.url } },
        view: ({ caller, resource }) => {
          if (resource.params['profile'] === 'all') return undefined;
          if (resource.params['profile'] === 'broken') throw new Error('no such profile');
          if (resource.params['profile'] === 'null') return null as never;
          if (resource.params['profile'] === 'async') return Promise.resolve() as never;
          if (resource.params['profile'] === 'odd') return (name) => ODD[name] as never;
          const mine = `${caller.claims.sub}:${resource.params['profile']}`;
          return (name, kind) =>
            mine === 'user-1:reader' && kind === 'tools'
              ? name === 'cal__list_events'
              : name.startsWith('calendar://') || name.startsWith('old__');
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await calendar.stop();
    await old.stop();
  });

  const at = async (profile: string) => {
    const url = `${app.mcpUrl}/${profile}`;
    return { url, token: await app.token({ aud: [url], sub: 'user-1' }) };
  };
  const names = (list: { name: string }[]) => list.map(({ name }) => name);

  test('lists hold what the URL shows, and nothing else can be called', async () => {
    const reader = await at('reader');
    const { json } = await app.ask('tools/list', {}, reader);
    expect(names(json.result.tools)).toEqual(['cal__list_events']);
    const called = await app.ask('tools/call', { name: 'cal__list_events', arguments: {} }, reader);
    expect(called.json.result.content[0].text).toBe('list_events {}');
    const before = calendar.asked.length;
    const hidden = await app.ask(
      'tools/call',
      { name: 'cal__create_event', arguments: {} },
      reader,
    );
    expect(hidden.json.error).toEqual({ code: -32602, message: 'Unknown tool: cal__create_event' });
    const prompt = await app.ask('prompts/get', { name: 'cal__briefing' }, reader);
    expect(prompt.json.error.code).toBe(-32602);
    const other = await app.ask('resources/read', { uri: 'count://all' }, reader);
    expect(other.json.error.code).toBe(-32602);
    expect(calendar.asked).toHaveLength(before);
    const read = await app.ask('resources/read', { uri: 'calendar://today' }, reader);
    expect(read.json.result.contents[0].text).toBe('lunch');
  });

  test('another URL shows something else, and one without a view everything', async () => {
    const other = await app.ask('tools/list', {}, await at('other'));
    expect(names(other.json.result.tools).every((name) => name.startsWith('old__'))).toBe(true);
    const all = await app.ask('tools/list', {}, await at('all'));
    expect(names(all.json.result.tools)).toEqual(
      expect.arrayContaining(['cal__create_event', 'old__count']),
    );
  });

  test('a view that fails shows nothing', async () => {
    const { status, text } = await app.ask('tools/list', {}, await at('broken'));
    expect([status, text.includes('no such profile')]).toEqual([503, false]);
  });

  test.each(['null', 'async'])('one that gives %s shows nothing', async (profile) => {
    const before = calendar.asked.filter(({ method }) => method === 'tools/call').length;
    const call = { name: 'cal__list_events', arguments: {} };
    expect((await app.ask('tools/call', call, await at(profile))).status).toBe(503);
    expect(calendar.asked.filter(({ method }) => method === 'tools/call')).toHaveLength(before);
  });

  test('only true is yes; what fails for one name is refused', async () => {
    const odd = await at('odd');
    const asked = (name: string) => app.ask('tools/call', { name, arguments: {} }, odd);
    for (const name of ['cal__list_events', 'cal__create_event', 'cal__debug_dump']) {
      expect((await asked(name)).json.error.message).toBe(`Unknown tool: ${name}`);
    }
    expect((await asked('old__count')).json.result).toBeDefined();
    expect((await asked('cal__slow')).status).toBe(503);
    expect((await app.ask('tools/list', {}, odd)).status).toBe(503);
  });

  test('an upstream without token gets what the provider gives, for the operation and its caller', async () => {
    await app.ask('tools/call', { name: 'cal__list_events', arguments: {} }, await at('all'));
    expect(calendar.asked.at(-1)!.token).toBe('Bearer for-cal-list_events-user-1');
  });
});
