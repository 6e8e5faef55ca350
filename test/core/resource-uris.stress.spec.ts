/**
 * `UriTable` promises rather too many entries than too few. The servers' own matchers say what runs, so
 * whatever they match the table has to find, over random templates and URIs of which most are odd.
 * `AUTHPLANE_STRESS` asks for 200,000 of each.
 */
import { createRequire } from 'node:module';
import { describe, expect, test } from '@jest/globals';
import { UriTemplate as UriTemplateV1 } from '@modelcontextprotocol/sdk/shared/uriTemplate.js';
import { UriTemplate as UriTemplateV2 } from '@modelcontextprotocol/server';
import { UriTable } from '../../src/core/resource-uris.js';
import { type UriCase, uriCases } from './fixtures/uri-cases.js';

const COUNT = process.env['AUTHPLANE_STRESS'] === undefined ? 10_000 : 200_000;

/** The variables with which a server would run the handler of this template; `undefined`: it does not. */
type Match = (template: string, uri: string) => object | undefined;

const HOSTS: readonly (readonly [name: string, match: Match, loose: boolean])[] = [
  ['SDK v1', sdk(UriTemplateV1), false],
  ['SDK v2', sdk(UriTemplateV2), false],
  ['SDK v1 in an application with MCP-Nest', sdk(UriTemplateV1), true],
  ['MCP-Nest 2, @Resource', mcpNestResource(), true],
  ['MCP-Nest 2, @ResourceTemplate', mcpNestTemplate(), true],
];

describe.each(HOSTS)('9.1, 9.1f: %s', (_, match, loose) => {
  const finds = (declared: string, uri: string) =>
    new UriTable([[declared, declared]], loose).find(uri).length > 0;

  test('what it matches has the requirement of the template', () => {
    const missed = missing({ seed: 1 }, ({ template, plain, odd }) =>
      [plain, odd]
        .filter((uri) => attempt(() => match(template, uri)) !== undefined)
        .map((uri) => [uri, finds(template, uri)] as const),
    );
    expect(missed).toEqual([]);
  });

  test('what it hands to a handler as the variables of a URI has the requirement of that URI', () => {
    const missed = missing({ seed: 2, plain: true }, ({ template, plain, odd }) => {
      const wanted = attempt(() => match(template, plain));
      const given = attempt(() => match(template, odd));
      if (wanted === undefined || JSON.stringify(given) !== JSON.stringify(wanted)) return [];
      return [[odd, finds(plain, odd)] as const];
    });
    expect(missed).toEqual([]);
  });

  function missing(
    options: Parameters<typeof uriCases>[1],
    judge: (one: UriCase) => (readonly [uri: string, isFound: boolean])[],
  ): unknown[] {
    let matched = 0;
    const missed: unknown[] = [];
    for (const one of uriCases(COUNT, options)) {
      for (const [uri, isFound] of judge(one)) {
        matched++;
        if (!isFound) missed.push({ ...one, uri });
      }
    }
    expect(matched).toBeGreaterThan(COUNT / 50);
    return missed.slice(0, 20);
  }
});

function sdk(Template: new (template: string) => { match(uri: string): object | null }): Match {
  return (template, uri) => new Template(template).match(new URL(uri).href) ?? undefined;
}

interface MatcherOfMcpNest {
  matchResourceByUri(resources: { uri: string }[], uri: string): { params: object } | undefined;
  matchResourceTemplateByUri(
    templates: { uriTemplate: string }[],
    uri: string,
  ): { params: object } | undefined;
}

/** Its exports do not show it; the file itself needs nothing of Nest. */
function mcpNestMatcher(): MatcherOfMcpNest {
  const require = createRequire(import.meta.url);
  return require('../../node_modules/@rekog/mcp-nest/dist/mcp/transport/resource-matcher.js') as MatcherOfMcpNest;
}

function mcpNestResource(): Match {
  const { matchResourceByUri } = mcpNestMatcher();
  return (template, uri) => matchResourceByUri([{ uri: template }], uri)?.params;
}

function mcpNestTemplate(): Match {
  const { matchResourceTemplateByUri } = mcpNestMatcher();
  return (template, uri) => matchResourceTemplateByUri([{ uriTemplate: template }], uri)?.params;
}

/** Matchers throw for templates and URIs that they cannot read; nothing runs then. */
function attempt<T>(match: () => T): T | undefined {
  try {
    return match();
  } catch {
    return undefined;
  }
}
