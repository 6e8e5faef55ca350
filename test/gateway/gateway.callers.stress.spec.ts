import { Agent, type IncomingHttpHeaders, request, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange, none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import {
  type CountingServer,
  type PlainServer,
  startCounter,
  startWhoami,
} from '../support/gateway/plain-servers.js';
import {
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../support/gateway/upstream-servers.js';
import { TravelClock } from '../support/nest/travel-clock.js';
import { until } from '../support/time/until.js';
import { unhandledRejections } from '../support/tokens/unhandled-rejections.js';

const IS_FULL = process.env['AUTHPLANE_STRESS'] !== undefined;
const CALLERS = IS_FULL ? 1000 : 50;
const AT_ONCE = 50;
/** Calls that one upstream keeps waiting. */
const HELD = 8;
const TOKEN_SECONDS = 600;
const COOLDOWN_SECONDS = 30;
/** Characters of a signature: no other text has so many of them. */
const SEARCHED = 16;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/**
 * What came over the wire of signatures of `tokens`. Looked at in steps: wherever a signature begins, one of
 * its first pieces is met.
 */
function found(tokens: ReadonlySet<string>, wire: string): readonly string[] {
  const pieces = new Set<string>();
  for (const token of tokens) {
    const signature = token.split('.')[2]!;
    for (let at = 0; at < SEARCHED; at++) pieces.add(signature.slice(at, at + SEARCHED));
  }
  const leaked: string[] = [];
  for (let at = 0; at < wire.length; at += SEARCHED) {
    const piece = wire.slice(at, at + SEARCHED);
    if (pieces.has(piece)) leaked.push(piece);
  }
  return leaked;
}

describe(`14: ${CALLERS} callers of two upstreams, one of which counts, beside one that fails`, () => {
  unhandledRejections();
  const clock = new TravelClock();
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  let counting: CountingServer;
  let who: PlainServer;
  let bad: RunningUpstream;
  let app: GatewayApp;
  const tokens = new Set<string>();
  beforeAll(async () => {
    counting = await startCounter(clock.now);
    who = await startWhoami(clock.now);
    bad = await startUpstream(searchServer);
    const wide = {
      ...{ maxInFlight: 256, maxQueued: 5000, breaker: false as const },
      ...{ listTimeoutMs: 60_000, connectTimeoutMs: 60_000 },
    };
    app = await startGateway({
      scopes: ['use'],
      ...{ accessTokenTtlSeconds: TOKEN_SECONDS, clock },
      resources: [
        { url: counting.url, scopeMap: { use: ['count'] } },
        { url: who.url, scopeMap: { use: ['who'] } },
      ],
      gateway: {
        upstreams: {
          counting: {
            ...{ url: counting.url, token: exchange({ scope: 'count' }), ...wide },
            listsAre: 'public', // those of the other one are private
          },
          who: { url: who.url, token: exchange({ scope: 'who' }), ...wide },
          bad: {
            ...{ url: bad.url, token: none(), timeoutMs: 600_000, listsAre: 'public' as const },
            breaker: { threshold: 5, cooldownSeconds: COOLDOWN_SECONDS },
          },
        },
      },
    });
  });
  afterAll(async () => {
    agent.destroy();
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
      const { headers } = await this.#post({ method: 'initialize', params });
      this.#session = String(headers['mcp-session-id']);
    }

    async renew(): Promise<void> {
      this.#token = await tokenFor(this.sub, `${this.sub}-${++this.#id}`);
    }

    async status(name: string): Promise<number> {
      return (await this.#called(name)).status;
    }

    async call(name: string): Promise<string> {
      const { text } = await this.#called(name);
      const data = /^data: (.+)$/m.exec(text)?.[1] ?? text;
      return JSON.parse(data).result?.content?.[0]?.text ?? text;
    }

    async end(): Promise<void> {
      await this.#send('DELETE');
    }

    #called(name: string): Promise<Answer> {
      return this.#post({ method: 'tools/call', params: { name, arguments: {} } });
    }

    #post(message: object): Promise<Answer> {
      return this.#send('POST', JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, ...message }));
    }

    #send(method: string, body = ''): Promise<Answer> {
      const headers = {
        authorization: `Bearer ${this.#token}`,
        accept: 'application/json, text/event-stream',
        ...(this.#session === '' ? {} : { 'mcp-session-id': this.#session }),
        ...(body === '' ? {} : { 'content-type': 'application/json' }),
      };
      return new Promise((resolve, reject) => {
        const sent = request(app.mcpUrl, { method, headers, agent }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
          );
        });
        sent.on('error', reject).end(body);
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

  test('nobody gets what is somebody else’s, also after tokens and sessions have expired', async () => {
    const callers = Array.from({ length: CALLERS }, (_, index) => new Caller(`user-${index}`));
    await each(callers, (caller) => caller.open());
    const round = async (expected: number, some = callers) =>
      (await each(some, (caller) => crossings(caller, expected))).flat();
    expect(await round(1)).toEqual([]);
    // All tokens expire in mid-session, inbound ones and those for the upstreams.
    clock.travel(TOKEN_SECONDS + 60);
    const sent = counting.asked + who.asked;
    const refused = await each(callers, (caller) => caller.status('counting__count'));
    expect(new Set(refused)).toEqual(new Set([401]));
    expect(counting.asked + who.asked).toBe(sent);
    // New ones come, and the sessions go on with them.
    await each(callers, (caller) => caller.renew());
    expect(await round(2)).toEqual([]);
    for (const { tokens: used, wrongTokens } of [counting, who]) {
      expect(callers.filter(({ sub }) => used.get(sub)?.size !== 2)).toEqual([]);
      expect(wrongTokens).toEqual([]);
    }
    counting.forget(); // every session of the upstream has expired
    expect(await round(1)).toEqual([]);
    // Another session of the same user has nothing of the one before.
    const again = callers.slice(0, CALLERS / 10);
    await each(again, (caller) => caller.end());
    await each(again, (caller) => caller.open());
    expect(await round(1, again)).toEqual([]);
    const wire = counting.received() + who.received() + bad.received();
    expect(found(tokens, wire)).toEqual([]);
    expect(tokens.size).toBeGreaterThanOrEqual(2 * CALLERS);
    await each(callers, (caller) => caller.end());
  });

  /** What the other upstreams answer while the bad one has calls of which none ends before `release`. */
  async function besideWaiting(misdeed: (response: ServerResponse) => void, calls: number) {
    const caller = new Caller('patient');
    await caller.open();
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
    clock.travel(COOLDOWN_SECONDS);
    expect(await caller.call('bad__web')).toBe('found'); // nothing has to be restarted
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
    expect(who.asked).toBeGreaterThanOrEqual(3 * calls);
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
    clock.travel(COOLDOWN_SECONDS);
    expect(await caller.call('bad__web')).toBe('found');
    await caller.end();
  });
});
