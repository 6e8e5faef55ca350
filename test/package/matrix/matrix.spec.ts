import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createInterface } from 'node:readline';
import { beforeAll, describe, expect, test } from 'vitest';
import { installApp, writeJson } from '../../support/package/installed-app.js';
import { PROJECT } from '../../support/package/packed-package.js';
import { node } from '../../support/package/programs.js';

/** Nest and @nestjs/config, which has its own numbers. */
const MAJORS = [
  ['10.4.x', '4.x'],
  ['11.2.x', '4.x'],
  ['12.5.x', '12.x'],
] as const;
const LOADERS = ['require', 'import'] as const;
const PLATFORMS = ['fastify', 'express'] as const;
const CELLS = LOADERS.flatMap((loader) => PLATFORMS.map((platform) => [loader, platform] as const));

describe.each(MAJORS)('Nest %s', (nest, config) => {
  let app: string;

  beforeAll(() => {
    app = installApp(`nest-${nest}`, {
      '@nestjs/common': nest,
      '@nestjs/core': nest,
      '@nestjs/platform-express': nest,
      '@nestjs/platform-fastify': nest,
      '@nestjs/config': config,
      '@types/node': '20.x',
      'reflect-metadata': '0.2.x',
      rxjs: '7.x',
    });
    layOutSources(app);
  });

  test('has the version under test', () => {
    const core = readFileSync(join(app, 'node_modules/@nestjs/core/package.json'), 'utf8');
    const { version } = JSON.parse(core) as { version: string };
    expect(`${version}.`.startsWith(nest.replace('x', ''))).toBe(true);
  });

  test('strict TypeScript compiles the application, as CommonJS and as an ES module', () => {
    expect(node([join(PROJECT, 'node_modules/typescript/bin/tsc'), '-p', '.'], app)).toBe('');
  });

  test.each(CELLS)(
    '%s on %s: 401 without token, 200, 403, 401 for another audience, metadata; 9.16: errors',
    async (loader, platform) => {
      const running = await start(join(app, 'dist', loader, 'app.js'), platform);
      try {
        expect(running.loadedBy).toBe(loader);
        await expectTheUsualAnswers(running);
        await expectErrorAnswers(running);
      } finally {
        await running.stop();
      }
    },
  );

  // In front of Nest 11.1.14 other spellings of a path get round middleware on Fastify.
  test.each(PLATFORMS)('12.5: an endpoint behind middleware alone, on %s', (platform) => {
    const said = node([join(app, 'dist', 'require', 'middleware.js'), platform], app);
    if (platform === 'express') expect(said.trim()).toBe('401 404');
    else if (nest.startsWith('10.')) expect(said).toMatch('that no AuthplaneGuard protects');
    else expect(said.trim()).toBe('401 401');
  });
});

/** One source in two folders: the nearest package.json says which kind of module it is. */
function layOutSources(app: string): void {
  for (const loader of LOADERS) {
    const type = loader === 'require' ? 'commonjs' : 'module';
    for (const folder of ['src', 'dist']) {
      mkdirSync(join(app, folder, loader), { recursive: true });
      writeJson(join(app, folder, loader, 'package.json'), { type });
    }
    for (const file of ['app.ts', 'middleware.ts']) {
      copyFileSync(
        join(PROJECT, 'test/package/matrix/nest-majors', file),
        join(app, 'src', loader, file),
      );
    }
  }
  writeJson(join(app, 'tsconfig.json'), {
    compilerOptions: {
      target: 'es2022',
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      skipLibCheck: true,
      types: ['node'],
      rootDir: 'src',
      outDir: 'dist',
    },
    include: ['src'],
  });
}

interface Announcement {
  readonly baseUrl: string;
  readonly tokens: Readonly<Record<'good' | 'scopeless' | 'foreign', string>>;
  readonly loadedBy: string;
}

interface RunningApp extends Announcement {
  /** How the token endpoint answers from now on. */
  fail(fault: object): Promise<void>;
  stop(): Promise<void>;
}

