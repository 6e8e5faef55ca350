import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { CompiledApp } from '../../support/nest/compiled-app.js';
import { freePort } from '../../support/nest/start-app.js';

const processes = new CompiledApp({ files: ['hosts/stray-mcp-nest-main.ts'] });
let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  processes.compile();
  authorizationServer = await startAuthorizationServer();
});
afterAll(async () => {
  processes.remove();
  await authorizationServer.close();
});

const stops: (() => Promise<void>)[] = [];
afterEach(() => Promise.all(stops.splice(0).map((stop) => stop())));

async function start(env: Record<string, string>): Promise<string> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const stop = await processes.run([String(port)], {
    AUTHPLANE_ISSUER: authorizationServer.issuer,
    AUTHPLANE_BASE_URL: origin,
    AUTHPLANE_DEV_MODE: 'true',
    ...env,
  });
  stops.push(stop);
  return origin;
}

async function call(origin: string, name: string, scope = ''): Promise<string> {
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

const ran = async (origin: string) => (await fetch(`${origin}/ran`)).json();

describe('9.1g: two applications on one strategy of MCP-Nest 2', () => {
  test('where no provider holds the strategy, the second line refuses tools of the other one', async () => {
    const origin = await start({});
    expect(await call(origin, 'own')).toMatch(/^403 /);
    const refused = await call(origin, 'stray');
    expect(refused).toMatch(/^200 /);
    expect(refused).toContain('"code":-32003');
    expect(await ran(origin)).toEqual([]);
    expect(await call(origin, 'stray', 'x')).toContain('stray');
    expect(await ran(origin)).toEqual(['stray']);
  });

  test('the boot fails where a provider holds it, under any token', async () => {
    const origin = await start({ PROVIDED: 'true' });
    expect(await (await fetch(origin)).text()).toContain(
      'the method "stray" is run by MCP-Nest, and no module of this application has its tools',
    );
  });

  test('and does not where all tools are known, whatever decorator stands outermost', async () => {
    const origin = await start({ PROVIDED: 'true', ALONE: 'true' });
    expect(await call(origin, 'own', 'x')).toContain('own');
    expect(await ran(origin)).toEqual(['own']);
  });
});

describe('9.1g: a strategy of MCP-Nest 2 that does not have a scoped method; the boot fails', () => {
  const env = { PROVIDED: 'true', ALONE: 'true' };
  const problem = 'no server of MCP-Nest 2 has the tool "own" of OwnTools.own: list the class in';

  test.each([
    ['in the providers', { MISPLACED: 'true' }],
    ['in the providers, before the strategy listens', { MISPLACED: 'true', START: 'init first' }],
    ['that the strategy has under another name', { START: 'renamed' }],
  ])('one %s', async (_, how) => {
    const origin = await start({ ...env, ...how });
    expect(await (await fetch(origin)).text()).toContain(problem);
    const allowed = await start({ ...env, ...how, ALLOWED: 'true' });
    expect(await (await fetch(allowed)).text()).toContain(problem);
  });

  test.each([
    ['that listens later', { START: 'init first' }],
    ['that is connected later', { START: 'init before all' }],
    ['beside one that is idle and one of another name, and tools in the providers, too', {}],
    ['that nobody provides', { PROVIDED: 'false', MISPLACED: 'true' }],
  ])('no false alarm: a strategy %s', async (_, how) => {
    const origin = await start({ ...env, SEVERAL: 'true', ...how });
    expect(await call(origin, 'own')).toMatch(/^403 /);
    expect(await ran(origin)).toEqual([]);
  });
});
