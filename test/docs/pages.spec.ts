import { describe, expect, it } from 'vitest';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { compileBlocks } from '../support/docs/compile-blocks.js';
import { codeBlocks, pages } from '../support/docs/markdown.js';

describe('the pages', () => {
  it('every TypeScript block compiles under the strict settings of this project', () => {
    expect(compileBlocks(pages)).toEqual([]);
  }, 600_000);

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
