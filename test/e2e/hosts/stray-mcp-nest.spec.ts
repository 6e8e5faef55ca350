import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import {
  type StrayApp,
  type StrayOptions,
  startStray,
} from '../../support/hosts/stray-mcp-nest.js';

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

const apps: StrayApp[] = [];
afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));

async function start(options: Omit<StrayOptions, 'issuer'>): Promise<StrayApp> {
  const app = await startStray({ issuer: authorizationServer.issuer, ...options });
  apps.push(app);
  return app;
}

async function call({ origin }: StrayApp, name: string, scope = ''): Promise<string> {
  const token = await authorizationServer.issueToken({ aud: [`${origin}/mcp`], scope });
  const answer = await fetch(`${origin}/mcp`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({
      ...{ jsonrpc: '2.0', id: 1, method: 'tools/call' },
      params: { name, arguments: {} },
    }),
  });
  return `${answer.status} ${await answer.text()}`;
}

describe('9.1g: two applications on one strategy of MCP-Nest 2', () => {
  test('where no provider holds the strategy, the second line refuses tools of the other one', async () => {
    const app = await start({});
    expect(await call(app, 'own')).toMatch(/^403 /);
    const refused = await call(app, 'stray');
    expect(refused).toMatch(/^200 /);
    expect(refused).toContain('"code":-32003');
    expect(app.ran).toEqual([]);
    expect(await call(app, 'stray', 'x')).toContain('stray');
    expect(app.ran).toEqual(['stray']);
  });

  test('the boot fails where a provider holds it, under any token', async () => {
    const app = await start({ isProvided: true });
    expect(app.problem).toContain(
      'the method "stray" is run by MCP-Nest, and no module of this application has its tools',
    );
  });

  test('and does not where all tools are known, whatever decorator stands outermost', async () => {
    const app = await start({ isProvided: true, isAlone: true });
    expect(await call(app, 'own', 'x')).toContain('own');
    expect(app.ran).toEqual(['own']);
  });
});

describe('9.1g: a strategy of MCP-Nest 2 that does not have a scoped method; the boot fails', () => {
  const held = { isProvided: true, isAlone: true };
  const problem = 'no server of MCP-Nest 2 has the tool "own" of OwnTools.own: list the class in';

  test.each<[string, Omit<StrayOptions, 'issuer'>]>([
    ['in the providers', { isMisplaced: true }],
    ['in the providers, before the strategy listens', { isMisplaced: true, start: 'init first' }],
    ['that the strategy has under another name', { start: 'renamed' }],
  ])('one %s', async (_, how) => {
    const app = await start({ ...held, ...how });
    expect(app.problem).toContain(problem);
    const allowed = await start({ ...held, ...how, allowUnguarded: true });
    expect(allowed.problem).toContain(problem);
  });

  test.each<[string, Omit<StrayOptions, 'issuer'>]>([
    ['that listens later', { start: 'init first' }],
    ['that is connected later', { start: 'init before all' }],
    ['beside one that is idle and one of another name, and tools in the providers, too', {}],
    ['that nobody provides', { isProvided: false, isMisplaced: true }],
  ])('no false alarm: a strategy %s', async (_, how) => {
    const app = await start({ ...held, hasSeveral: true, ...how });
    expect(await call(app, 'own')).toMatch(/^403 /);
    expect(app.ran).toEqual([]);
  });
});
