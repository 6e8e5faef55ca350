import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange, none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import {
  calendarServer,
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';
import { platforms } from '../../support/nest/start-app.js';

describe.each(platforms)('14.B: requests of 2026-07-28 pass through on %s', (platform) => {
  let calendar: RunningUpstream;
  let search: RunningUpstream;
  let gateway: GatewayApp;

  beforeAll(async () => {
    calendar = await startUpstream(calendarServer);
    search = await startUpstream(searchServer);
    gateway = await startGateway({
      platform,
      scopes: ['gateway:use', 'gateway:write'],
      resources: [
        {
          url: calendar.url,
          scopeMap: { 'gateway:use': ['calendar.read'], 'gateway:write': ['calendar.write'] },
        },
      ],
      gateway: {
        scopes: ['gateway:use'],
        upstreams: {
          calendar: {
            url: calendar.url,
            token: exchange({ scope: 'calendar.read' }),
            breaker: false, // has a spec of its own
            tools: {
              create_event: {
                scopes: ['gateway:write'],
                token: exchange({ scope: 'calendar.write' }),
              },
              'debug_*': false,
              list_events: { as: 'events' },
            },
          },
          search: { url: search.url, token: none() },
        },
      },
    });
  });
  afterAll(async () => {
    await gateway.close();
    await calendar.stop();
    await search.stop();
  });

  test('the merged list has prefixed names, and an SDK client calls through them', async () => {
    const client = await gateway.client(await gateway.token());
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual([
      'events',
      'calendar__create_event',
      'calendar__slow',
      'calendar__invite',
      'calendar__fails',
      'search__web',
    ]);
    const result = await client.callTool({ name: 'events', arguments: { day: 'fri' } });
    expect(result.content).toEqual([{ type: 'text', text: 'list_events {"day":"fri"}' }]);
    const found = await client.callTool({ name: 'search__web', arguments: {} });
    expect(found.content).toEqual([{ type: 'text', text: 'found' }]);
    await client.close();
  });

  const call = (name: string, init = {}, args: Record<string, unknown> = {}) =>
    gateway.ask('tools/call', { name, arguments: args }, init);

  test('the guard asks for the scopes of module, controller and upstream rule in one challenge', async () => {
    const none = await call('calendar__create_event', { token: null });
    expect(none.status).toBe(401);
    expect(none.headers.get('www-authenticate')).toContain('scope="gateway:use gateway:write"');
    const token = await gateway.token({ scope: 'gateway:use' });
    const before = calendar.asked.length;
    const refused = await call('calendar__create_event', { token });
    expect(refused.status).toBe(403);
    expect(refused.headers.get('www-authenticate')).toContain(
      'error="insufficient_scope", scope="gateway:use gateway:write"',
    );
    expect(refused.json).toMatchObject({ id: 1, error: { code: -32003 } });
    expect(calendar.asked).toHaveLength(before);
    expect((await call('calendar__create_event')).json.result.content[0].text).toBe(
      'create_event {}',
    );
  });

  test('each tool gets a token for its own scope, and the inbound token never leaves', async () => {
    const token = await gateway.token();
    calendar.asked.length = 0;
    await call('events', { token });
    await call('calendar__create_event', { token });
    const scopes = calendar.asked
      .filter(({ method }) => method === 'tools/call')
      .map(({ token: sent }) => {
        const claims = (sent ?? '').split('.')[1] ?? '';
        const { scope, aud } = JSON.parse(Buffer.from(claims, 'base64url').toString());
        return [scope, [aud].flat()[0]];
      });
    expect(scopes).toEqual([
      ['calendar.read', calendar.url],
      ['calendar.write', calendar.url],
    ]);
    expect(calendar.received()).toContain('"method":"tools/call"');
    expect(calendar.received() + search.received()).not.toContain(token);
    expect(search.asked.every(({ token: sent }) => sent === undefined)).toBe(true);
  });

  test('the upstream request is built from nothing', async () => {
    calendar.asked.length = 0;
    await gateway.ask(
      'tools/call',
      { name: 'events', arguments: { day: 'fri' } },
      {
        headers: {
          cookie: 'session=1',
          forwarded: 'for=1.2.3.4',
          'x-forwarded-for': '1.2.3.4',
          'x-api-key': 'k',
          'last-event-id': '7',
          'mcp-session-id': 's',
          'mcp-param-day': 'fri',
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        },
      },
    );
    const { headers, body } = calendar.asked.at(-1)!;
    expect(Object.keys(headers).sort()).toEqual([
      'accept',
      'accept-encoding',
      'authorization',
      'connection',
      'content-length',
      'content-type',
      'host',
      'mcp-method',
      'mcp-name',
      'mcp-param-day',
      'mcp-protocol-version',
      'traceparent',
      'user-agent',
    ]);
    expect(headers['mcp-name']).toBe('list_events');
    expect(JSON.parse(body).params).toMatchObject({
      name: 'list_events',
      arguments: { day: 'fri' },
    });
  });

  test('arguments and parameters that hold the inbound token are refused', async () => {
    const token = await gateway.token();
    const before = calendar.asked.length;
    const inArguments = await call('events', { token }, { day: token });
    expect(inArguments.json.error.code).toBe(-32602);
    const encoded = `=?base64?${Buffer.from(token).toString('base64')}?=`;
    const inHeader = await call('events', { token, headers: { 'mcp-param-day': encoded } });
    expect(inHeader.json.error.code).toBe(-32602);
    expect(calendar.asked).toHaveLength(before);
  });

  test('a name that is not offered never leaves', async () => {
    await call('events');
    const before = calendar.asked.length;
    for (const name of [
      'calendar__nope',
      'calendar__debug_dump',
      'calendar__list_events',
      'nope__x',
      'x',
    ]) {
      const answer = await call(name);
      expect([answer.status, answer.json.error]).toEqual([
        200,
        { code: -32602, message: `Unknown tool: ${name}` },
      ]);
    }
    expect(calendar.asked.slice(before).map(({ method }) => method)).not.toContain('tools/call');
  });

  test('progress, results with isError, prompts, resources, templates and completions', async () => {
    const client = await gateway.client(await gateway.token());
    const progress: number[] = [];
    const slow = await client.callTool(
      { name: 'calendar__slow', arguments: {} },
      { onprogress: (one) => void progress.push(one.progress) },
    );
    expect([progress, slow.content]).toEqual([[1, 2, 3], [{ type: 'text', text: 'slow ran' }]]);
    const failed = await client.callTool({ name: 'calendar__fails', arguments: {} });
    expect(failed.isError).toBe(true);
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual([
      'calendar__briefing',
    ]);
    const prompt = await client.getPrompt({ name: 'calendar__briefing' });
    expect(prompt.messages).toHaveLength(1);
    expect((await client.listResources()).resources.map(({ uri }) => uri)).toEqual([
      'calendar://today',
    ]);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      'calendar://days/{day}',
    ]);
    const read = await client.readResource({ uri: 'calendar://days/fri' });
    expect(read.contents[0]).toMatchObject({ uri: 'calendar://days/fri', text: 'a day' });
    const completed = await client.complete({
      ref: { type: 'ref/resource', uri: 'calendar://days/{day}' },
      argument: { name: 'day', value: '' },
    });
    expect(completed.completion.values).toEqual(['fri', 'sat']);
    await expect(client.readResource({ uri: 'nowhere://x' })).rejects.toMatchObject({
      code: -32602,
    });
    await client.close();
  });

  test('the first event is passed on before the second one is there', async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    calendar.intercept = async (_request, response, body) => {
      if (!body.includes('tools/call')) return false;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n');
      await released;
      response.end('data: {"jsonrpc":"2.0","id":1,"result":{"resultType":"complete"}}\n\n');
      return true;
    };
    const response = await gateway.fetch('tools/call', { name: 'events' });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const first = await reader.read();
    expect(Buffer.from(first.value ?? []).toString()).toContain('notifications/message');
    release();
    const rest = await reader.read();
    expect(Buffer.from(rest.value ?? []).toString()).toContain('"complete"');
    calendar.intercept = undefined;
  });

  test.each([
    ['in one piece', [2_000]],
    ['in pieces, longer than any buffer', [1, 70_000, 3_000_000, 5, 2_000_000]],
  ])('a JSON answer %s arrives byte for byte', async (_name, sizes) => {
    const pieces = sizes.map((size, at) => String(at).repeat(size));
    calendar.intercept = async (_request, response, body) => {
      if (!body.includes('tools/call')) return false;
      response.writeHead(200, { 'content-type': 'application/json' });
      for (const piece of pieces) {
        response.write(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
      return true;
    };
    const response = await gateway.fetch('tools/call', { name: 'events' });
    calendar.intercept = undefined;
    expect((await response.text()) === pieces.join('')).toBe(true);
  });

  test('a JSON answer that breaks off is not one that ends', async () => {
    calendar.intercept = async (_request, response, body) => {
      if (!body.includes('tools/call')) return false;
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"jsonrpc":"2.0"');
      setImmediate(() => response.destroy());
      return true;
    };
    const answer = gateway.fetch('tools/call', { name: 'events' }).then((one) => one.text());
    await expect(answer).rejects.toThrow(TypeError);
    calendar.intercept = undefined;
  });

  test('a client that goes away ends the call of the upstream, before and after the first byte', async () => {
    for (const begins of [false, true]) {
      calendar.aborted.length = 0;
      let arrived: () => void = () => undefined;
      const arrival = new Promise<void>((resolve) => (arrived = resolve));
      calendar.intercept = async (_request, response, body) => {
        if (!body.includes('tools/call')) return false;
        if (begins)
          response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': x\n\n');
        arrived();
        return true;
      };
      const stop = new AbortController();
      const pending = gateway
        .fetch('tools/call', { name: 'events' }, { signal: stop.signal })
        .then((response) => response.text())
        .catch(() => undefined);
      await arrival;
      stop.abort();
      await pending;
      while (calendar.aborted.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      expect(calendar.aborted).toEqual(['tools/call']);
    }
    calendar.intercept = undefined;
  });

  const answering = (status: number, headers: Record<string, string>, text: string) => {
    calendar.intercept = async (_request, response, body) => {
      if (!body.includes('tools/call')) return false;
      response.writeHead(status, headers).end(text);
      return true;
    };
  };
  const json = { 'content-type': 'application/json' };

  test.each([
    ['500', 500, json, '{}', 502, { upstream: 'calendar' }],
    [
      '503 with a pause of its own',
      503,
      { ...json, 'retry-after': '9' },
      '{}',
      502,
      { upstream: 'calendar' },
    ],
    ['a redirect', 302, { location: 'http://127.0.0.1:1/' }, '', 502, { upstream: 'calendar' }],
    ['HTML', 200, { 'content-type': 'text/html' }, '<p>', 502, { upstream: 'calendar' }],
    [
      'compressed JSON',
      200,
      { ...json, 'content-encoding': 'gzip' },
      'x',
      502,
      { upstream: 'calendar' },
    ],
    ['404 without a message', 404, json, '{}', 502, { upstream: 'calendar' }],
    ['403 without a challenge', 403, json, 'secret', 502, { upstream: 'calendar' }],
    [
      '429',
      429,
      { ...json, 'retry-after': '7' },
      '{}',
      429,
      { upstream: 'calendar', retryAfterSeconds: 7 },
    ],
  ])('14.D: %s', async (_name, status, headers, text, expected, data) => {
    answering(status, headers, text);
    const answer = await call('events');
    calendar.intercept = undefined;
    expect(answer.status).toBe(expected);
    expect(answer.json).toMatchObject({ jsonrpc: '2.0', id: 1, error: { code: -32603, data } });
    expect(answer.text).not.toContain('secret');
    expect(answer.headers.get('retry-after')).toBe(expected === 429 ? '7' : null);
  });

  test('14.D: a 4xx with a JSON-RPC message is passed on', async () => {
    answering(400, json, '{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"no"}}');
    const answer = await call('events');
    calendar.intercept = undefined;
    expect([answer.status, answer.json.error]).toEqual([400, { code: -32020, message: 'no' }]);
  });

  test('14.D: a 401 costs the token and one more attempt, then it is 502', async () => {
    calendar.asked.length = 0;
    answering(
      401,
      { ...json, 'www-authenticate': 'Bearer error="invalid_token"', 'set-cookie': 'a=b' },
      '',
    );
    const answer = await call('events', { token: await gateway.token({ sub: 'user-401' }) });
    calendar.intercept = undefined;
    const sent = calendar.asked.filter(({ method }) => method === 'tools/call');
    expect(sent).toHaveLength(2);
    expect(sent[0]?.token).not.toBe(sent[1]?.token);
    expect(answer.status).toBe(502);
    expect(answer.json.error.data).toEqual({ upstream: 'calendar', error: 'upstream_refused' });
    expect(answer.headers.get('www-authenticate')).toBeNull();
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  test('14.D: a scope that the upstream misses becomes our own step-up', async () => {
    const challenge = 'Bearer error="insufficient_scope", scope="calendar.read calendar.write"';
    answering(403, { ...json, 'www-authenticate': challenge }, '{}');
    const token = await gateway.token({ scope: 'gateway:use' });
    const answer = await call('events', { token });
    expect(answer.status).toBe(403);
    expect(answer.headers.get('www-authenticate')).toContain('scope="gateway:use gateway:write"');
    expect(answer.headers.get('www-authenticate')).not.toContain('calendar');
    const already = await call('events'); // has what stands for it: another token would not help
    calendar.intercept = undefined;
    expect([already.status, already.json.error.data]).toEqual([
      502,
      { upstream: 'calendar', error: 'upstream_refused' },
    ]);
  });

  test('14.D: a stream that breaks off ends with an error, and nothing is thrown', async () => {
    calendar.intercept = async (_request, response, body) => {
      if (!body.includes('tools/call')) return false;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(
        'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n',
        () => response.destroy(),
      );
      return true;
    };
    const answer = await call('events');
    calendar.intercept = undefined;
    expect(answer.json.error).toMatchObject({ code: -32603, data: { upstream: 'calendar' } });
  });

  test('consent is asked for as the client can be asked', async () => {
    gateway.authorizationServer.requireConsent({
      resource: calendar.url,
      flavour: 'connect',
      user: 'carol',
    } as never);
    const token = await gateway.token({ sub: 'carol' });
    const url = await call('events', { token, capabilities: { elicitation: { url: {} } } });
    expect(url.status).toBe(200);
    expect(url.json.result.resultType).toBe('input_required');
    const words = await call('events', { token });
    expect(words.json.result).toMatchObject({ isError: true });
  });

  test.each([429, 503] as const)(
    'an authorization server that answers %d is 503 with Retry-After',
    async (status) => {
      gateway.authorizationServer.fail('token', status);
      const token = await gateway.token({ sub: `dave-${status}` });
      const answer = await call('events', { token });
      gateway.authorizationServer.fail('token', null);
      expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true]);
    },
  );

  test.each(['invalid_target', 'invalid_scope', 'invalid_grant', 'access_denied'])(
    'an exchange refused with %s is 502, and not in the words of the authorization server',
    async (error) => {
      const token = await gateway.token({ sub: `ed-${error}` });
      const body = JSON.stringify({ error, error_description: 'secret' });
      const contentType = 'application/json';
      gateway.authorizationServer.fail('token', { status: 400, body, contentType });
      const answer = await call('events', { token });
      gateway.authorizationServer.fail('token', null);
      const data = { upstream: 'calendar', error: 'upstream_refused' };
      expect([answer.status, answer.json.error.data]).toEqual([502, data]);
      expect(answer.text).not.toContain('secret');
    },
  );

  test.each([
    ['no Mcp-Method', { 'mcp-method': '' }, -32020],
    ['another Mcp-Name', { 'mcp-name': 'search__web' }, -32020],
    ['another version', { 'mcp-protocol-version': '2025-11-25' }, -32020],
  ])('headers that differ from the body are refused: %s', async (_name, headers, code) => {
    const answer = await call('events', { headers });
    expect([answer.status, answer.json.error.code]).toEqual([400, code]);
  });

  test('methods and shapes that are not there', async () => {
    expect((await gateway.ask('vendor/run')).status).toBe(404);
    const authorization = `Bearer ${await gateway.token()}`;
    const get = await fetch(gateway.mcpUrl, { headers: { authorization } });
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST, GET, DELETE']);
  });
});
