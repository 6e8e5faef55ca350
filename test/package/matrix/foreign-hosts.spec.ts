import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { freePort } from '../../support/nest/start-app.js';
import { compileApp, installApp, packPackage, PROJECT } from './packed-package.js';

// Two libraries that use MCP-Nest's metadata keys with other names. A third, @hmake98/nestjs-mcp, is not
// served by the registry; it uses the same keys and the token MCP_MODULE_OPTIONS as well.

const packed = packPackage();
afterAll(() => packed.remove());

interface Result {
  readonly boot: string;
  readonly warnings: readonly string[];
  readonly statuses: readonly number[];
  /** Calls that have run, after each of the requests. */
  readonly runs: readonly number[];
}

describe.each(['10.x', '11.x'])('9.1a: on Nest %s', (nest) => {
  let results: Record<string, Result>;

  beforeAll(async () => {
    const app = installApp(
      packed,
      `foreign-hosts-${nest}`,
      {
        '@sowonai/nestjs-mcp-adapter': '0.1.3',
        'mcp-nestjs': '1.0.6',
        '@modelcontextprotocol/sdk': '1.x',
        '@nestjs/common': nest,
        '@nestjs/core': nest,
        '@nestjs/platform-express': nest,
        '@types/node': '20.x',
        'reflect-metadata': '0.2.x',
        rxjs: '7.x',
        zod: '3.25.x',
      },
      '--legacy-peer-deps', // the adapter asks for platform-express 11
    );
    mkdirSync(join(app, 'src'));
    const source = join(PROJECT, 'test/package/matrix/foreign-hosts/main.ts.txt');
    writeFileSync(join(app, 'src/main.ts'), readFileSync(source, 'utf8'));
    compileApp(app);
    results = await run(app);
  });

  test.each([
    ['mcp-nestjs, a grouped tool with @Scopes', 'Files.remove'],
    ['mcp-nestjs, a template with @Scopes', 'Documents.secret'],
    ['the adapter of sowonai, a tool with @Scopes', 'Greeter.hello'],
  ])('%s does not start, and names mcp.tools', (name, where) => {
    expect(results[name]?.boot).toContain(`@Scopes on ${where}: no MCP host that is known here`);
    expect(results[name]?.boot).toContain('mcp.tools');
  });

  test.each([
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
});

async function run(app: string): Promise<Record<string, Result>> {
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
        AUTHPLANE_ISSUER: authorizationServer.issuer,
        TOKENS: JSON.stringify(tokens),
      },
    });
    return JSON.parse(stdout) as Record<string, Result>;
  } finally {
    await authorizationServer.close();
  }
}