async function start(file: string, platform: string): Promise<RunningApp> {
  const child = spawn(process.execPath, [file, platform], { stdio: 'pipe' });
  const stderr = text(child.stderr);
  const exit = once(child, 'exit');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { value: first, done } = await lines.next();
  if (done === true) throw new Error(`the application did not start:\n${await stderr}`);
  return {
    ...(JSON.parse(first) as Announcement),
    fail: async (fault) => {
      child.stdin.write(`${JSON.stringify(fault)}\n`);
      expect((await lines.next()).value).toBe('ok');
    },
    stop: () => stop(child, exit),
  };
}

async function stop(child: ChildProcess, exit: Promise<unknown[]>): Promise<void> {
  child.stdin?.end();
  const patience = setTimeout(() => child.kill('SIGKILL'), 10_000);
  const [code] = await exit;
  clearTimeout(patience);
  expect(code).toBe(0);
}

async function expectTheUsualAnswers({ baseUrl, tokens }: Announcement): Promise<void> {
  const metadataUrl = `${baseUrl}/.well-known/oauth-protected-resource/mcp`;
  const query = (token?: string) =>
    fetch(`${baseUrl}/query`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });

  const anonymous = await query();
  expect(anonymous.status).toBe(401);
  expect(anonymous.headers.get('www-authenticate')).toContain(`resource_metadata="${metadataUrl}"`);

  const good = await query(tokens.good);
  expect(good.status).toBe(200);
  expect(await good.json()).toEqual({ sub: 'user-1', scopes: ['tools/query'], same: true });

  const scopeless = await query(tokens.scopeless);
  expect(scopeless.status).toBe(403);
  expect(scopeless.headers.get('www-authenticate')).toContain('error="insufficient_scope"');

  const foreign = await query(tokens.foreign);
  expect(foreign.status).toBe(401);
  expect(foreign.headers.get('www-authenticate')).toContain('error="invalid_token"');

  const metadata = await fetch(metadataUrl);
  expect(metadata.status).toBe(200);
  expect(await metadata.json()).toMatchObject({ resource: `${baseUrl}/mcp` });

  const health = await fetch(`${baseUrl}/health`);
  expect(await health.json()).toEqual({ oneLibrary: true });
}

/** The wrong secret is ours: a client that got the 401 would throw its good token away. */
async function expectErrorAnswers({ baseUrl, tokens, fail }: RunningApp): Promise<void> {
  const headers = { authorization: `Bearer ${tokens.good}` };
  const places = [
    ['GET', 'call'],
    ['GET', 'filtered'],
    ['POST', 'mcp'],
  ] as const;
  const ask = async (method: string, path: string) => {
    const json = { 'content-type': 'application/json' };
    const message = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
    const init =
      method === 'GET' ? { headers } : { headers: { ...headers, ...json }, body: message };
    const response = await fetch(`${baseUrl}/${path}`, { method, ...init });
    return { response, text: await response.text() };
  };
  for (const [status, error, expected] of [
    [401, 'invalid_client', 500],
    [400, 'invalid_grant', 500],
    [200, 'none', 500],
    [403, 'access_denied', 403],
    [429, 'slow_down', 503],
    [502, 'server_error', 503],
  ] as const) {
    await fail({
      status,
      contentType: 'application/json',
      headers: { 'retry-after': '9' },
      body: JSON.stringify({ error, error_description: 'INTERNAL-DETAIL' }),
    });
    for (const [method, path] of places) {
      const { response, text: body } = await ask(method, path);
      expect([status, path, response.status]).toEqual([status, path, expected]);
      expect(response.headers.get('www-authenticate')).toBeNull();
      expect(response.headers.get('retry-after')).toBe(expected === 503 ? '9' : null);
      expect(body).not.toMatch(/INTERNAL-DETAIL|invalid_client|invalid_grant|answered with/);
      if (expected === 500 && path !== 'filtered') {
        expect(body).toBe('{"error":"internal_error"}');
      }
    }
  }

  const anonymous = await fetch(`${baseUrl}/filtered`);
  expect(anonymous.status).toBe(401);
  expect(anonymous.headers.get('www-authenticate')).toContain('resource_metadata=');
}
