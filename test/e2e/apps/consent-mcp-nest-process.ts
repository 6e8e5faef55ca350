import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { StartServer } from './consent-app.js';
import type { McpNestSettings } from './consent-mcp-nest.js';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const APP = ['consent-mcp-nest.ts', 'consent-calendar.ts'];

/** The application of `consent-mcp-nest.ts`, compiled once and started as often as wanted. */
export class McpNestProcesses {
  #folder = '';

  /** Below `node_modules`, so that the real packages are found; this one is a compiled copy. */
  compile(): void {
    const cache = join(PROJECT, 'node_modules', '.cache');
    mkdirSync(cache, { recursive: true });
    this.#folder = mkdtempSync(join(cache, 'authplane-consent-'));
    const self = join(this.#folder, 'node_modules', 'authplane-nestjs');
    for (const file of sourceFiles('src')) transpile(join('src', file), join(self, 'dist', file));
    for (const file of APP) {
      transpile(join('test', 'e2e', 'apps', file), join(this.#folder, file));
    }
    const { exports: published } = JSON.parse(read('package.json')) as { exports: object };
    const exports = { ...published, './mcp': './dist/mcp/index.js' };
    write(join(self, 'package.json'), JSON.stringify({ type: 'module', exports }));
    write(join(this.#folder, 'package.json'), '{"type":"module"}');
  }

  app(options: Pick<McpNestSettings, 'platform' | 'statefulMode'>): StartServer {
    return async (settings) => {
      const script = join(this.#folder, 'consent-mcp-nest.js');
      const child = fork(script, [JSON.stringify({ ...settings, ...options })], { execArgv: [] });
      await ready(child);
      return async () => {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      };
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
