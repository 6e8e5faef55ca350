/** Many requests of callers of three kinds at once: nobody is taken for another, nothing runs without its scope. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Agent, request as httpRequest } from 'node:http';
import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import { Allow, AuthContext, Claims, CurrentUser, type VerifiedClaims } from 'authplane-nestjs';
import { otherCredentials } from '../../support/callers/other-callers.js';
import { type McpApp, startMcpApp } from '../../support/nest/mcp-app.js';
import { platforms } from '../../support/nest/start-app.js';

const REQUESTS = process.env['AUTHPLANE_STRESS'] === undefined ? 1000 : 20_000;
const CALLERS = 500;
const AT_ONCE = 50;
const TOOLS = ['free', 'read', 'write', 'own'] as const;
type Tool = (typeof TOOLS)[number];
const NEEDS: Readonly<Record<Tool, string | undefined>> = {
  free: undefined,
  read: 'r',
  write: 'w',
  own: undefined,
};

interface Seen {
  readonly who: readonly unknown[];
  readonly tool: string;
}

@Controller('mcp')
@Allow(({ claims }) => claims.sub !== 'banned')
class EchoController {
  constructor(private readonly caller: AuthContext<{ of: string }>) {}

  @Post()
  @HttpCode(200)
  async handle(
    @Claims() claims: VerifiedClaims,
    @CurrentUser() user: { of: string },
    @Req() request: { user?: { of: string } },
    @Body() { params }: { params: { name: string } },
  ): Promise<Seen> {
    const before = this.caller.claims.sub;
    await new Promise((resolve) => setImmediate(resolve));
    const { sub, method } = this.caller.claims;
    const who = [claims.sub, before, sub, user.of, this.caller.user.of, request.user?.of, method];
    return { who, tool: params.name };
  }
}

/** A caller, what is sent for them, and the scopes that they have. */
interface Made {
  readonly sub: string;
  readonly method: string;
  readonly scopes: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
}

describe.each(platforms)('12: callers of three kinds on %s', (platform) => {
  let running: McpApp;
  let callers: readonly Made[];
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

  beforeAll(async () => {
    running = await startMcpApp({
      platform,
      controller: EchoController,
      mcp: {
        tools: {
          read: ['r'],
          write: async (_, claims) => {
            await Promise.resolve();
            return claims.sub === '' ? false : ['w'];
          },
        },
      },
      options: {
        guard: 'global',
        otherCredentials: async (incoming, place) => {
          await new Promise((resolve) => setImmediate(resolve));
          return otherCredentials(incoming, place);
        },
        user: {
          load: async ({ sub }) => {
            await new Promise((resolve) => setImmediate(resolve));
            return { of: sub };
          },
          cacheSeconds: 1,
        },
      },
    });
    callers = await Promise.all(Array.from({ length: CALLERS }, (_, at) => made(running, at)));
  });
  afterAll(async () => {
    agent.destroy();
    await running.close();
  });

  test(`${REQUESTS} requests: 0 crossings, none served without the scope`, async () => {
    const wrong: unknown[] = [];
    let served = 0;
    let next = 0;
    const work = async () => {
      for (let at = next++; at < REQUESTS; at = next++) {
        const caller = callers[(at * 7919) % CALLERS];
        const tool = TOOLS[(at * 31 + (at >> 3)) % TOOLS.length];
        if (caller === undefined || tool === undefined) continue;
        const { status, text } = await send(running.mcpUrl, agent, caller, tool);
        const needed = NEEDS[tool];
        const mayRun = needed === undefined || caller.scopes.includes(needed);
        if (status !== (mayRun ? 200 : 403)) wrong.push([status, caller.sub, tool, text]);
        if (status !== 200) continue;
        served++;
        const { who } = JSON.parse(text) as Seen;
        const expected = [...Array.from({ length: 6 }, () => caller.sub), caller.method];
        if (JSON.stringify(who) !== JSON.stringify(expected)) wrong.push([caller.sub, who]);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(served).toBeGreaterThan(REQUESTS / 4);
    expect(served).toBeLessThan(REQUESTS);
  });
});

async function made(app: McpApp, at: number): Promise<Made> {
  const sub = `user-${at}`;
  const scopes = [[], ['r'], ['w'], ['r', 'w']][at % 4] ?? [];
  const credential = [sub, ...scopes].join('+');
  switch (at % 3) {
    case 0:
      return {
        ...{ sub, scopes, method: 'access_token' },
        headers: { authorization: await app.bearer(scopes.join(' '), { sub }) },
      };
    case 1:
      return { sub, scopes, method: 'api_key', headers: { 'x-api-key': credential } };
    default:
      return {
        ...{ sub, scopes, method: 'session' },
        headers: { cookie: `sid=${credential}`, 'sec-fetch-site': 'same-origin' },
      };
  }
}

function send(url: string, agent: Agent, { headers }: Made, name: string) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = httpRequest(
      url,
      { method: 'POST', agent, headers: { ...headers, 'content-type': 'application/json' } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    sent.on('error', reject).end(body);
  });
}
