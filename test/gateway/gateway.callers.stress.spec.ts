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
import { unhandledRejections } from '../support/tokens/unhandled-rejections.js';

const IS_FULL = process.env['AUTHPLANE_STRESS'] !== undefined;
const CALLERS = IS_FULL ? 1000 : 50;
const AT_ONCE = 50;
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
            ...{ url: bad.url, token: none(), timeoutMs: 200, listTimeoutMs: 200 },
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

    async call(name: string): Promise<string> {
      const response = await this.#post({ method: 'tools/call', params: { name, arguments: {} } });
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

  test('one that hangs, is slow, sends garbage or is killed slows no other, and is back by itself', async () => {
    const caller = new Caller('patient');
    await caller.open();
    const misdeeds: RunningUpstream['intercept'][] = [
      async () => true, // hangs
      async () => (await new Promise((resolve) => setTimeout(resolve, 150)), false), // slow
      async (_request, response) => (response.writeHead(200).end('garbage'), true),
      async (_request, response) => (response.destroy(), true),
    ];
    const calls = IS_FULL ? 200 : 20;
    const p99 = async (): Promise<number> => {
      const times: number[] = [];
      for (let done = 0; done < calls; done++) {
        const since = performance.now();
        if ((await caller.call('who__whoami')) !== 'patient') throw new Error('a wrong answer');
        times.push(performance.now() - since);
      }
      return times.sort((one, other) => one - other)[Math.ceil(calls * 0.99) - 1]!;
    };
    await p99(); // warm
    const well: number[] = [];
    const beside: number[] = [];
    for (const misdeed of [...misdeeds, ...misdeeds]) {
      bad.intercept = undefined;
      well.push(await p99());
      bad.intercept = misdeed;
      let isOver = false;
      const attacking = (async () => {
        while (!isOver) {
          await caller.call('bad__web').catch(() => undefined);
          await new Promise((resolve) => setTimeout(resolve, 25)); // CPU is not what it is about
        }
      })();
      beside.push(await p99());
      isOver = true;
      await attacking;
    }
    bad.intercept = undefined;
    await bad.stop();
    expect(await caller.call('who__whoami')).toBe('patient');
    await bad.start();
    while ((await caller.call('bad__web')) !== 'found') {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const median = (all: number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)]!;
    const ratio = median(beside) / median(well);
    console.log(`p99 beside one that fails: ${ratio.toFixed(2)} x (${calls} calls a slice)`);
    // To be read, not to fail by: what else runs on the machine is in it, too. A wait is far above.
    expect(ratio).toBeLessThan(10);
  });
});
