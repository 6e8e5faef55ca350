import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { McpServer } from '@modelcontextprotocol/server';
import { Controller, Module, Post, Req, Res } from '@nestjs/common';
import { AuthplaneGatewayModule, exchange, McpGateway, none } from 'authplane-nestjs/gateway';
import type { PlatformReply, PlatformRequest } from 'authplane-nestjs/mcp';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import {
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../support/gateway/upstream-servers.js';
import { until } from '../support/time/until.js';
import { unhandledRejections } from '../support/tokens/unhandled-rejections.js';

/** A thousand call in gateway.callers.stress.spec.ts. */
const CALLERS = 20;

const COOLDOWN_SECONDS = 3600;
let ahead = 0;
/** Tokens do not age meanwhile. */
const clock = {
  now: () => Date.now() / 1000,
  elapsed: () => performance.now() / 1000 + ahead,
};

/** Says whose token it got, as an upstream does that keeps something for each user. */
function whoami(): McpServer {
  const server = new McpServer({ name: 'who', version: '1' });
  server.registerTool('whoami', {}, (ctx) => {
    const token = ctx.http?.req?.headers.get('authorization')?.split('.')[1] ?? '';
    const { sub, aud } = JSON.parse(Buffer.from(token, 'base64url').toString());
    return { content: [{ type: 'text', text: `${sub} at ${[aud].flat().join()}` }] };
  });
  return server;
}

describe('14.D: a gateway under attack', () => {
  let one: RunningUpstream;
  let two: RunningUpstream;
  let bad: RunningUpstream;
  let app: GatewayApp;
  unhandledRejections(); // there are none at the end

  beforeAll(async () => {
    one = await startUpstream(whoami);
    two = await startUpstream(whoami);
    bad = await startUpstream(searchServer);
    const scopeMap = (scope: string) => ({ use: [scope] });
    app = await startGateway({
      scopes: ['use'],
      options: { clock },
      resources: [
        { url: one.url, scopeMap: scopeMap('one') },
        { url: two.url, scopeMap: scopeMap('two') },
      ],
      gateway: {
        upstreams: {
          one: { url: one.url, token: exchange({ scope: 'one' }) },
          two: { url: two.url, token: exchange({ scope: 'two' }) },
          bad: {
            url: bad.url,
            token: none(),
            timeoutMs: 300,
            listTimeoutMs: 300,
            connectTimeoutMs: 300,
            breaker: { threshold: 3, cooldownSeconds: COOLDOWN_SECONDS },
          },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await Promise.all([one, two, bad].map((upstream) => upstream.stop()));
  });

  const call = (name: string, token?: string) =>
    app.ask('tools/call', { name, arguments: {} }, token === undefined ? {} : { token });
  const textOf = async (answer: ReturnType<typeof call>): Promise<string> => {
    const { json, text } = await answer;
    return json?.result?.content?.[0].text ?? text;
  };

  const untilBack = () =>
    until(async () => {
      ahead += COOLDOWN_SECONDS;
      return (await textOf(call('bad__web'))) === 'found';
    });

  test("no caller gets what is another one's, and no inbound token is on a socket", async () => {
    const callers = Array.from({ length: CALLERS }, (_, index) => `user-${index}`);
    const tokens: string[] = [];
    for (let round = 0; round < 2; round++) {
      const others = await Promise.all(
        callers.map(async (sub) => {
          const token = await app.token({ sub, jti: `${sub}-${round}` }); // renewed in the second round
          tokens.push(token);
          const [first, second] = await Promise.all([
            textOf(call('one__whoami', token)),
            textOf(call('two__whoami', token)),
          ]);
          const own = [`${sub} at ${one.url}`, `${sub} at ${two.url}`];
          return [first, second].filter((text) => !own.includes(text));
        }),
      );
      expect(others.flat()).toEqual([]);
    }
    const wire = one.received() + two.received() + bad.received();
    expect(tokens.filter((token) => wire.includes(token))).toEqual([]);
    expect(tokens.filter((token) => wire.includes(token.split('.')[2]!))).toEqual([]); // nor a piece of it
  });

  test('an upstream that is killed, hangs or sends garbage harms no other, and is back by itself', async () => {
    await untilBack();
    const misdeeds: RunningUpstream['intercept'][] = [
      async () => true, // hangs
      async (_request, response) => (response.destroy(), true),
      async (_request, response) => (response.writeHead(200).end('garbage'), true),
      async (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '999' });
        response.write('{"jsonrpc"');
        setTimeout(() => response.destroy(), 5);
        return true;
      },
      async (request, response) => {
        request.socket.end('HTTP/1.1 200 OK\r\nbroken\0header\r\n\r\n');
        return response.writableEnded || true;
      },
      async (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {');
        return true; // and stands still
      },
    ];
    for (const misdeed of misdeeds) {
      bad.intercept = misdeed;
      ahead += COOLDOWN_SECONDS; // it is tried once more
      const answers = await Promise.all([
        ...Array.from({ length: 4 }, () => call('bad__web').catch((error: unknown) => error)),
        ...Array.from({ length: 4 }, () => textOf(call('one__whoami'))),
      ]);
      expect(answers.slice(4).every((text) => String(text).startsWith('user-1 at'))).toBe(true);
    }
    await bad.stop();
    const down = await Promise.all(Array.from({ length: 4 }, () => call('bad__web')));
    expect(down.every(({ status }) => status === 502 || status === 503)).toBe(true);
    let spared = await call('bad__web');
    await until(async () => (spared = await call('bad__web')).status === 503);
    expect(spared.headers.get('retry-after')).toBe(
      String(spared.json.error.data.retryAfterSeconds),
    );
    expect(spared.json.error).toMatchObject({
      message: 'bad is not available',
      data: { upstream: 'bad' },
    });
    expect(app.upstreams.states()[2]).toMatchObject({ name: 'bad', lastError: expect.any(String) });
    bad.intercept = undefined;
    await bad.start();
    await untilBack();
    expect(app.upstreams.states()[2]?.breaker).toBe('closed');
  });

  test('refusals, missing consent and clients that go away never open a breaker', async () => {
    one.intercept = async (_request, response) => (response.writeHead(404).end(), true);
    for (let times = 0; times < 8; times++) await call('one__whoami');
    one.intercept = async (_request, response) => (response.writeHead(401).end(), true);
    for (let times = 0; times < 8; times++) await call('one__whoami');
    one.intercept = async () => true;
    for (let times = 0; times < 8; times++) {
      const stop = new AbortController();
      const gone = app.fetch(
        'tools/call',
        { name: 'one__whoami', arguments: {} },
        { signal: stop.signal },
      );
      setTimeout(() => stop.abort(), 5);
      await gone.catch(() => undefined);
    }
    one.intercept = undefined;
    app.authorizationServer.requireConsent({ resource: one.url, flavour: 'connect', user: 'eve' });
    for (let times = 0; times < 8; times++)
      await call('one__whoami', await app.token({ sub: 'eve' }));
    expect(app.upstreams.states()[0]?.breaker).toBe('closed');
    expect(await textOf(call('one__whoami', await app.token({ sub: 'frank' })))).toContain('frank');
  });

  test('a gateway without a guard answers nobody', async () => {
    @Controller('open')
    class OpenController {
      constructor(private readonly gateway: McpGateway) {}
      @Post()
      handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply) {
        return this.gateway.serve(request, reply);
      }
    }
    @Module({
      imports: [
        AuthplaneGatewayModule.forRoot({ upstreams: { bad: { url: bad.url, token: none() } } }),
      ],
      controllers: [OpenController],
    })
    class OpenModule {}
    const open = await startGateway({
      gateway: { upstreams: {} },
      metadata: { imports: [OpenModule] },
    });
    const asked = bad.asked.length;
    const response = await fetch(open.mcpUrl.replace('/mcp', '/open'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}',
    });
    expect(response.status).toBe(500);
    expect(bad.asked).toHaveLength(asked);
    await open.close();
  });

  test('with mcp.authentication: when-needed nobody is still asked to sign in', async () => {
    const free = await startGateway({
      gateway: { upstreams: { bad: { url: bad.url, token: none() } } },
      options: { mcp: { authentication: 'when-needed' } },
    });
    const asked = bad.asked.length;
    const response = await free.fetch('tools/list', {}, { token: null });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('resource_metadata=');
    expect(bad.asked).toHaveLength(asked);
    await free.close();
  });
});

describe('14.D: the end of the application', () => {
  test('running calls are answered, and their connections closed', async () => {
    const upstream = await startUpstream(searchServer);
    const app = await startGateway({
      gateway: { upstreams: { search: { url: upstream.url, token: none() } } },
    });
    await app.ask('tools/list');
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    upstream.intercept = async (_request, _response, body) => {
      if (body.includes('tools/call')) await released;
      return false;
    };
    const running = app.ask('tools/call', { name: 'search__web', arguments: {} });
    while (!upstream.asked.some(({ method }) => method === 'tools/call'))
      await new Promise((resolve) => setTimeout(resolve, 5));
    const closed = app.app.close();
    release();
    const answer = await running;
    expect([answer.status, answer.headers.get('connection')]).toEqual([200, 'close']);
    await closed;
    await app.close();
    await upstream.stop();
  });
});
