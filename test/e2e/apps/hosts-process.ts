import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { Platform } from './start-app.js';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const APP = ['hosts-mcp-nest.ts', 'hosts-mcp-nest-main.ts'];

interface ProcessOptions {
  readonly platform: Platform;
  readonly sessions: boolean;
  readonly issuer: string;
  readonly port: number;
}

/** The MCP-Nest example, compiled once and started as often as wanted. */
export class HostProcesses {
  #folder = '';

  /** Below `node_modules`, so that the real packages are found; this one is a compiled copy. */
  compile(): void {
    const cache = join(PROJECT, 'node_modules', '.cache');
    mkdirSync(cache, { recursive: true });
    this.#folder = mkdtempSync(join(cache, 'authplane-hosts-'));
    const self = join(this.#folder, 'node_modules', 'authplane-nestjs');
    for (const file of sourceFiles('src')) transpile(join('src', file), join(self, 'dist', file));
    for (const file of APP) {
      transpile(join('test', 'e2e', 'apps', file), join(this.#folder, file));
    }
    write(join(self, 'package.json'), read('package.json'));
    write(join(this.#folder, 'package.json'), '{"type":"module"}');
  }

  /** Gives the way to stop it. */
  async start({ platform, sessions, issuer, port }: ProcessOptions): Promise<() => Promise<void>> {
    const child = fork(join(this.#folder, 'hosts-mcp-nest-main.js'), [platform, String(port)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: {
        ...process.env,
        MCP_SESSIONS: String(sessions),
        AUTHPLANE_ISSUER: issuer,
        AUTHPLANE_BASE_URL: `http://127.0.0.1:${port}`,
        AUTHPLANE_DEV_MODE: 'true',
      },
    });
    await ready(child);
    return async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function ready(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit').then(() => {
    throw new Error('the MCP-Nest process ended before it was ready');
  });
  await Promise.race([once(child, 'message'), exited]);
  exited.catch(() => undefined); // later it ends because we end it
}

function sourceFiles(folder: string): string[] {
  const root = join(PROJECT, folder);
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function transpile(source: string, target: string): void {
  const { outputText } = ts.transpileModule(read(source), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
    },
  });
  write(target.replace(/\.ts$/, '.js'), outputText);
}

function read(file: string): string {
  return readFileSync(join(PROJECT, file), 'utf8');
}

function write(file: string, content: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}
