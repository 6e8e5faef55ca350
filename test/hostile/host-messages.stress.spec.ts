/**
 * Whatever is sent with a token that lacks every scope, nothing may run that needs one: generated
 * messages over real sockets against every host. `AUTHPLANE_STRESS=full` asks for
 * 200,000 for each host.
 */
import { Agent } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, vi, test } from 'vitest';
import { All, Controller, Get, Inject, Post, Req, Res, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, Scopes } from 'authplane-nestjs';
import { type PlatformReply, type PlatformRequest, serveMcp } from 'authplane-nestjs/mcp';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { unhandledRejections } from '../support/tokens/unhandled-rejections.js';
import { CompiledApp } from '../support/nest/compiled-app.js';
import { freePort, type Platform } from '../support/nest/start-app.js';
import { Host, type HostName, McpController, Runs, startMcpApp } from '../support/nest/mcp-app.js';
import {
  attack,
  ATTACK_WITH_SCOPE,
  type Attacked,
  hasRun,
  isFull,
  notRun,
  SIMULTANEOUS,
  ways,
} from '../support/hostile/attack.js';

if (isFull) vi.setConfig({ testTimeout: 3_600_000 });

const agent = new Agent({ keepAlive: true, maxSockets: SIMULTANEOUS });
afterAll(() => agent.destroy());

let running: Attacked | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

@Controller('mcp')
@UseGuards(AuthplaneGuard)
class ServingController {
  constructor(private readonly host: Host) {}

  @All()
  handle(@Req() incoming: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
    return serveMcp(
      incoming,
      reply,
      () => (req, response, body) => this.host.handle(req, response, body),
    );
  }
}

const replaced: MethodDecorator = (_target, _key, descriptor) => {
  const method = descriptor.value as unknown as (...args: unknown[]) => unknown;
  const around = function (this: unknown, ...args: unknown[]) {
    return method.apply(this, args);
  };
  return { ...descriptor, value: around as never };
};

@Controller('plain')
@UseGuards(AuthplaneGuard)
class PlainController {
  constructor(@Inject(Runs) private readonly runs: Runs) {
    this.bound = this.bound.bind(this);
  }

  @All('bound')
  @Scopes('x')
  bound() {
    this.runs.push('bound');
    return {};
  }

  @Post('wrapped')
  @replaced
  @Scopes('x')
  wrapped() {
    this.runs.push('wrapped');
    return {};
  }

  @Get('wrapped')
  @Scopes('x')
  @replaced
  get() {
    this.runs.push('get');
    return {};
  }
}

async function startSdk(
  platform: Platform,
  list: 'show' | 'hide',
  host: HostName,
  controller: typeof McpController | typeof ServingController,
): Promise<Attacked> {
  const plain = new Runs();
  const app = await startMcpApp({
    platform,
    host,
    controller,
    metadata: { controllers: [PlainController], providers: [{ provide: Runs, useValue: plain }] },
    mcp: {
      list,
      tools: { read: ['x'], write: { any: ['x', 'y'] } },
      resources: {
        'calendar://today': ['x'],
        'https://example.com/secret': ['x'],
        'calendar://days/{day}': ({ variables }) => (variables['day'] === 'open' ? [] : ['x']),
      },
      prompts: { briefing: ['x'] },
    },
  });
  return {
    origin: new URL(app.mcpUrl).origin,
    targets: {
      tools: ['read', 'write', 'open'],
      prompts: ['briefing'],
      uris: ['calendar://today', 'https://example.com/secret', 'calendar://days/monday'],
      paths: ['/mcp', '/plain/bound', '/plain/wrapped'],
      open: 'open',
    },
    token: (scope = '') => app.bearer(scope),
    ran: () => Promise.resolve([...app.runs, ...plain].filter((one) => one !== 'open')),
    close: () => app.close(),
  };
}

const nestProcesses = new CompiledApp({ files: ['hosts/attacked-mcp-nest-main.ts'] });

async function startMcpNest(platform: Platform, list: 'show' | 'hide'): Promise<Attacked> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const authorizationServer = await startAuthorizationServer();
  const stop = await nestProcesses.run([platform, String(port)], {
    MCP_LIST: list,
    AUTHPLANE_ISSUER: authorizationServer.issuer,
    AUTHPLANE_BASE_URL: origin,
    AUTHPLANE_DEV_MODE: 'true',
  });
  return {
    origin,
    targets: {
      tools: ['named', 'wrapped', 'inherited', 'overridden', 'requested', 'open'],
      prompts: ['briefing'],
      uris: ['notes://secret', 'notes://days/monday', 'https://example.com/secret/plan'],
      paths: ['/mcp', '/plain/bound'],
      open: 'open',
    },
    token: async (scope = '') =>
      `Bearer ${await authorizationServer.issueToken({ aud: [`${origin}/mcp`], scope })}`,
    ran: async () => {
      const answer = await fetch(`${origin}/ran`);
      return ((await answer.json()) as string[]).filter((one) => one !== 'open');
    },
    close: async () => {
      await stop();
      await authorizationServer.close();
    },
  };
}

const HOSTS = [
  ['SDK v1, stateless', 'SDK v1', McpController],
  ['SDK v1, stateless, through serveMcp', 'SDK v1 with JSON answers', ServingController],
  ['SDK v1 with sessions', 'SDK v1 with sessions', McpController],
  ['SDK v1 with sessions, through serveMcp', 'SDK v1 with sessions', ServingController],
  ['SDK v2, createMcpHandler', 'SDK v2', McpController],
  ['SDK v2, createMcpHandler, through serveMcp', 'SDK v2', ServingController],
] as const;

describe.each(HOSTS)('9.1g: %s, and plain handlers beside it', (_, host, controller) => {
  const hasSessions = host.includes('sessions');
  unhandledRejections();

  test.each(ways)(
    'on %s, list: %s: nothing runs without its scope',
    async (platform, list, seed) => {
      running = await startSdk(platform, list, host, controller);
      expect(await attack(running, agent, { seed, hasSessions })).toEqual([]);
      expect(await running.ran()).toEqual([]);
    },
  );

  test('with the scope the same messages run all there is', async () => {
    const app = (running = await startSdk('express', 'show', host, controller));
    const { tools, prompts, uris } = app.targets;
    const names = [...tools, ...prompts, ...uris, 'bound', 'wrapped'];
    const how = { ...ATTACK_WITH_SCOPE, hasSessions, isEnough: () => hasRun(app, names) };
    await attack(app, agent, how);
    expect(await notRun(app, names)).toEqual([]);
  });
});

describe('9.1g: MCP-Nest 2', () => {
  beforeAll(() => nestProcesses.compile());
  afterAll(() => nestProcesses.remove());

  test.each(ways)(
    'on %s, list: %s: nothing runs without its scope',
    async (platform, list, seed) => {
      running = await startMcpNest(platform, list);
      expect(await attack(running, agent, { seed })).toEqual([]);
      expect(await running.ran()).toEqual([]);
    },
  );

  test('with the scope the same messages run all there is', async () => {
    const app = (running = await startMcpNest('express', 'show'));
    const { tools, prompts } = app.targets;
    const names = [...tools, ...prompts, 'secret', 'day', 'plan', 'bound'];
    await attack(app, agent, { ...ATTACK_WITH_SCOPE, isEnough: () => hasRun(app, names) });
    expect(await notRun(app, names)).toEqual([]);
  });
});
