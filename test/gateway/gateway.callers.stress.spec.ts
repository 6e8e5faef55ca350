import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { McpServer as ModernMcpServer } from '@modelcontextprotocol/server';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { exchange, none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../support/gateway/legacy-servers.js';
import {
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../support/gateway/upstream-servers.js';
import { until } from '../support/time/until.js';
import { unhandledRejections } from '../support/tokens/unhandled-rejections.js';

const IS_FULL = process.env['AUTHPLANE_STRESS'] !== undefined;
const CALLERS = IS_FULL ? 1000 : 50;
const AT_ONCE = 50;
/** Calls that one upstream keeps waiting. */
const HELD = 8;
const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });

function subjectIn(authorization: unknown): string {
  const token = String(authorization).split('.')[1] ?? '';
  return JSON.parse(Buffer.from(token, 'base64url').toString()).sub;
}

/** Counts for each session, and remembers whose it was at first. */
function counter(): McpServer {
  const server = new McpServer({ name: 'counter', version: '1' });
  let count = 0;
  let owner: string | undefined;
  server.registerTool('count', {}, (extra) => {
    const sub = subjectIn(extra.requestInfo?.headers['authorization']);
    owner ??= sub;
    return text(`${++count} of ${owner} for ${sub}`);
  });
  return server;
}

function whoami(): ModernMcpServer {
  const server = new ModernMcpServer({ name: 'who', version: '1' });
  server.registerTool('whoami', {}, (ctx) =>
    text(subjectIn(ctx.http?.req?.headers.get('authorization'))),
  );
  return server;
}

