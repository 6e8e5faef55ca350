import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import type { HostServer } from '../../e2e/apps/hosts-requests.js';
import { describeHost, type HiddenOperation, SCOPES } from '../../e2e/apps/hosts-suite.js';
import { freePort, type Platform, platforms } from '../../e2e/apps/start-app.js';
import { installApp, node, packPackage, PROJECT, writeJson } from './packed-package.js';

const packed = packPackage();
afterAll(() => packed.remove());
let app: string;

beforeAll(() => {
  app = installApp(packed, 'mcp-nest', {
    '@rekog/mcp-nest': '1.9.x',
    '@modelcontextprotocol/sdk': '1.x',
    '@nestjs/common': '11.x',
    '@nestjs/core': '11.x',
    '@nestjs/platform-express': '11.x',
    '@nestjs/platform-fastify': '11.x',
    '@types/node': '20.x',
    'reflect-metadata': '0.2.x',
    rxjs: '7.x',
    zod: '4.x',
  });
  mkdirSync(join(app, 'src'));
  copyFileSync(
    join(PROJECT, 'test/package/matrix/mcp-nest-1.9/app.ts.txt'),
    join(app, 'src', 'app.ts'),
  );
  writeJson(join(app, 'tsconfig.json'), {
    compilerOptions: {
      target: 'es2022',
      module: 'nodenext',
      strict: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      skipLibCheck: true,
      types: ['node'],
      rootDir: 'src',
      outDir: 'dist',
    },
    include: ['src'],
  });
  expect(node([join(PROJECT, 'node_modules/typescript/bin/tsc'), '-p', '.'], app)).toBe('');
});

test('has the version under test, as CommonJS', () => {
  const manifest = readFileSync(join(app, 'node_modules/@rekog/mcp-nest/package.json'), 'utf8');
  expect((JSON.parse(manifest) as { version: string }).version).toMatch(/^1\.9\./);
  expect(readFileSync(join(app, 'dist', 'app.js'), 'utf8')).toContain(
    'require("authplane-nestjs")',
  );
});

/** What the application marks with `{ list: 'hide' }`. */
const hidden: readonly HiddenOperation[] = [
  { list: 'tools/list', method: 'tools/call', member: 'name', name: 'forget_all' },
  { list: 'resources/list', method: 'resources/read', member: 'uri', name: 'notes://secret' },
  { list: 'prompts/list', method: 'prompts/get', member: 'name', name: 'confession' },
].map((one) => ({ ...one, scope: 'notes:admin' }) as HiddenOperation);

describe.each(platforms)('%s', (platform) => {
  for (const sessions of [false, true]) {
    describeHost(`MCP-Nest 1.9${sessions ? ' with sessions' : ''}`, {
      era: '2025',
      sessions,
      hidden,
      clients: ['SDK v1', 'SDK v2 (2025 era)'],
      start: () => start(platform, sessions),
      startHiding: () => start(platform, sessions),
    });
  }
});

async function start(platform: Platform, sessions: boolean): Promise<HostServer> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const authorizationServer = await startAuthorizationServer({
    issueRefreshTokens: false,
    resources: [{ uri: mcpUrl, scopes: SCOPES }],
  });
  const child = fork(join(app, 'dist', 'app.js'), [platform, String(port)], {
    execArgv: [],
    env: {
      ...process.env,
      MCP_SESSIONS: String(sessions),
      AUTHPLANE_ISSUER: authorizationServer.issuer,
      AUTHPLANE_BASE_URL: baseUrl,
      AUTHPLANE_DEV_MODE: 'true',
    },
  });
  await ready(child);
  return {
    mcpUrl,
    authorizationServer,
    close: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await authorizationServer.close();
    },
  };
}

async function ready(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit').then(() => {
    throw new Error('the application ended before it was ready');
  });
  await Promise.race([once(child, 'message'), exited]);
  exited.catch(() => undefined); // later it ends because we end it
}
