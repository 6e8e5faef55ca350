import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { UriTemplate } from '@modelcontextprotocol/sdk/shared/uriTemplate.js';
import fc from 'fast-check';
import { UriTable } from '../../src/core/resource-uris.js';

const table = (keys: string[], loose = false) =>
  new UriTable(
    keys.map((key) => [key, key] as const),
    loose,
  );

describe('UriTable', () => {
  it.each([
    ['file:///a', 'file:///a'],
    ['file:///a', 'FILE:///x/../a'],
    ['https://example.com/a', 'HTTPS://EXAMPLE.com:443/a'],
    ['HTTPS://Example.com/a', 'https://example.com/a'],
    ['x://{id}', 'x://1'],
    ['x://{id}', 'x://'],
    ['x://{id}', 'x://{id}'],
    ['x://{a}/y/{b}', 'x://1/2/y/y/3'],
    ['x://{+path}', 'x://a/b/c'],
    ['x://y{?q,r}', 'x://y?q=1'],
    ['x://y{?q}', 'x://y'],
    ['{+all}', 'anything'],
    ['not a uri', 'not a uri'],
    ['__proto__', '__proto__'],
  ])('%s is found by %s', (key, uri) => {
    expect(table([key, 'other://x']).find(uri)).toEqual([key]);
  });

  it.each([
    ['file:///a', 'file:///A'],
    ['file:///a', 'file:///a/'],
    ['file:///a', 'x:///a'],
    ['x://{a}/y/{b}', 'x://1/2/3'],
    ['x://a{b}a', 'x://a'],
    ['x://y', 'x://y?z'],
    ['y', 'toString'],
  ])('%s is not found by %s', (key, uri) => {
    expect(table([key]).find(uri)).toEqual([]);
  });

  it('all that match count', () => {
    const keys = ['x://a/b', 'x://a/{b}', 'x://{+c}', 'x://b'];
    expect(table(keys).find('x://a/b')).toEqual(keys.slice(0, 3));
  });

  it.each([
    ['mcp://files/{path*}', 'other://FILES/a/b?x=1'],
    ['mcp://users/{id}{?q}', 'users/7/'],
    ['mcp://a/:id', 'mcp://a/7'],
    ['mcp://a{/b}', 'mcp://a'],
    ['mcp://a', 'b://a://c'],
    ['mcp://a', 'A///'],
  ])('loose, as MCP-Nest: %s is found by %s', (key, uri) => {
    expect(table([key], true).find(uri)).toEqual([key]);
  });

  it('takes linear time', () => {
    const keys = ['x://{a}a{b}a{c}a{d}a{e}!'];
    const started = performance.now();
    for (const loose of [false, true]) {
      expect(table(keys, loose).find(`x://${'a'.repeat(1_000_000)}`)).toEqual([]);
      expect(table(keys, loose).find(`x://${'/'.repeat(1_000_000)}b`)).toEqual([]);
      expect(table(keys, loose).find(`x://${'://'.repeat(300_000)}`)).toEqual([]);
    }
    expect(performance.now() - started).toBeLessThan(20_000); // quadratic time would be an hour
  });

  it("whatever the SDK's own matcher takes is found", () => {
    const part = fc.constantFrom(
      'a',
      'b',
      '/',
      '.',
      '-',
      '{x}',
      '{+y}',
      '{/z}',
      '{.w}',
      '{?q}',
      '{#f}',
    );
    const piece = fc.constantFrom('a', 'b', '/', '.', '-', '?q=1', '#f', 'A', '%20');
    let matched = 0;
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 6 }),
        fc.array(piece, { maxLength: 8 }),
        (parts, pieces) => {
          const template = `x://${parts.join('')}`;
          const uri = new URL(`x://${pieces.join('')}`).href;
          if (new UriTemplate(template).match(uri) === null) return;
          matched++;
          expect(table([template]).find(uri)).toEqual([template]);
        },
      ),
      { numRuns: 20_000 },
    );
    expect(matched).toBeGreaterThan(100);
  });

  it("whatever MCP-Nest's own matcher takes is found", () => {
    const part = fc.constantFrom(
      'a',
      'B',
      '/',
      '.',
      '-',
      '{x}',
      '{y*}',
      '{?q}',
      ':z',
      '*w',
      '{/v}',
    );
    const piece = fc.constantFrom('a', 'b', '/', '.', '-', '?q=1', 'A', '%20', '://');
    const { matchResourceByUri, matchResourceTemplateByUri } = mcpNestMatcher();
    let matched = 0;
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 5 }),
        fc.array(piece, { maxLength: 7 }),
        fc.constantFrom('x://', 'Y://', ''),
        (parts, pieces, scheme) => {
          const template = `x://${parts.join('')}`;
          const uri = scheme + pieces.join('');
          const asTemplate = attempt(() =>
            matchResourceTemplateByUri([{ uriTemplate: template }], uri),
          );
          const asResource = attempt(() => matchResourceByUri([{ uri: template }], uri));
          if (asTemplate === undefined && asResource === undefined) return;
          matched++;
          expect(table([template], true).find(uri)).toEqual([template]);
        },
      ),
      { numRuns: 20_000 },
    );
    expect(matched).toBeGreaterThan(100);
  });
});

interface Matcher {
  matchResourceByUri(resources: { uri: string }[], uri: string): unknown;
  matchResourceTemplateByUri(templates: { uriTemplate: string }[], uri: string): unknown;
}

/** Its exports do not show it; the file itself needs nothing of Nest. */
function mcpNestMatcher(): Matcher {
  const require = createRequire(import.meta.url);
  return require('../../node_modules/@rekog/mcp-nest/dist/mcp/transport/resource-matcher.js') as Matcher;
}

/** It throws for templates and URIs that it cannot read; nothing runs then. */
function attempt(match: () => unknown): unknown {
  try {
    return match();
  } catch {
    return undefined;
  }
}
