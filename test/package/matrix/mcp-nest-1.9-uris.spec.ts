/**
 * Whatever MCP-Nest 1.9 matches has a requirement, and rules see the variables that its handlers get:
 * its own registry says so, in a process of its own. `AUTHPLANE_STRESS` asks for 200,000 cases of each.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { decoded, UriTable } from '../../../src/core/mcp/uri-table.js';
import { UriReader } from '../../../src/core/mcp/uri-reader.js';
import { type UriCase, uriCases } from '../../support/text/uri-cases.js';
import { installApp, writeJson } from '../../support/package/installed-app.js';
import { MCP_NEST_1_9 } from '../../support/package/peers.js';
import { node } from '../../support/package/programs.js';

const COUNT = process.env['AUTHPLANE_STRESS'] === undefined ? 10_000 : 200_000;

/** Reads `[template, uri]` pairs, writes the variables of each, or null where nothing would run. */
const MATCHER = `
require('reflect-metadata');
const { readFileSync, writeFileSync } = require('node:fs');
const { McpRegistryDiscoveryService } = require('@rekog/mcp-nest');
const registry = new McpRegistryDiscoveryService(undefined, undefined, undefined, { logging: false });
const [kind] = process.argv.slice(2);
const isTemplate = kind === 'resource-template';
const find = isTemplate ? 'findResourceTemplateByUri' : 'findResourceByUri';
const matched = JSON.parse(readFileSync('cases.json', 'utf8')).map(([template, uri]) => {
  const metadata = { name: 'one', [isTemplate ? 'uriTemplate' : 'uri']: template };
  registry.registerDynamicCapability('it', { type: kind, metadata, methodName: 'one' });
  try {
    return registry[find]('it', uri)?.params ?? null;
  } catch {
    return null; // a template or a URI that it cannot read
  } finally {
    registry.removeDynamicCapability('it', kind, 'one');
  }
});
writeFileSync('matched.json', JSON.stringify(matched));
`;

let app: string;

beforeAll(() => {
  app = installApp('mcp-nest-uris', MCP_NEST_1_9);
  writeFileSync(join(app, 'matcher.cjs'), MATCHER);
});

type Kind = 'resource' | 'resource-template';
type Variables = Readonly<Record<string, string | readonly string[]>>;
type Pair = readonly [template: string, uri: string];

function matched(kind: Kind, pairs: readonly Pair[]): readonly (Variables | null)[] {
  writeJson(join(app, 'cases.json'), pairs);
  expect(node(['matcher.cjs', kind], app)).toBe('');
  return JSON.parse(readFileSync(join(app, 'matched.json'), 'utf8')) as (Variables | null)[];
}

describe.each(['resource', 'resource-template'] as const)(
  '9.1, 9.1f, 9.9c: a %s of 1.9',
  (kind) => {
    const finds = ([declared, uri]: Pair) =>
      new UriTable([[declared, 1]], true).find(uri).length > 0;

    test('what it matches has the requirement of the template, and rules see its variables', () => {
      const pairs = [...uriCases(COUNT, { seed: 4 })].flatMap(
        ({ template, plain, odd }): Pair[] => [
          [template, plain],
          [template, odd],
        ],
      );
      const answers = matched(kind, pairs);
      const ran = pairs.flatMap((pair, index) => {
        const variables = answers[index];
        return variables === null || variables === undefined ? [] : [{ pair, variables }];
      });
      expect(ran.length).toBeGreaterThan(COUNT / 50);
      expect(ran.filter(({ pair }) => !finds(pair)).slice(0, 10)).toEqual([]);
      const unseen = ran.filter(({ pair, variables }) => !isSeen(kind, pair, variables));
      expect(unseen.slice(0, 10)).toEqual([]);
    });

    test('what it hands to a handler as the variables of a URI has the requirement of that URI', () => {
      const cases: UriCase[] = [...uriCases(COUNT, { seed: 5, plain: true })];
      const wanted = matched(
        kind,
        cases.map(({ template, plain }) => [template, plain]),
      );
      const given = matched(
        kind,
        cases.map(({ template, odd }) => [template, odd]),
      );
      const same = cases.filter(
        (_, at) => wanted[at] !== null && JSON.stringify(wanted[at]) === JSON.stringify(given[at]),
      );
      expect(same.length).toBeGreaterThan(COUNT / 50);
      expect(same.filter(({ plain, odd }) => !finds([plain, odd])).slice(0, 10)).toEqual([]);
    });
  },
);

function isSeen(kind: Kind, [template, uri]: Pair, given: Variables): boolean {
  const reader = new UriReader(template, true);
  // A rule is refused for the first; of a `@Resource` the query is part of its last variable.
  if (!reader.isCertain || (kind === 'resource' && template.includes('{?'))) return true;
  const wanted = Object.entries(given).map(([name, value]) => {
    return [name, decoded(typeof value === 'string' ? value : value.join('/'))] as const;
  });
  const text = JSON.stringify(wanted.sort());
  return reader
    .read(uri)
    .some(({ variables }) => JSON.stringify(Object.entries(variables).sort()) === text);
}
