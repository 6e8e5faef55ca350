import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { addCallersApp, describeCallers } from '../../support/hosts/callers-suite.js';
import { freePort, type Platform, platforms } from '../../support/nest/start-app.js';
import { compileApp, installApp } from '../../support/package/installed-app.js';
import { FOREIGN_HOSTS_FLAGS, foreignHosts } from '../../support/package/peers.js';
import { PROJECT } from '../../support/package/packed-package.js';

// Two libraries that use MCP-Nest's metadata keys with other names: mcp-nestjs is built in. A third, @hmake98/nestjs-mcp, is not
// served by the registry; it uses the same keys and the token MCP_MODULE_OPTIONS as well.

interface Result {
  readonly boot: string;
  readonly warnings: readonly string[];
  readonly statuses: readonly number[];
  /** Calls that have run, after each of the requests. */
  readonly runs: readonly number[];
  /** Bodies of `tools/list`. */
  readonly listed: readonly string[];
  /** Statuses without a token: `/mcp`, `/sse`, two of the playground, `/messages`. */
  readonly anonymous: readonly number[];
}

const apps = new Map<string, string>();

/** Installed once for both platforms. */
function appOn(nest: string): string {
  const known = apps.get(nest);
  if (known !== undefined) return known;
  const app = installApp(`foreign-hosts-${nest}`, foreignHosts(nest), ...FOREIGN_HOSTS_FLAGS);
  mkdirSync(join(app, 'src'));
  const sources = join(PROJECT, 'test/package/matrix/foreign-hosts');
  for (const name of ['main.ts', 'answers.ts'])
    copyFileSync(join(sources, `${name}.txt`), join(app, 'src', name));
  addCallersApp(app, 'mcp-nestjs');
  compileApp(app);
  apps.set(nest, app);
  return app;
}

const everywhere = ['10.x', '11.x'].flatMap((nest) => platforms.map((on) => [nest, on] as const));

/** On Fastify the controllers of mcp-nestjs find what they call on Express, see foreign-hosts/answers.ts.txt. */
describe.each(everywhere)('9.1a: on Nest %s, %s', (nest, platform) => {
  let results: Record<string, Result>;

  beforeAll(async () => {
    results = await run(appOn(nest), platform);
  });

  test('the adapter of sowonai, a tool with @Scopes does not start, and names mcp.tools', () => {
    const boot = results['the adapter of sowonai, a tool with @Scopes']?.boot;
    expect(boot).toContain('@Scopes on Greeter.hello: no MCP host that is known here');
    expect(boot).toContain('mcp.tools');
  });

  test.each([
    'mcp-nestjs, a grouped tool',
    'mcp-nestjs, a template',
    'mcp-nestjs, a prompt',
    'mcp-nestjs, a method of a controller',
    'mcp-nestjs by forRootAsync',
    'mcp-nestjs, the tool named in the options',
    'mcp-nestjs, the template named in the options',
    'mcp-nestjs as a host, a grouped tool',
    'mcp-nestjs as a host, a template',
    'the adapter of sowonai, the tool named in the options',
  ])('%s: 403 without the scope, 200 with it, and no false alarm', (name) => {
    const result = results[name];
    expect(result?.boot).toBe('');
    expect(result?.statuses[0]).toBe(403);
    expect(result?.statuses[1]).toBeLessThan(300);
    expect(result?.runs).toEqual([0, 1]);
    expect(result?.warnings.filter((text) => !/devMode|ms to serialize/.test(text))).toEqual([]);
  });

  test('12.7: mcp-nestjs lists a hidden tool for those who may use it, and does not know it else', () => {
    const { listed = [], runs, statuses } = results['mcp-nestjs, a hidden tool'] ?? {};
    expect(listed.map((list) => list.includes('files_remove'))).toEqual([false, true]);
    expect([statuses, runs]).toEqual([
      [200, 200], // "Unknown tool" is a result there
      [0, 1],
    ]);
  });

  test('12.7: messages of HTTP+SSE are judged before a session is looked for', () => {
    const { statuses, runs } = results['mcp-nestjs, messages of HTTP+SSE'] ?? {};
    expect([statuses, runs]).toEqual([
      [403, 404],
      [0, 0],
    ]);
  });

  test('12.7: in the playground methods ask for their scopes themselves', () => {
    const { boot, statuses, runs, anonymous } = results['mcp-nestjs, the playground'] ?? {};
    expect(boot).toBe('');
    expect([statuses, runs]).toEqual([
      [200, 200], // a failed tool is a result there
      [0, 1],
    ]);
    expect(anonymous).toEqual([401, 401, 401, 401, 401]);
  });

  test('12.7: what only the options require would run there, so that it does not start', () => {
    expect(results['mcp-nestjs, the playground beside the options']?.boot).toContain(
      'PlaygroundController runs tools for bodies that are no JSON-RPC',
    );
  });
});

describe.each(everywhere)('on Nest %s, %s', (nest, platform) => {
  describeCallers('mcp-nestjs', {
    app: () => appOn(nest),
    platform,
    clients: ['SDK v1', 'SDK v2 (2025 era)'],
    batches: false,
  });
});

async function run(app: string, platform: Platform): Promise<Record<string, Result>> {
  const port = String(await freePort());
  const resource = `http://127.0.0.1:${port}/mcp`;
  const authorizationServer = await startAuthorizationServer();
  const token = (scope: string) => authorizationServer.issueToken({ aud: [resource], scope });
  const tokens = { none: await token(''), write: await token('notes:write') };
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [join(app, 'dist/main.js')], {
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        MCP_PORT: port,
        MCP_PLATFORM: platform,
        AUTHPLANE_ISSUER: authorizationServer.issuer,
        TOKENS: JSON.stringify(tokens),
      },
    });
    return JSON.parse(stdout) as Record<string, Result>;
  } finally {
    await authorizationServer.close();
  }
}
