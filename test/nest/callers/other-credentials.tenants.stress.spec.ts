/** Callers of three kinds at the resources of 20 tenants: nobody, no user and no tenant is taken for another. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import {
  Allow,
  type AllowRule,
  AuthContext,
  Claims,
  CredentialRefusedError,
  CurrentUser,
  type OtherCredentials,
  type UserLookup,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  eachRequest,
  type MixedCaller,
  mixedCallers,
  NEEDS,
  type Tool,
} from '../../support/callers/mixed-callers.js';
import { callerOf } from '../../support/callers/other-callers.js';
import { type McpApp, startMcpApp } from '../../support/nest/mcp-app.js';
import { platforms } from '../../support/nest/start-app.js';

const TOTAL = process.env['AUTHPLANE_STRESS'] === undefined ? 5000 : 100_000;
/** Express takes twice as long for each. */
const SENT = { fastify: 0.7 * TOTAL, express: 0.3 * TOTAL };
const TENANTS = 20;

const tenantOf = (sub: string): string => `tenant-${Number(sub.slice('user-'.length)) % TENANTS}`;
const later = () => new Promise((resolve) => setImmediate(resolve));

interface Row {
  readonly of: string;
  readonly at: string;
}

/** A key is one of its tenant; a session is one of a user, who may not be a member. */
const otherCredentials: OtherCredentials = async ({ headers }, { resource }) => {
  await later();
  const key = headers['x-api-key'];
  if (typeof key === 'string') {
    const caller = callerOf('api_key', key);
    if (tenantOf(caller.sub) === resource.params['tenant']) return caller;
    throw new CredentialRefusedError('a key of another tenant');
  }
  const session = /(?:^|; )sid=([^;]+)/.exec(headers.cookie ?? '')?.[1];
  return session === undefined ? undefined : { ...callerOf('session', session), from: 'ambient' };
};

const memberOf: UserLookup = async ({ sub }, { resource }): Promise<Row | null> => {
  await later();
  const { tenant = '' } = resource.params;
  return tenantOf(sub) === tenant ? { of: sub, at: tenant } : null;
};

const isAtHome: AllowRule<Row> = async ({ claims, user, resource }) => {
  await later();
  return user.at === resource.params['tenant'] && user.of === claims.sub;
};

interface Seen {
  readonly who: readonly unknown[];
  readonly where: readonly unknown[];
  readonly tool: string;
}

@Controller('mcp/:tenant')
@Allow(isAtHome)
class EchoController {
  constructor(private readonly caller: AuthContext<Row>) {}

  @Post()
  @HttpCode(200)
  async handle(
    @Claims() claims: VerifiedClaims,
    @CurrentUser() user: Row,
    @Req() request: { user?: Row },
    @Param('tenant') tenant: string,
    @Body() { params }: { params: { name: string } },
  ): Promise<Seen> {
    const [before, at] = [this.caller.claims.sub, this.caller.resource.params['tenant']];
    await later();
    const { sub, method, audience } = this.caller.claims;
    const { uri, params: values } = this.caller.resource;
    const where = [tenant, at, values['tenant'], user.at, this.caller.user.at, request.user?.at];
    const who = [claims.sub, before, sub, user.of, this.caller.user.of, request.user?.of, method];
    const urls = [uri, String(audience)].map((url) => url.slice(url.lastIndexOf('/') + 1));
    return { who, where: [...where, ...urls], tool: params.name };
  }
}

describe.each(platforms)('12: callers of three kinds over 20 tenants on %s', (platform) => {
  const count = SENT[platform];
  let running: McpApp;
  let callers: readonly MixedCaller[];

  beforeAll(async () => {
    running = await startMcpApp({
      platform,
      controller: EchoController,
      mcp: {
        tools: {
          read: ['r'],
          write: async (_, { sub }) => {
            await later();
            return sub === '' ? false : ['w'];
          },
        },
      },
      options: {
        guard: 'global',
        mcpPath: '/mcp/:tenant',
        isResource: async ({ tenant = '' }) => {
          await later();
          return Number(/^tenant-(\d{1,2})$/.exec(tenant)?.[1] ?? TENANTS) < TENANTS;
        },
        otherCredentials,
        user: { load: memberOf, cacheSeconds: 1 },
      },
    });
    callers = await mixedCallers(running, (sub) => `${running.mcpUrl}/${tenantOf(sub)}`);
  });
  afterAll(() => running.close());

  test(`${count} requests: 0 crossings of caller, user or tenant, none served without the scope`, async () => {
    const wrong: unknown[] = [];
    const counts = new Map<number, number>();
    await eachRequest(running.mcpUrl, count, callers, async (call, caller, tool, at) => {
      const tenant =
        at % 7 < 2 ? `tenant-${Math.floor(at / 7) % (TENANTS + 1)}` : tenantOf(caller.sub);
      const { status, text } = await call(`/mcp/${tenant}`, caller, tool);
      counts.set(status, (counts.get(status) ?? 0) + 1);
      const expected = expectedStatus(caller, tenant, tool);
      if (status !== expected) wrong.push([status, expected, caller.sub, tenant, tool, text]);
      if (status !== 200) return;
      const { who, where, tool: ran } = JSON.parse(text) as Seen;
      const people = [...Array.from({ length: 6 }, () => caller.sub), caller.method];
      const isRight =
        JSON.stringify(who) === JSON.stringify(people) &&
        where.every((one) => one === tenant) &&
        ran === tool;
      if (!isRight) wrong.push([caller.sub, tenant, who, where]);
    });
    expect(wrong.slice(0, 5)).toEqual([]);
    expect([...counts.keys()].sort()).toEqual([200, 401, 403, 404]);
    expect(counts.get(200)).toBeGreaterThan(count / 3);
  });
});

function expectedStatus({ sub, method, scopes }: MixedCaller, tenant: string, tool: Tool): number {
  if (tenant === `tenant-${TENANTS}`) return 404; // which nobody has
  const isAtHome = tenantOf(sub) === tenant;
  if (!isAtHome && method !== 'session') return 401;
  const needed = NEEDS[tool];
  const mayRun = needed === undefined || scopes.includes(needed);
  return isAtHome && mayRun ? 200 : 403;
}
