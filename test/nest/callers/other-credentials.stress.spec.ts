/**
 * Many requests of callers of three kinds at once: nobody is taken for another, nothing runs without its scope.
 * At one resource; a hundred thousand at the resources of tenants are sent by other-credentials.tenants.stress.spec.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import { Allow, AuthContext, Claims, CurrentUser, type VerifiedClaims } from 'authplane-nestjs';
import {
  eachRequest,
  type MixedCaller,
  mixedCallers,
  NEEDS,
} from '../../support/callers/mixed-callers.js';
import { otherCredentials } from '../../support/callers/other-callers.js';
import { type McpApp, startMcpApp } from '../../support/nest/mcp-app.js';
import { platforms } from '../../support/nest/start-app.js';

const REQUESTS = process.env['AUTHPLANE_STRESS'] === undefined ? 1000 : 5_000;

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

describe.each(platforms)('12: callers of three kinds on %s', (platform) => {
  let running: McpApp;
  let callers: readonly MixedCaller[];

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
    callers = await mixedCallers(running);
  });
  afterAll(() => running.close());

  test(`${REQUESTS} requests: 0 crossings, none served without the scope`, async () => {
    const wrong: unknown[] = [];
    let served = 0;
    await eachRequest(running.mcpUrl, REQUESTS, callers, async (call, caller, tool) => {
      const { status, text } = await call('/mcp', caller, tool);
      const needed = NEEDS[tool];
      const mayRun = needed === undefined || caller.scopes.includes(needed);
      if (status !== (mayRun ? 200 : 403)) wrong.push([status, caller.sub, tool, text]);
      if (status !== 200) return;
      served++;
      const { who } = JSON.parse(text) as Seen;
      const expected = [...Array.from({ length: 6 }, () => caller.sub), caller.method];
      if (JSON.stringify(who) !== JSON.stringify(expected)) wrong.push([caller.sub, who]);
    });
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(served).toBeGreaterThan(REQUESTS / 4);
    expect(served).toBeLessThan(REQUESTS);
  });
});
