/** The house stays in order: small folders, short files, a spec for a source file, no cycle. */

import { describe, expect, test } from 'vitest';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import ts from 'typescript';

const MOST_FILES = 13;
const MOST_LINES = 340;

const files = ['src', 'test'].flatMap(filesIn);
const allTypeScript = [...files, ...filesIn('sample-app')].filter((file) => file.endsWith('.ts'));
const sources = files.filter((file) => file.startsWith('src/') && file.endsWith('.ts'));
const specs = files.filter((file) =>
  /^test\/(?:core|nest|mcp|gateway|testing|redis)\/.*\.spec\.ts$/.test(file),
);

describe('11: the tree', () => {
  test(`no folder of src or test has more than ${MOST_FILES} files`, () => {
    const counts = new Map<string, number>();
    for (const folder of files.map(dirname)) counts.set(folder, (counts.get(folder) ?? 0) + 1);
    expect(counts.size).toBeGreaterThan(50);
    expect([...counts].filter(([, count]) => count > MOST_FILES)).toEqual([]);
  });

  test(`no file of src has more than ${MOST_LINES} lines`, () => {
    expect(sources.filter((file) => linesOf(file) > MOST_LINES)).toEqual([]);
  });

  test('every spec of a layer is named after a source file, or after the layer of one file', () => {
    expect(specs.length).toBeGreaterThan(100);
    expect(specs.filter((spec) => !sourcesOf(spec).some((file) => existsSync(file)))).toEqual([]);
  });

  test('every file of src that does something has a spec of its name', () => {
    const behaving = sources.filter(isBehaviour);
    expect(behaving.length).toBeGreaterThan(250);
    expect(behaving.filter((file) => !existsSync(specOf(file)))).toEqual([]);
  });

  test.each<[string, string, boolean]>([
    ['types', 'export interface A { b(): void } export type C = () => void;', false],
    ['a constant and a token', `export const A = 5, B = Symbol('b'), C = new Set(['c']);`, false],
    ['errors of one shape', `export class A extends Error { readonly code = 'a'; }`, false],
    ['a declared overload', 'declare function a(): void; export type A = typeof a;', false],
    ['a function', 'export function a() { return 1; }', true],
    ['an arrow', 'export const a = () => 1;', true],
    ['a constructor', 'class A extends Error { constructor() { super("a"); } }', true],
    ['a method', 'export class A { b() {} }', true],
    ['a getter', 'export class A { get b() { return 1; } }', true],
  ])('%s: %s does something: %s', (_, source, does) => {
    expect(doesSomething(source)).toBe(does);
  });

  test('every spec that the suite begins with exists', () => {
    const config = readFileSync('vitest.config.js', 'utf8');
    const named = [...config.matchAll(/^ {2}'(.+\.spec\.ts)',$/gm)].map(
      ([, name]) => `test/${name}`,
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !existsSync(name))).toEqual([]);
  });

  test('no folder of src needs one that needs it', () => {
    const needs = foldersNeeded();
    expect(needs.size).toBeGreaterThan(20);
    expect(inCycles(needs)).toEqual([]);
  });

  test('no file needs one that needs it, be it for a type', () => {
    const needs = new Map(allTypeScript.map((file) => [file, neededBy(file)] as const));
    expect(needs.size).toBeGreaterThan(700);
    expect(needs.get('src/nest/decision.ts')?.size).toBeGreaterThan(5);
    expect(inCycles(needs)).toEqual([]);
    const cycle = { a: ['b', 'd'], b: ['c'], c: ['a'], d: [] };
    const sets = Object.entries(cycle).map(([file, needed]) => [file, new Set(needed)] as const);
    expect(inCycles(new Map(sets))).toEqual(['a', 'b', 'c']);
  });
});

function filesIn(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\/(?:dist|node_modules)\b/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name));
}

function linesOf(file: string): number {
  return readFileSync(file, 'utf8').trimEnd().split('\n').length;
}

function specOf(file: string): string {
  return file.replace(/^src/, 'test').replace(/\.ts$/, '.spec.ts');
}

/** What only publishes, or says what things are called, has nothing to be tested. */
function isBehaviour(file: string): boolean {
  return basename(file) !== 'index.ts' && doesSomething(readFileSync(file, 'utf8'));
}

/** Whether any function in it has a body. */
function doesSomething(source: string): boolean {
  const isDoing = (node: ts.Node): boolean =>
    (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) ||
    ts.forEachChild(node, isDoing) === true;
  return isDoing(ts.createSourceFile('a.ts', source, ts.ScriptTarget.Latest, true));
}

/** Of `name.topic.spec.ts`: `name.topic.ts`, `name.ts`; and the `index.ts` of a folder of that name. */
function sourcesOf(spec: string): string[] {
  const folder = dirname(spec).replace(/^test/, 'src');
  const parts = basename(spec, '.spec.ts').split('.');
  const names = parts.map((_, index) => parts.slice(0, index + 1).join('.'));
  const entries = basename(folder) === parts[0] ? ['index'] : [];
  return [...names, ...entries].map((name) => join(folder, `${name}.ts`));
}

/** By folder, those that its files import from; entries publish and are not asked. */
function foldersNeeded(): Map<string, Set<string>> {
  const needs = new Map<string, Set<string>>();
  for (const file of sources.filter((one) => basename(one) !== 'index.ts')) {
    const folder = dirname(file);
    const needed = needs.get(folder) ?? new Set();
    needs.set(folder, needed);
    for (const other of neededBy(file)) {
      if (dirname(other) !== folder) needed.add(dirname(other));
    }
  }
  return needs;
}

/** The files that it imports from, also for types alone. */
function neededBy(file: string): Set<string> {
  const imports = readFileSync(file, 'utf8').matchAll(/ from '(\.[^']+)\.js'/g);
  return new Set([...imports].map(([, path = '']) => join(dirname(file), `${path}.ts`)));
}

function inCycles(needs: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  return [...needs.keys()].filter((one) => reached(needs, one).has(one));
}

function reached(needs: ReadonlyMap<string, ReadonlySet<string>>, from: string): Set<string> {
  const found = new Set<string>();
  const open = [...(needs.get(from) ?? [])];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (found.has(one)) continue;
    found.add(one);
    open.push(...(needs.get(one) ?? []));
  }
  return found;
}
