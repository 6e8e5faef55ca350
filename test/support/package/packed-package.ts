import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { inject } from 'vitest';

export const PROJECT = process.cwd();

/** See pack.ts. */
export const packed = inject('packed');

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
