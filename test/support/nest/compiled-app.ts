import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { hearProcess } from '../canary/setup.js';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const APPS = join('test', 'support');

export interface CompiledAppOptions {
  /** Files below test/support; the first one is started. */
  readonly files: readonly [main: string, ...string[]];
  /** What is different from the file. */
  readonly change?: (source: string) => string;
}

/**
 * An application in processes of its own, compiled once and started as often as wanted: as it is
 * deployed, with what it makes when it is loaded.
 */
export class CompiledApp {
  #folder = '';

  constructor(private readonly options: CompiledAppOptions) {}

  /** Below `node_modules`, so that the real packages are found; this one is a compiled copy. */
  compile(): void {
    const cache = join(PROJECT, 'node_modules', '.cache');
    mkdirSync(cache, { recursive: true });
    this.#folder = mkdtempSync(join(cache, 'authplane-app-'));
    mkdirSync(join(this.#folder, 'node_modules'));
    symlinkSync(compiledPackage(cache), join(this.#folder, 'node_modules', 'authplane-nestjs'));
    for (const file of this.options.files) {
      transpile(join(APPS, file), join(this.#folder, file), this.options.change);
    }
    write(join(this.#folder, 'package.json'), '{"type":"module"}');
  }

  /** Resolves when the application has sent a message. Gives the way to stop it. */
  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<() => Promise<void>> {
    const child = this.#start(args, env);
    await ready(child);
    return async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    };
  }

  /** What it sends, after which it ends by itself. */
  async ask(): Promise<unknown> {
    const child = this.#start([], {});
    const exited = once(child, 'exit');
    const sent = await ready(child);
    await exited;
    return sent;
  }

  #start(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const script = join(this.#folder, this.options.files[0].replace(/\.ts$/, '.js'));
    const child = fork(script, args, {
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
    });
    hearProcess(child);
    return child;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** @returns its first message. */
async function ready(child: ChildProcess): Promise<unknown> {
  const exited = once(child, 'exit').then(() => {
    throw new Error('the process ended before it was ready');
  });
  const [message] = (await Promise.race([once(child, 'message'), exited])) as unknown[];
  exited.catch(() => undefined); // later it ends because we end it
  return message;
}

/** This package, compiled once for as long as its sources are the same: that takes seconds. */
function compiledPackage(cache: string): string {
  const files = sourcesOfApps();
  const hash = createHash('sha256').update(read('package.json'));
  for (const file of files) hash.update(file).update(read(join('src', file)));
  const folder = join(cache, `authplane-package-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  removeOld(cache);
  const making = mkdtempSync(join(cache, 'authplane-making-'));
  for (const file of files) transpile(join('src', file), join(making, 'dist', file));
  write(join(making, 'package.json'), read('package.json'));
  try {
    renameSync(making, folder);
  } catch {
    rmSync(making, { recursive: true, force: true }); // another worker was first
  }
  return folder;
}

/** Of sources that were changed a day ago or before. */
function removeOld(cache: string): void {
  const old = Date.now() - 86_400_000;
  for (const name of readdirSync(cache).filter((one) => one.startsWith('authplane-package-'))) {
    const folder = join(cache, name);
    if (statSync(folder).mtimeMs < old) rmSync(folder, { recursive: true, force: true });
  }
}

/** Without the entries that no application of the tests loads. */
function sourcesOfApps(): string[] {
  const root = join(PROJECT, 'src');
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !/^(?:gateway|redis)\//.test(file));
}

function transpile(source: string, target: string, change = (text: string) => text): void {
  const { outputText } = ts.transpileModule(change(read(source)), {
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
