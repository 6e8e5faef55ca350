import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, posix, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  entries,
  importsOf,
  manifest,
  packed,
  PROJECT,
} from '../../support/package/packed-package.js';

const DOCUMENTS = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'];

describe('the packed files', () => {
  test('are the build and documents, nothing else', () => {
    const others = packed.files.filter(
      (path) =>
        !DOCUMENTS.includes(path) &&
        !/^docs\/(?:[\w-]+\.md|images\/[\w-]+\.(?:png|svg))$/.test(path) &&
        !/^dist\/[\w./-]+(?:\.js|\.d\.ts)$/.test(path),
    );
    expect(others).toEqual([]);
  });

  test('13: are one file for each entry and layer: a module of its own would cost every start', () => {
    const files = packed.files.filter((path) => path.endsWith('.js'));
    expect(files.length).toBeLessThanOrEqual(2 * entries.length);
  });

  test('hold every file that their documents link', () => {
    const linked = packed.files
      .filter((path) => path.endsWith('.md'))
      .flatMap((page) => {
        const text = readFileSync(join(PROJECT, page), 'utf8');
        const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)];
        return links.map(([, target = '']) => posix.join(posix.dirname(page), target));
      });
    expect(linked.filter((path) => !packed.files.includes(path))).toEqual([]);
  });

  test.each(['CHANGELOG.md', 'LICENSE', 'SECURITY.md'])('include %s', (document) => {
    expect(packed.files).toContain(document);
  });

  test.each(entries)(
    'include all that %s imports',
    (_entry, { default: file = '', types = '' }) => {
      const needed = [file, types].flatMap((start) => [...importsOf(start).files]);
      const missing = needed
        .map((path) => relative(PROJECT, path))
        .filter((path) => !packed.files.includes(path));
      expect(missing).toEqual([]);
    },
  );

  test('name no source map and no folder of the machine that built them', () => {
    const telling = packed.files.filter((path) => {
      const content = readFileSync(join(PROJECT, path), 'utf8');
      return [PROJECT, `${homedir()}/`, 'sourceMappingURL='].some((text) => content.includes(text));
    });
    expect(telling).toEqual([]);
  });
});

describe('package.json', () => {
  test('leads to packed files only', () => {
    const targets = [
      manifest.main,
      manifest.types,
      ...Object.values(manifest.exports).flatMap((target) =>
        typeof target === 'string' ? [target] : Object.values(target),
      ),
      ...Object.values(manifest.typesVersions['*'] ?? {}).flat(),
    ];
    const missing = targets.filter((target) => !packed.files.includes(target.replace(/^\.\//, '')));
    expect(missing).toEqual([]);
  });

  test('has types first and `default` last for every entry, so that require() works too', () => {
    for (const [, conditions] of entries)
      expect(Object.keys(conditions)).toEqual(['types', 'default']);
  });

  test('has typesVersions for every entry, for the older module resolution', () => {
    const subpaths = entries.map(([entry]) => entry.slice(2)).filter((name) => name !== '');
    expect(Object.keys(manifest.typesVersions['*'] ?? {}).sort()).toEqual(subpaths.sort());
  });

  test('runs nothing at installation', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare'];
    expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([]);
  });

  test('depends on registry versions only', () => {
    const ranges = Object.values({ ...manifest.dependencies, ...manifest.peerDependencies });
    expect(ranges.filter((range) => !/^[\^~<>=\d.\s|x*-]+$/.test(range))).toEqual([]);
  });
});
