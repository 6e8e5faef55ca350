import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';

export const PROJECT = process.cwd();

export interface PackedPackage {
  readonly tarball: string;
  /** Paths of the files inside. */
  readonly files: readonly string[];
  /** A directory outside the project, so that nothing of the project is found from it. */
  readonly directory: string;
  remove(): void;
}

/** What `npm publish` would send, from the `dist` that is there. */
export function packPackage(): PackedPackage {
  const directory = mkdtempSync(join(tmpdir(), 'authplane-nestjs-package-'));
  const output = npm(
    ['pack', '--json', '--ignore-scripts', '--pack-destination', directory],
    PROJECT,
  );
  const [packed] = JSON.parse(output) as { filename: string; files: { path: string }[] }[];
  if (packed === undefined) throw new Error(`npm pack printed: ${output}`);
  return {
    tarball: join(directory, packed.filename),
    files: packed.files.map(({ path }) => path),
    directory,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A throw-away application that depends on the packed library and on `dependencies`. */
export function installApp(
  { directory, tarball }: PackedPackage,
  name: string,
  dependencies: Readonly<Record<string, string>>,
  ...flags: readonly string[]
): string {
  const app = join(directory, name);
  mkdirSync(app);
  installPackages(app, { 'authplane-nestjs': `file:${tarball}`, ...dependencies }, ...flags);
  return app;
}

/** Installs into a directory of its own. */
export function installPackages(
  directory: string,
  dependencies: Readonly<Record<string, string>>,
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

/** Compiles `src` of the application to CommonJS in `dist`. `checked`: fails for types that do not fit. */
export function compileApp(app: string, { checked = false } = {}): void {
  writeJson(join(app, 'tsconfig.json'), {
    compilerOptions: {
      target: 'es2022',
      module: 'nodenext',
      strict: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      skipLibCheck: true,
      noCheck: !checked,
      types: ['node'],
      rootDir: 'src',
      outDir: 'dist',
    },
    include: ['src'],
  });
  node([join(PROJECT, 'node_modules/typescript/bin/tsc'), '-p', '.'], app);
}

function npm(args: readonly string[], cwd: string): string {
  return run('npm', args, cwd);
}

export function node(args: readonly string[], cwd: string): string {
  return run(process.execPath, args, cwd);
}

/** @throws Error with all that the program has printed. */
function run(program: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(program, args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

export function writeJson(path: string, value: unknown): void {
  writeFileSync(path, JSON.stringify(value, null, 2));
}

export interface Manifest {
  readonly main: string;
  readonly types: string;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly typesVersions: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

export const manifest = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as Manifest;

/** Entry → conditions → file, of the entries that are modules. */
export const entries = Object.entries(manifest.exports).filter(
  (entry): entry is [string, Readonly<Record<string, string>>] => typeof entry[1] === 'object',
);

/** What an application writes to load the entry. */
export function specifier(entry: string): string {
  return `authplane-nestjs${entry.slice(1)}`;
}

/** All that a built file imports, at load time or later, directly or through files of the package. */
export function importsOf(file: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    for (const { fileName } of ts.preProcessFile(readFileSync(path, 'utf8')).importedFiles) {
      if (fileName.startsWith('.')) visit(imported(path, fileName));
      else if (!fileName.startsWith('node:')) packages.add(packageName(fileName));
    }
  };
  visit(join(PROJECT, file));
  return { files, packages };
}

function imported(from: string, relative: string): string {
  const target = join(from, '..', relative);
  return from.endsWith('.d.ts') ? target.replace(/\.js$/, '.d.ts') : target;
}

function packageName(name: string): string {
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}
