import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Injectable, Scope } from '@nestjs/common';
import {
  Allow,
  AnyScope,
  AuthContext,
  AuthplaneResource,
  ConfigurationError,
  Scopes,
} from 'authplane-nestjs';
import {
  exchange,
  GatewayTool,
  type GatewayToolCall,
  type GatewayDecision,
  McpGateway,
  none,
} from 'authplane-nestjs/gateway';
import { z } from 'zod';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import {
  calendarServer,
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';
import { platforms } from '../../support/nest/start-app.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';
import { until } from '../../support/time/until.js';

@Injectable()
class Greetings {
  readonly words = 'Hello';
}

@Injectable()
class Tools {
  readonly running: string[] = [];
  readonly aborted: string[] = [];

  constructor(
    readonly greetings: Greetings,
    readonly who: AuthContext,
    readonly gateway: McpGateway,
  ) {}

  @GatewayTool({
    name: 'greet',
    title: 'Greets',
    description: 'Greets whoever calls',
    inputSchema: z.object({ times: z.number().int().default(1) }),
    annotations: { readOnlyHint: true },
  })
  greet({ times }: { times: number }, { caller }: GatewayToolCall): string {
    return `${this.greetings.words} ${caller.claims.sub}, ${this.who.claims.sub}: ${times}`;
  }

  @GatewayTool({
    name: 'plan',
    scopes: ['plan'],
    inputSchema: z.strictObject({ day: z.string().max(3) }),
  })
  @AnyScope('plan:a', 'plan:b')
  async plan({ day }: { day: string }, { caller, signal }: GatewayToolCall) {
    const args = { day };
    const events = await this.gateway.call('calendar__list_events', args, { caller, signal });
    return { structuredContent: { day }, content: events['content'] as unknown[] };
  }

  @GatewayTool({ name: 'secret' })
  @Scopes('secret', { list: 'hide' })
  secret(): string {
    return 'the secret';
  }

  @GatewayTool({ name: 'mine' })
  @Allow(({ claims }) => claims.sub === 'ann')
  mine(): string {
    return 'yours';
  }

  @GatewayTool({ name: 'of', inputSchema: z.object({ whom: z.string() }) })
  @Allow(({ claims }, asked) => {
    const { arguments: args } = (asked?.params ?? {}) as { arguments?: { whom?: string } };
    return args?.whom === claims.sub;
  })
  of({ whom }: { whom: string }): string {
    return `that of ${whom}`;
  }

  /** Calls another one, for its own caller or for somebody else. */
  @GatewayTool({ name: 'relay', inputSchema: z.object({ name: z.string(), whom: z.string() }) })
  async relay({ name, whom }: { name: string; whom: string }, { caller }: GatewayToolCall) {
    const args = name === 'of' ? { whom } : {};
    const result = await this.gateway.call(name, args, { caller: this.others.get(whom) ?? caller });
    return { content: result['content'] as unknown[] };
  }

  readonly others = new Map<string, GatewayToolCall['caller']>();

  @GatewayTool({ name: 'count' })
  count(_: object, { progress }: GatewayToolCall): string {
    for (let done = 1; done <= 3; done++) progress({ progress: done, total: 3 });
    return 'counted';
  }

  @GatewayTool({ name: 'throws' })
  throws(): string {
    throw new Error('the password is swordfish');
  }

  @GatewayTool({ name: 'nothing' })
  nothing(): string {
    return undefined as never;
  }

  @GatewayTool({ name: 'hang' })
  async hang(_: object, { signal }: GatewayToolCall): Promise<string> {
    this.running.push('hang');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    this.aborted.push('hang');
    return 'never';
  }

  /** Also a tool of the upstream without a prefix. */
  @GatewayTool({ name: 'web' })
  web(): string {
    return 'the own one';
  }
}

@Injectable({ scope: Scope.REQUEST })
class EachCall {
  static made = 0;
  readonly number = ++EachCall.made;

  @GatewayTool({ name: 'number' })
  numbered(): string {
    return String(this.number);
  }
}

describe.each(platforms)('14.1: @GatewayTool on %s', (platform) => {
  unhandledRejections();
  let calendar: RunningUpstream;
  let search: RunningUpstream;
  let app: GatewayApp;
  const decisions: GatewayDecision[] = [];
  beforeAll(async () => {
    calendar = await startUpstream(calendarServer);
    search = await startUpstream(searchServer);
    app = await startGateway({
      platform,
      scopes: ['use', 'plan', 'plan:a', 'plan:b', 'secret'],
      resources: [{ url: calendar.url, scopeMap: { use: ['calendar'] } }],
      gateway: {
        upstreams: {
          calendar: { url: calendar.url, token: exchange({ scope: 'calendar' }) },
          search: { url: search.url, token: none(), prefix: false },
        },
      },
      metadata: { providers: [Greetings, Tools, EachCall] },
    });
    app.gateway.onDecision((decision) => decisions.push(decision));
  });
  afterAll(async () => {
    await app.close();
    await calendar.stop();
    await search.stop();
  });

  const tokenOf = (sub: string, scope = 'use') => app.token({ sub, scope });
  const call = async (name: string, args: object = {}, scope?: string) =>
    app.ask(
      'tools/call',
      { name, arguments: args },
      { token: await tokenOf('ann', scope ?? 'use') },
    );
  async function inSession(scope = 'use'): Promise<Client> {
    const client = new Client({ name: 'v1', version: '1' });
    const headers = { authorization: `Bearer ${await tokenOf('ann', scope)}` };
    await client.connect(
      new StreamableHTTPClientTransport(new URL(app.mcpUrl), { requestInit: { headers } }),
    );
    return client;
  }

  test('stands in the lists of both eras, with its schema, in front of what upstreams offer', async () => {
    const { json } = await app.ask('tools/list', {}, { token: await tokenOf('ann') });
    const client = await inSession();
    const { tools } = await client.listTools();
    for (const listed of [json.result.tools, tools]) {
      expect(listed.map(({ name }: { name: string }) => name)).toEqual([
        ...[
          'greet',
          'plan',
          'mine',
          'of',
          'relay',
          'count',
          'throws',
          'nothing',
          'hang',
          'web',
          'number',
        ],
        ...['list_events', 'create_event', 'debug_dump', 'slow', 'invite', 'fails'].map(
          (own) => `calendar__${own}`,
        ),
      ]);
      expect(listed[0]).toEqual({
        name: 'greet',
        title: 'Greets',
        description: 'Greets whoever calls',
        annotations: { readOnlyHint: true },
        inputSchema: expect.objectContaining({ properties: { times: expect.anything() } }),
      });
    }
    expect((await client.callTool({ name: 'greet', arguments: {} })).content).toEqual([
      { type: 'text', text: 'Hello ann, ann: 1' },
    ]);
    await client.close();
  });

  test('is called in both eras, with what its schema makes of the arguments, by other tools too', async () => {
    expect((await call('greet', { times: 2 })).json.result).toEqual({
      resultType: 'complete',
      content: [{ type: 'text', text: 'Hello ann, ann: 2' }],
    });
    const planned = await call('plan', { day: 'fri' }, 'use plan plan:b');
    expect(planned.json.result).toMatchObject({
      structuredContent: { day: 'fri' },
      content: [{ text: 'list_events {"day":"fri"}' }],
    });
  });

  test('arguments that do not fit never reach it: the model reads why', async () => {
    const scope = 'use plan plan:a';
    const wrong = [
      ['greet', { times: 'x' }, 'times: '],
      ['plan', {}, 'day: '],
      ['plan', { day: 'friday' }, 'day: '],
      ['plan', { day: 'fri', __proto__x: 1, ['constructor']: 1 }, 'Unrecognized keys: '],
    ] as const;
    for (const [name, args, problem] of wrong) {
      const { isError, content } = (await call(name, args, scope)).json.result;
      expect(isError).toBe(true);
      expect(content[0].text).toContain(`Invalid arguments: ${problem}`);
    }
    const client = await inSession(scope);
    const result = await client.callTool({ name: 'plan', arguments: { day: 7 } });
    expect(result).toMatchObject({ isError: true, content: [{ text: /day: .*string/ }] });
    await client.close();
  });

  test('what would be written otherwise than it was judged, or not at all, is 400 in both eras', async () => {
    const client = await inSession();
    const session = { 'mcp-session-id': client.transport?.sessionId ?? '' };
    const modern = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call' };
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const token = await tokenOf('ann');
    const post = async (value: string, name: string, isModern: boolean) => {
      const params = { name, arguments: { times: 'VALUE' }, ...(isModern ? { _meta } : {}) };
      const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params };
      const { status } = await fetch(app.mcpUrl, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json, text/event-stream',
          'content-type': 'application/json',
          ...(isModern ? { ...modern, 'mcp-name': name } : session),
        },
        body: JSON.stringify(message).replace('"VALUE"', value),
      });
      return status;
    };
    const before = calendar.asked.length;
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    for (const isModern of [true, false]) {
      for (const name of ['greet', 'calendar__list_events']) {
        for (const value of ['1e400', '-1e400', '[{"a":1e400}]', deep]) {
          expect([name, value.slice(0, 20), await post(value, name, isModern)]).toEqual([
            name,
            value.slice(0, 20),
            400,
          ]);
        }
        expect(await post('1e300', name, isModern)).toBe(200);
      }
    }
    const called = calendar.asked.slice(before).filter(({ method }) => method === 'tools/call');
    expect(called).toHaveLength(2);
    await client.close();
  });

  test('needs its scopes, those of @Scopes and @AnyScope, and what @Allow says', async () => {
    const refused = await call('plan', { day: 'fri' });
    expect(refused.status).toBe(403);
    expect(refused.headers.get('www-authenticate')).toContain('scope="plan plan:a"');
    expect((await call('plan', { day: 'fri' }, 'use plan')).status).toBe(403);
    expect((await call('secret')).json.error.code).toBe(-32602); // hidden, as if it was not there
    expect((await call('secret', {}, 'use secret')).json.result.content[0].text).toBe('the secret');
    expect((await call('mine')).json.result.content[0].text).toBe('yours');
    const token = await tokenOf('bob');
    expect((await app.ask('tools/call', { name: 'mine', arguments: {} }, { token })).status).toBe(
      403,
    );
    await expect(
      (await inSession()).callTool({ name: 'plan', arguments: {} }),
    ).rejects.toMatchObject({ code: 403 });
  });

  test('calls of other tools ask @Allow, too, with their arguments and for the caller that they are for', async () => {
    const relayed = async (name: string, whom: string) => {
      const answer = await call('relay', { name, whom });
      return answer.status === 200 ? answer.json.result.content[0].text : answer.status;
    };
    expect(await relayed('of', 'ann')).toBe('that of ann');
    expect(await relayed('of', 'eve')).toBe(403);
    expect(await relayed('mine', 'ann')).toBe('yours');
    const token = await tokenOf('bob');
    const claims = await app.app.app.get(AuthplaneResource).verify(token);
    app.app.app.get(Tools).others.set('bob', { token, claims });
    expect(await relayed('mine', 'bob')).toBe(403);
    expect(await relayed('of', 'ann')).toBe('that of ann');
  });

  test('tells of its progress whoever wants to know, in both eras', async () => {
    const token = await tokenOf('ann');
    const params = { name: 'count', arguments: {} };
    const streamed = await app.ask('tools/call', params, { token, meta: { progressToken: 'p' } });
    const told = [...streamed.text.matchAll(/^data: (.+)$/gm)].map((event) =>
      JSON.parse(event[1]!),
    );
    expect(told.map(({ params: one }) => one)).toEqual([
      ...[1, 2, 3].map((progress) => ({ progress, total: 3, progressToken: 'p' })),
      undefined,
    ]);
    const silent = await app.ask('tools/call', params, { token });
    expect(silent.headers.get('content-type')).toBe('application/json');
    const client = await inSession();
    const heard: number[] = [];
    const onprogress = ({ progress }: { progress: number }) => void heard.push(progress);
    await client.callTool(params, undefined, { onprogress });
    expect(heard).toEqual([1, 2, 3]);
    await client.close();
  });

  test('what it throws stays here, and a result that is none is a failure', async () => {
    for (const name of ['throws', 'nothing']) {
      const { result } = (await call(name)).json;
      expect(result).toEqual({
        resultType: 'complete',
        isError: true,
        content: [{ type: 'text', text: `${name} failed` }],
      });
    }
  });

  test('a cancellation reaches it', async () => {
    const { running, aborted } = app.app.app.get(Tools);
    const stop = new AbortController();
    const token = await tokenOf('ann');
    const hanging = app.ask(
      'tools/call',
      { name: 'hang', arguments: {} },
      { token, signal: stop.signal },
    );
    hanging.catch(() => undefined);
    await until(() => running.length === 1);
    stop.abort();
    await expect(hanging).rejects.toThrow();
    await until(() => aborted.length === 1);
    const client = await inSession();
    const cancel = new AbortController();
    const calling = client.callTool({ name: 'hang', arguments: {} }, undefined, cancel);
    calling.catch(() => undefined);
    await until(() => running.length === 2);
    cancel.abort();
    await expect(calling).rejects.toThrow();
    await until(() => aborted.length === 2);
    await client.close();
  });

  test('wins over a tool of an upstream of that name, and never leaves', async () => {
    const before = search.asked.filter(({ method }) => method === 'tools/call').length;
    const answer = await call('web');
    expect(answer.json.result.content[0].text).toBe('the own one');
    expect(search.asked.filter(({ method }) => method === 'tools/call')).toHaveLength(before);
    expect(decisions.at(-1)).toMatchObject({
      name: 'web',
      outcome: 'answered',
      upstream: undefined,
    });
  });

  test('works while every upstream is away', async () => {
    await calendar.stop();
    expect((await call('greet')).status).toBe(200);
    await calendar.start();
  });

  test('a provider for each request is made for each call', async () => {
    const numbers = [await call('number'), await call('number')].map(
      ({ json }) => json.result.content[0].text,
    );
    expect(new Set(numbers).size).toBe(2);
  });

  test('an upstream that is added cannot take its name with `as`', async () => {
    const taking = { url: search.url, token: none(), tools: { web: { as: 'greet' } } };
    await expect(app.upstreams.add('other', taking)).rejects.toThrow(
      'upstreams.other.tools.web: the name "greet" is that of a tool of the gateway',
    );
    expect(app.upstreams.states().map(({ name }) => name)).toEqual(['calendar', 'search']);
  });
});

test('14.1: wrong names, scopes and places are told where they stand', () => {
  const on =
    (options: object, descriptor: object = { value: () => '' }) =>
    () =>
      GatewayTool(options as never)({}, 'tool', descriptor);
  for (const name of ['', 'a b', 'x'.repeat(129), undefined, 'a/b']) {
    expect(on({ name })).toThrow(ConfigurationError);
  }
  expect(on({ name: 'a', scopes: [] })).toThrow('scopes: names no scope');
  expect(on({ name: 'a', scopes: () => ['x'] })).toThrow('take @Allow');
  expect(on({ name: 'a' }, { get: () => '' })).toThrow('which is no method');
  expect(on({ name: 'a' })).not.toThrow();
});
