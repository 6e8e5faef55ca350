/** Against the servers' own matchers: uri-table.stress.spec.ts. */
import { describe, expect, it } from 'vitest';
import { MAX_URI_LENGTH, UriTable } from '../../../src/core/mcp/uri-table.js';

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

  it.each([
    ['files://{tenant}/private/{name}', 'files://acme{?/private/plan}'],
    ['files://{tenant}/private/{name}', 'files://acme{?}/private/plan'],
    ['files://{tenant}/private/{name}{?q}', 'files://acme{?/private/plan}?q=1'],
  ])('9.1: loose, only what is declared may be a query expression: %s finds %s', (key, uri) => {
    expect(table([key], true).find(uri)).toEqual([key]);
  });

  it.each([
    ['notes://private', 'notes://%70rivate'],
    ['notes://private', 'notes://%70%72%69vate'],
    ['notes://é', 'notes://%C3%a9'],
    ['notes://%70rivate', 'notes://private'],
    ['notes://private/{id}', 'notes://private%2F7'],
    ['notes://%70rivate/{id}', 'notes://private/7'],
    ['notes://100%/{id}', 'notes://100%/%'],
    ['notes://p%ff', 'notes://%70%FF'],
  ])('9.1f: decoded as well: %s is found by %s', (key, uri) => {
    for (const loose of [false, true]) expect(table([key], loose).find(uri)).toEqual([key]);
  });

  it('9.1f: decoded once, as servers do', () => {
    expect(table(['notes://private']).find('notes://%2570rivate')).toEqual([]);
  });

  it.each([
    ['n://one{/:b{/:c}}', 'n://one'],
    ['n://three/:"file-name"', 'n://three/x'],
    ['n://four/*"rest-of"', 'n://four/x/y'],
    ['n://18/a{b{c}d}e', 'n://18/ae'],
    ['n://{{id}}', 'n://'],
    ['n://a\\:b', 'n://a:b'],
    ['n://a{b\\}c}', 'n://ab}c'],
  ])('9.1f: loose, what cannot be read for certain may be anything: %s by %s', (key, uri) => {
    expect(table([key], true).find(uri)).toEqual([key]);
    expect(table([key], true).find('n://other')).toEqual(key.startsWith('n://{') ? [key] : []);
  });

  it.each([
    ['https://ex.org/{{id}', 'https://ex.org/abc'],
    ['notes://{{id}}', 'notes://abc}'],
    ['notes://a}b', 'notes://a}b'],
    ['notes://{id', 'notes://7'],
  ])('9.1f: braces that do not pair up may stand for anything: %s by %s', (key, uri) => {
    for (const loose of [false, true]) expect(table([key], loose).find(uri)).toEqual([key]);
    expect(table([key]).find('x://abc')).toEqual([]);
  });

  it('with MCP-Nest a template still counts as the SDKs read it', () => {
    const keys = ['x://y{?q}/z', 'x://a{b}{c}'];
    expect(table(keys, true).find('x://y?q=1/z')).toEqual(['x://y{?q}/z']);
    expect(table(keys, true).find('x://a1')).toEqual(['x://a{b}{c}']);
  });

  it('9.1: every entry counts for a URI that is too long to be looked up', () => {
    const keys = ['x://a', 'y://b{c}', 'z://c'];
    for (const loose of [false, true]) {
      const longest = `x://${'a'.repeat(MAX_URI_LENGTH - 4)}`;
      expect(table(keys, loose).find(longest)).toEqual([]);
      expect(table(keys, loose).find(`${longest}a`)).toEqual(keys);
    }
  });
});
