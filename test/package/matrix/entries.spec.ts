import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { installApp } from '../../support/package/installed-app.js';
import { entries, importsOf, manifest, specifier } from '../../support/package/packed-package.js';
import { node } from '../../support/package/programs.js';

const NEST = ['@nestjs/common', '@nestjs/core', 'rxjs'];

/** All that an entry may load besides Node itself; optional peers are not among it. */
const MAY_LOAD: Readonly<Record<string, readonly string[]>> = {
  '.': [...NEST, 'jose'],
  './core': ['jose'],
  './mcp': [...NEST, 'jose'],
  './gateway': [...NEST, 'jose'],
  './redis': ['jose'],
  './testing': ['jose'],
};

const needsNest = (entry: string) => MAY_LOAD[entry]?.includes('@nestjs/common') ?? false;
const names = entries.map(([entry]) => entry);

describe('what an entry loads', () => {
  test.each(entries)(
    '%s imports no package but those it is allowed',
    (entry, { default: file = '' }) => {
      const unexpected = [...importsOf(file).packages].filter(
        (name) => !MAY_LOAD[entry]?.includes(name),
      );
      expect(unexpected).toEqual([]);
    },
  );

  test.each(entries)(
    'the types of %s need no package that users may lack',
    (entry, { types = '' }) => {
      const provided = Object.keys({
        ...manifest.dependencies,
        ...(needsNest(entry) ? manifest.peerDependencies : {}),
      });
      const missing = [...importsOf(types).packages].filter((name) => !provided.includes(name));
      expect(missing).toEqual([]);
    },
  );
});

describe('loading', () => {
  let bare: string;
  let withPeers: string;

  beforeAll(() => {
    bare = installApp('bare', {}, '--legacy-peer-deps');
    withPeers = installApp('with-peers', {
      '@nestjs/common': '12.x',
      '@nestjs/core': '12.x',
      'reflect-metadata': '0.2.x',
      rxjs: '7.x',
    });
  });

  const both = names.flatMap((entry) => [['import', entry] as const, ['require', entry] as const]);

  test.each(both)('%s of %s, with the required peers and no others', (loader, entry) => {
    expect(load(loader, entry, withPeers)).toBeGreaterThan(0);
  });

  test.each(both.filter(([, entry]) => !needsNest(entry)))(
    '%s of %s, without Nest',
    (loader, entry) => {
      expect(load(loader, entry, bare)).toBeGreaterThan(0);
    },
  );

  test('13: ./core loads no module of Node before it needs one', () => {
    writeFileSync(join(bare, 'first.mjs'), 'export {};');
    const script = `await import('./first.mjs'); // for which Node loads its loader
      const before = new Set(process.moduleLoadList);
      await import('${specifier('./core')}');
      console.log(process.moduleLoadList.filter((name) => !before.has(name)).join());`;
    expect(node(['--input-type=module', '--eval', script], bare).trim()).toBe('');
  });

  /** How many names the entry exports. `require` fails on a top-level await anywhere in it. */
  function load(loader: 'import' | 'require', entry: string, app: string): number {
    const expression =
      loader === 'import'
        ? `await import('${specifier(entry)}')`
        : `require('${specifier(entry)}')`;
    const type = loader === 'import' ? 'module' : 'commonjs';
    const script = `console.log(Object.keys(${expression}).length)`;
    return Number(node([`--input-type=${type}`, '--eval', script], app));
  }
});
