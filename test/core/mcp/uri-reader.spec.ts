import { describe, expect, it, test } from 'vitest';
import { UriReader } from '../../../src/core/mcp/uri-reader.js';

const variablesOf = (template: string, uri: string, loose = false) =>
  new UriReader(template, loose).read(uri).map(({ variables }) => variables);
const urisOf = (template: string, uri: string, loose = false) =>
  new UriReader(template, loose).read(uri).map((one) => one.uri);

describe('9.9c: variables', () => {
  test.each([
    ['notes://{id}', 'notes://private', { id: 'private' }],
    ['notes://{id}', ' NOTES://pri\nv%61te', { id: 'private' }],
    ['https://ex.org/{+path}', 'https://EX.org/a/./b/../c', { path: 'a/c' }],
    ['notes://{owner}-{id}', 'notes://a-b-c', { owner: 'a-b', id: 'c' }],
    ['notes://{+path}/{id}', 'notes://a/b/c', { path: 'a/b', id: 'c' }],
    ['notes://{id}/{+path}', 'notes://a/b/c', { id: 'a', path: 'b/c' }],
    ['notes://a{/list*}', 'notes://a/x,y', { list: 'x,y' }],
    ['notes://{list*}{rest*}', 'notes://ab,c', { list: 'a', rest: 'b,c' }],
    ['notes://all{?q,r}', 'notes://all?q=1&r=2', { q: '1', r: '2' }],
    ['notes://{id}/{id}', 'notes://a/b', { id: 'b' }],
    // no server is known to take these: any text for each expression
    ['notes://{id}', 'notes://a/b', { id: 'a/b' }],
    ['notes://{id}', 'notes://', { id: '' }],
  ])('%s, %j', (template, uri, variables) => {
    expect(variablesOf(template, uri)).toContainEqual(variables);
  });

  it('is one reading for what is written as the template', () => {
    expect(variablesOf('notes://{id}', 'notes://private', true)).toEqual([{ id: 'private' }]);
    expect(variablesOf('n://{id}{?q}', 'n://a?q=1', true)).toEqual([{ id: 'a', q: '1' }]);
    expect(variablesOf('notes://all', 'NOTES://all/', true)).toEqual([{}]);
  });

  test.each([
    ['notes://{id}', 'zz://private', ['private']],
    ['notes://{id}', 'notes://private/', ['private']],
    ['notes://{id}', 'notes://private?x', ['private?x', 'private']],
    ['Notes://It/{id}', 'notes://iT/Private', ['Private']],
    ['notes://:id', 'notes://private', ['private']],
    ['notes://{id}', 'private', ['private']],
  ])('as MCP-Nest reads %s, %j', (template, uri, ids) => {
    expect(variablesOf(template, uri, true)).toEqual(ids.map((id) => ({ id })));
  });

  it('is none where no server reads the URI so', () => {
    expect(variablesOf('notes://{id}', 'tags://private')).toEqual([]);
  });

  it('is empty for a template that is listed and cannot be its own URI', () => {
    expect(variablesOf('notes://a{?q}', 'notes://a{?q}')).toEqual([{ q: '{?q}' }]);
  });

  test.each([
    ['notes://{{id}}', false],
    ['notes://{id', false],
    ['notes://{}', false],
    ['notes://{/:b}', true],
    ['notes://:"id"', true],
    ['notes://\\:id', true],
  ])('%s cannot be read for certain', (template, loose) => {
    expect(new UriReader(template, loose).isCertain).toBe(false);
  });

  it('is certain for what MCP-Nest cannot serve', () => {
    expect(new UriReader('notes://{+path}', true).isCertain).toBe(true);
    expect(variablesOf('notes://{+path}', 'notes://a/b', true)).toEqual([{ path: 'a/b' }]);
  });
});

describe('9.9c: the URI to compare', () => {
  test.each([
    'notes://private',
    ' notes://private',
    'NOTES://private',
    'notes://pri\nvate',
    'notes://%70rivate',
  ])('%j', (uri) => {
    expect(urisOf('notes://{id}', uri)).toEqual(['notes://private']);
    expect(urisOf('notes://{id}', uri, true)).toContain('notes://private');
  });

  test.each(['zz://private', 'notes://private/', 'private', 'notes://private?x'])(
    'as MCP-Nest reads %j',
    (uri) => {
      expect(urisOf('notes://{id}', uri, true)).toContain('notes://private');
    },
  );

  it('has the query that the template has', () => {
    expect(urisOf('n://{id}{?q}', 'zz://a/?q=%31&z=2', true)).toEqual(['n://a?q=1']);
  });
});
