import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { addCallersApp, describeCallers } from '../../support/hosts/callers-suite.js';
import { freePort, platforms } from '../../support/nest/start-app.js';
import { compileApp, installApp } from '../../support/package/installed-app.js';
import { PROJECT } from '../../support/package/packed-package.js';

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly ran: readonly string[];
}

const SIGN_IN = { '@nestjs/jwt': '11.x', '@nestjs/passport': '11.x', jsonwebtoken: '9.x' };

/** Of what the registry has before the last 1.9: each minor version, and the first 1.9, each with its peers. */
const VERSIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '1.5.2': {},
  '1.6.2': {},
  '1.8.4': SIGN_IN,
  '1.9.2': { ...SIGN_IN, '@modelcontextprotocol/sdk': '1.x', zod: '4.x' },
};

describe.each(Object.entries(VERSIONS))('12.7: MCP-Nest %s', (version, peers) => {
  let results: Record<string, readonly Answer[]>;
  let app: string;

  beforeAll(async () => {
    app = installApp(
      `mcp-nest-${version}`,
      {
        '@rekog/mcp-nest': version,
        '@modelcontextprotocol/sdk': '1.17.x',
        '@nestjs/common': '10.x',
        '@nestjs/core': '10.x',
        '@nestjs/platform-express': '10.x',
        '@nestjs/platform-fastify': '10.x',
        '@types/node': '20.x',
        'reflect-metadata': '0.2.x',
        rxjs: '7.x',
        zod: '3.25.x',
        'zod-to-json-schema': '3.x',
        ...peers,
      },
      '--legacy-peer-deps', // each has peers of its own year
    );
    mkdirSync(join(app, 'src'));
    const source = join(PROJECT, 'test/package/matrix/mcp-nest-1-older/main.ts.txt');
    writeFileSync(join(app, 'src/main.ts'), readFileSync(source, 'utf8'));
    addCallersApp(app, 'mcp-nest-1');
    compileApp(app);
    results = await run(app);
  });

  test.each(['tool', 'resource', 'spelling', 'prompt'])(
    'a %s: 401 without a token, 403 without the scope, and it runs with it',
    (kind) => {
      const [anonymous, without, withScope] = results[kind] ?? [];
      expect(results['boot']).toBeUndefined();
      expect([anonymous?.status, without?.status]).toEqual([401, 403]);
      expect(JSON.parse(without?.text ?? '')).toMatchObject({
        error: { data: { scope: 'notes:write' } },
      });
      expect([...(anonymous?.ran ?? []), ...(without?.ran ?? [])]).toEqual([]);
      expect([withScope?.status, withScope?.ran.length]).toEqual([200, 1]);
    },
  );

  test('the caller is known in the tool', () => {
    expect(results['tool']?.[2]?.ran).toEqual(['write for alice']);
  });

  test('a hidden tool is there for those who may use it only', () => {
    const [, without, withScope] = results['hidden'] ?? [];
    expect(without?.status).toBe(200); // an error of JSON-RPC, as for an unknown name
    expect(without?.text).toContain('secret');
    expect([without?.ran, withScope?.ran]).toEqual([[], ['secret']]);
    const lists = (results['list'] ?? []).map(({ text }) => text.includes('"secret"'));
    expect(lists).toEqual([false, false, true]);
  });

  test('HTTP+SSE is guarded by the global guard, too; 1.5 puts that of its options on messages alone', () => {
    expect(results['stream']?.[0]?.status).toBe(401);
  });

  // 1.5 and 1.6 know Express only.
  for (const platform of /^1\.[56]/.test(version) ? (['express'] as const) : platforms) {
    describeCallers(`MCP-Nest ${version} on ${platform}`, {
      app: () => app,
      platform,
      clients: ['SDK v1', 'SDK v2 (2025 era)'],
      batches: true,
    });
  }
});

async function run(app: string): Promise<Record<string, readonly Answer[]>> {
  const port = String(await freePort());
  const aud = [`http://127.0.0.1:${port}/mcp`];
  const authorizationServer = await startAuthorizationServer();
  const token = (scope: string) => authorizationServer.issueToken({ aud, scope, sub: 'alice' });
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
    return JSON.parse(stdout) as Record<string, readonly Answer[]>;
  } finally {
    await authorizationServer.close();
  }
}
