import { describe, expect, it } from 'vitest';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { codeBlocks, pages } from '../support/docs/markdown.js';

describe('the pages', () => {
  it.each([
    ['under the strict settings of this project', false],
    ['14.9: with the types of a browser, as in every project of the Nest CLI', true],
  ])(
    'every TypeScript block compiles %s',
    (_, ofBrowser) => {
      const files = new Map<string, string>();
      for (const page of pages) {
        codeBlocks(page)
          .filter(({ language }) => language === 'ts')
          .forEach(({ code }, index) => {
            files.set(resolve(`test/docs/${page.replace(/\W+/g, '-')}-${index}.ts`), code);
          });
      }
      expect(files.size).toBeGreaterThan(4);
      expect(compile(files, ofBrowser)).toEqual([]);
    },
    600_000,
  );

  it.each(pages)('%s: every JSON block parses', (page) => {
    for (const { code } of codeBlocks(page).filter(({ language }) => language === 'json')) {
      expect(() => JSON.parse(code) as unknown).not.toThrow();
    }
  });

  it.each(pages)('%s: every shell block holds npm scripts and variables that exist', (page) => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>;
    };
    const known = ['install', ...Object.keys(scripts)];
    for (const { code } of codeBlocks(page).filter(({ language }) => language === 'sh')) {
      for (const [, script = ''] of code.matchAll(/npm (?:run )?(\S+)/g)) {
        expect(known).toContain(script);
      }
      for (const [, variable = ''] of code.matchAll(/^(?:export )?([A-Z_]+)=/gm)) {
        expect(readFileSync('src/core/options-from-env.ts', 'utf8')).toContain(`'${variable}'`);
      }
    }
  });

  it.each(pages)('%s: has no block in a language that nothing checks', (page) => {
    const languages = codeBlocks(page).map(({ language }) => language);
    expect(languages.filter((name) => !['ts', 'json', 'sh', ''].includes(name))).toEqual([]);
  });

  it.each(pages)('%s: every link to a file leads somewhere', (page) => {
    const text = readFileSync(page, 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^https?:/.test(target)) continue;
      expect([target, existsSync(join(dirname(page), target))]).toEqual([target, true]);
    }
  });

  it.each(pages)('%s: every link to a heading leads somewhere', (page) => {
    const text = readFileSync(page, 'utf8');
    for (const [, target = '', anchor = ''] of text.matchAll(/\]\(([^)#:]*)#([^)]+)\)/g)) {
      const file = target === '' ? page : join(dirname(page), target);
      expect([file, headings(file)]).toEqual([file, expect.arrayContaining([anchor])]);
    }
  });

  it('the README links every page of docs', () => {
    const readme = readFileSync('README.md', 'utf8');
    for (const page of pages.slice(1)) expect(readme).toContain(`(${page})`);
  });

  it('11.4: docs/architecture.md has a line for each folder of src, and every file it names exists', () => {
    const text = readFileSync('docs/architecture.md', 'utf8');
    const named = [...text.matchAll(/^\| `(src[\w/-]*)` +\|/gm)].map(([, name]) => name);
    const files = ts.sys.readDirectory('src', ['.ts']).map((file) => relative('.', file));
    expect(named.sort()).toEqual([...new Set(files.map((file) => dirname(file)))].sort());
    const mentioned = [
      ...text.matchAll(/`((?:core|nest|mcp|gateway|testing|redis)\/[\w./-]+\.ts)`/g),
    ];
    expect(
      mentioned.map(([, file]) => `src/${file}`).filter((file) => !files.includes(file)),
    ).toEqual([]);
  });

  it('docs/options.md names every option and its page no other', async () => {
    const { moduleChecks } = await import('../../src/core/options.js');
    const text = readFileSync('docs/options.md', 'utf8');
    for (const name of Object.keys(moduleChecks)) expect(text).toContain(`\`${name}\``);
  });

  it('14.9: docs/options.md names every option of a gateway, of an upstream and of a rule', async () => {
    const { gatewayChecks } = await import('../../src/gateway/options/gateway-options.js');
    const upstream = await import('../../src/gateway/options/upstream-options.js');
    const [, text = ''] = readFileSync('docs/options.md', 'utf8').split('## The gateway\n');
    const tables = [gatewayChecks, upstream.upstreamChecks, upstream.ruleChecks];
    const names = tables.flatMap((checks) => Object.keys(checks));
    expect(names.length).toBeGreaterThan(25);
    expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});

/** The anchors of a page, as GitHub makes them. */
function headings(page: string): string[] {
  const lines = readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm);
  return [...lines].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Declarations would be made of every block only to be thrown away. */
const ONLY_TYPES: ts.CompilerOptions = { noEmit: true, declaration: false, types: ['node'] };

/** What is imported is read once. */
const sources = new Map<string, ts.SourceFile | undefined>();

/** Type-checks the blocks as files of this project; nothing is written. */
function compile(files: ReadonlyMap<string, string>, ofBrowser: boolean): string[] {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile.bind(ts.sys)) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, '.');
  if (ofBrowser) delete options.lib; // what `tsc` takes then
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (name) => files.get(name) ?? readFile.call(host, name);
  host.fileExists = (name) => files.has(name) || fileExists.call(host, name);
  const { getSourceFile } = host;
  host.getSourceFile = (name, target, ...rest) => {
    const block = files.get(name);
    if (block !== undefined) return ts.createSourceFile(name, block, target, true);
    if (!sources.has(name)) sources.set(name, getSourceFile.call(host, name, target, ...rest));
    return sources.get(name);
  };
  const program = ts.createProgram(
    [...files.keys()],
    { ...options, ...ONLY_TYPES, noUnusedLocals: false, noUnusedParameters: false },
    host,
  );
  return [...files.keys()].flatMap((name) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .map(({ messageText }) => `${name}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`),
  );
}
