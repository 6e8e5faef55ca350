import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import {
  type AuthorizationServerOptions,
  startAuthorizationServer,
  type StandInAuthorizationServer,
} from 'authplane-nestjs/testing';
import { freePort, type Platform } from '../nest/start-app.js';
import { packed, PROJECT } from './packed-package.js';
import { node, npm } from './programs.js';

export type Dependencies = Readonly<Record<string, string>>;

/** A throw-away application that depends on the packed library and on `dependencies`. */
export function installApp(
  name: string,
  dependencies: Dependencies,
  ...flags: readonly string[]
): string {
  const app = join(packed.directory, name);
  mkdirSync(app);
  const all = { 'authplane-nestjs': `file:${packed.tarball}`, ...dependencies };
  writeJson(join(app, 'package.json'), { private: true, dependencies: all });
  symlinkSync(join(installed(all, flags), 'node_modules'), join(app, 'node_modules'));
  return app;
}

/** One folder for all that ask for the same, whichever processes they are in: the first installs, others wait. */
function installed(dependencies: Dependencies, flags: readonly string[]): string {
  const key = JSON.stringify([Object.entries(dependencies).sort(), flags]);
  const folder = join(
    packed.directory,
    `installed-${createHash('sha256').update(key).digest('hex')}`,
  );
  const complete = join(folder, 'is-complete');
  while (!existsSync(complete)) {
    if (!isNew(folder)) pause(200);
    else installCompletely(folder, complete, dependencies, flags);
  }
  return folder;
}

function installCompletely(
  folder: string,
  complete: string,
  dependencies: Dependencies,
  flags: readonly string[],
): void {
  try {
    installPackages(folder, dependencies, ...flags);
    writeFileSync(complete, '');
  } catch (error) {
    rmSync(folder, { recursive: true, force: true }); // the next one that waits tries it
    throw error;
  }
}

/** Makes the folder, which one of several processes can. */
function isNew(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Installs into a directory of its own. */
export function installPackages(
  directory: string,
  dependencies: Dependencies,
  ...flags: readonly string[]
): void {
  writeJson(join(directory, 'package.json'), { private: true, dependencies });
  npm(
    [
      'install',
      '--prefer-offline',
      '--no-package-lock',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      ...flags,
    ],
    directory,
  );
}

const COMPILER_OPTIONS = {
  target: 'es2022',
  module: 'nodenext',
  strict: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  skipLibCheck: true,
  types: ['node'],
};

/** Compiles `src` of the application to CommonJS in `dist`. `checked`: fails for types that do not fit. */
export function compileApp(app: string, { checked = false } = {}): void {
  if (!checked) return transpileApp(app);
  const compilerOptions = { ...COMPILER_OPTIONS, rootDir: 'src', outDir: 'dist' };
  writeJson(join(app, 'tsconfig.json'), { compilerOptions, include: ['src'] });
  node([join(PROJECT, 'node_modules/typescript/bin/tsc'), '-p', '.'], app);
}

/** Without reading the types of all that is installed, which takes seconds. */
function transpileApp(app: string): void {
  const { options } = ts.convertCompilerOptionsFromJson(COMPILER_OPTIONS, app);
  for (const file of readdirSync(join(app, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const source = readFileSync(join(app, 'src', file), 'utf8');
    const { outputText } = ts.transpileModule(source, { compilerOptions: options });
    const target = join(app, 'dist', file.replace(/\.ts$/, '.js'));
    mkdirSync(join(target, '..'), { recursive: true });
    writeFileSync(target, outputText);
  }
}

export function writeJson(path: string, value: unknown): void {
  writeFileSync(path, JSON.stringify(value, null, 2));
}

export interface RunningProcess {
  /** What it has printed. */
  log(): string;
  close(): Promise<void>;
}

/** @throws Error with all that the process has printed, if it ends before it sends a message. */
export async function startProcess(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<RunningProcess> {
  const child = fork(file, args, {
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  let printed = '';
  for (const output of [child.stdout, child.stderr])
    output?.setEncoding('utf8').on('data', (text: string) => (printed += text));
  await ready(child, () => printed);
  const close = async () => {
    if (child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return { log: () => printed, close };
}

async function ready(child: ChildProcess, log: () => string): Promise<void> {
  const exited = once(child, 'exit').then(() => {
    throw new Error(`the application ended before it was ready: ${log()}`);
  });
  await Promise.race([once(child, 'message'), exited]);
  exited.catch(() => undefined); // later it ends because we end it
}

export interface InstalledServer extends RunningProcess {
  readonly origin: string;
  readonly mcpUrl: string;
  readonly authorizationServer: StandInAuthorizationServer;
}

export interface InstalledServerOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly authorizationServer?: (mcpUrl: string) => AuthorizationServerOptions;
}

/** A compiled file that listens on the port of its second argument, and its authorization server. */
export async function startInstalled(
  file: string,
  platform: Platform,
  { env, authorizationServer: options = () => ({}) }: InstalledServerOptions = {},
): Promise<InstalledServer> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const mcpUrl = `${origin}/mcp`;
  const authorizationServer = await startAuthorizationServer(options(mcpUrl));
  const child = await startProcess(file, [platform, String(port)], {
    AUTHPLANE_ISSUER: authorizationServer.issuer,
    AUTHPLANE_BASE_URL: origin,
    AUTHPLANE_DEV_MODE: 'true',
    ...env,
  }).catch(async (error: unknown) => {
    await authorizationServer.close();
    throw error;
  });
  const close = async () => {
    await child.close();
    await authorizationServer.close();
  };
  return { ...child, origin, mcpUrl, authorizationServer, close };
}