describe(`14: ${CALLERS} callers of two upstreams, one of which counts, beside one that fails`, () => {
  unhandledRejections();
  let counting: LegacyUpstream;
  let who: RunningUpstream;
  let bad: RunningUpstream;
  let app: GatewayApp;
  const tokens = new Set<string>();
  beforeAll(async () => {
    counting = await startLegacyUpstream(counter);
    who = await startUpstream(whoami);
    bad = await startUpstream(searchServer);
    const wide = {
      ...{ maxInFlight: 256, maxQueued: 5000, breaker: false as const },
      ...{ listTimeoutMs: 60_000, connectTimeoutMs: 60_000 },
    };
    app = await startGateway({
      scopes: ['use'],
      accessTokenTtlSeconds: 600,
      resources: [
        { url: counting.url, scopeMap: { use: ['count'] } },
        { url: who.url, scopeMap: { use: ['who'] } },
      ],
      gateway: {
        upstreams: {
          counting: { url: counting.url, token: exchange({ scope: 'count' }), ...wide },
          who: { url: who.url, token: exchange({ scope: 'who' }), ...wide },
          bad: {
            ...{ url: bad.url, token: none(), timeoutMs: 60_000 },
            breaker: { threshold: 5, cooldownSeconds: 1 },
          },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await Promise.all([counting.stop(), who.stop(), bad.stop()]);
  });

  const tokenFor = async (sub: string, jti: string) => {
    const token = await app.token({ sub, jti });
    tokens.add(token);
    return token;
  };

  /** A client of 2025-11-25 as it is on the wire. */
  class Caller {
    readonly sub: string;
    #session = '';
    #token = '';
    #id = 0;

    constructor(sub: string) {
      this.sub = sub;
    }

    async open(): Promise<void> {
      await this.renew();
      const params = {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'wire', version: '1' },
      };
      const response = await this.#post({ method: 'initialize', params });
      this.#session = response.headers.get('mcp-session-id') ?? '';
      await response.text();
    }

    async renew(): Promise<void> {
      this.#token = await tokenFor(this.sub, `${this.sub}-${++this.#id}`);
    }

    /** What it has is over, and not renewed yet. */
    async expire(): Promise<void> {
      const now = Math.floor(Date.now() / 1000);
      const over = { iat: now - 7200, exp: now - 3600 };
      this.#token = await app.token({ sub: this.sub, jti: `${this.sub}-${++this.#id}`, ...over });
    }

    async status(name: string): Promise<number> {
      const response = await this.#called(name);
      await response.text();
      return response.status;
    }

    #called(name: string): Promise<Response> {
      return this.#post({ method: 'tools/call', params: { name, arguments: {} } });
    }

    async call(name: string): Promise<string> {
      const response = await this.#called(name);
      const answer = await response.text();
      const data = /^data: (.+)$/m.exec(answer)?.[1] ?? answer;
      return JSON.parse(data).result?.content?.[0]?.text ?? answer;
    }

    async end(): Promise<void> {
      await (await this.#send('DELETE')).text();
    }

    #post(message: object): Promise<Response> {
      return this.#send('POST', JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, ...message }));
    }

    #send(method: string, body?: string): Promise<Response> {
      return fetch(app.mcpUrl, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(this.#session === '' ? {} : { 'mcp-session-id': this.#session }),
        },
        ...(body === undefined ? {} : { body }),
      });
    }
  }

  async function each<T, Result>(all: readonly T[], work: (one: T) => Promise<Result>) {
    const results: Result[] = [];
    for (let from = 0; from < all.length; from += AT_ONCE) {
      results.push(...(await Promise.all(all.slice(from, from + AT_ONCE).map(work))));
    }
    return results;
  }
  /** What is wrong for this caller, if `expected` is what its session has counted. */
  async function crossings(caller: Caller, expected: number): Promise<readonly string[]> {
    const [counted, mine] = await Promise.all([
      caller.call('counting__count'),
      caller.call('who__whoami'),
    ]);
    const isRight = counted === `${expected} of ${caller.sub} for ${caller.sub}`;
    return isRight && mine === caller.sub ? [] : [`${caller.sub}: ${counted}, ${mine}`];
  }

  test('nobody gets what is somebody else’s, also after tokens and sessions are renewed', async () => {
    const callers = Array.from({ length: CALLERS }, (_, index) => new Caller(`user-${index}`));
    await each(callers, (caller) => caller.open());
    const round = async (expected: number) =>
      (await each(callers, (caller) => crossings(caller, expected))).flat();
    expect(await round(1)).toEqual([]);
    // Access tokens expire in mid-session: a refusal, nothing for the upstreams, and the session goes on with new ones.
    await each(callers, (caller) => caller.expire());
    const sent = counting.log.length + who.asked.length;
    const refused = await each(callers, (caller) => caller.status('counting__count'));
    expect(new Set(refused)).toEqual(new Set([401]));
    expect(counting.log.length + who.asked.length).toBe(sent);
    await each(callers, (caller) => caller.renew());
    expect(await round(2)).toEqual([]);
    counting.forget(); // every session of the upstream has expired
    expect(await round(1)).toEqual([]);
    await each(callers, (caller) => caller.end());
    await each(callers, (caller) => caller.open());
    expect(await round(1)).toEqual([]);
    const wire = counting.received() + who.received() + bad.received();
    expect([...tokens].filter((token) => wire.includes(token.split('.')[2]!))).toEqual([]);
    await each(callers, (caller) => caller.end());
  });

  /** What the other upstreams answer while the bad one has calls of which none ends before `release`. */
  async function besideWaiting(misdeed: (response: ServerResponse) => void, calls: number) {
    const caller = new Caller('patient');
    await caller.open();
    await until(async () => (await caller.call('bad__web')) === 'found'); // it is spared no more
    const held = new Set<ServerResponse>();
    bad.intercept = async (_request, response, body) => {
      if (!body.includes('"tools/call"')) return false;
      held.add(response);
      misdeed(response);
      return true;
    };
    let ended = 0;
    const attacking = Array.from({ length: HELD }, () =>
      caller.call('bad__web').then(() => void ended++),
    );
    await until(() => held.size === HELD);
    for (let done = 0; done < calls; done++)
      expect(await caller.call('who__whoami')).toBe('patient');
    const endedBefore = ended;
    bad.intercept = undefined;
    for (const response of held) response.destroy();
    await Promise.all(attacking);
    await caller.end();
    return endedBefore;
  }

  test('no call of another waits for one that hangs, drips or sends garbage without an end', async () => {
    const calls = IS_FULL ? 200 : 20;
    const isEvents = { 'content-type': 'text/event-stream' };
    const drips = (text: string) => (response: ServerResponse) => {
      response.writeHead(200, isEvents);
      const dripping = setInterval(() => response.write(text), 20);
      response.once('close', () => clearInterval(dripping));
    };
    expect(await besideWaiting(() => undefined, calls)).toBe(0);
    expect(await besideWaiting(drips(': alive\n\n'), calls)).toBe(0);
    expect(await besideWaiting(drips('data: {"garbage\n\n'), calls)).toBe(0);
    expect(who.asked.length).toBeGreaterThanOrEqual(3 * calls);
    expect(bad.asked.filter(({ body }) => body.includes('whoami'))).toEqual([]);
  });

  test('one that is killed is back by itself, and harms no other meanwhile', async () => {
    const caller = new Caller('patient');
    await caller.open();
    await bad.stop();
    for (let times = 0; times < 10; times++) {
      expect(await caller.call('bad__web')).toMatch(/^bad /);
      expect(await caller.call('who__whoami')).toBe('patient');
    }
    await bad.start();
    await until(async () => (await caller.call('bad__web')) === 'found');
    await caller.end();
  });
});
