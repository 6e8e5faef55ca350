import { describe, expect, it, test } from 'vitest';
import {
  hasParameters,
  PathTemplate,
  pathTemplateProblem,
} from '../../../src/core/names/path-template.js';

const template = new PathTemplate('/api/mcp/:org/:profile');

describe('a path with parameters', () => {
  it('is matched byte for byte', () => {
    expect(template.match('/api/mcp/acme/dev.1_~-')).toEqual({
      path: '/api/mcp/acme/dev.1_~-',
      params: { org: 'acme', profile: 'dev.1_~-' },
      isBelow: false,
    });
  });

  it('is found in front of what is below it', () => {
    expect(template.match('/api/mcp/acme/dev/messages/1')).toEqual({
      path: '/api/mcp/acme/dev',
      params: { org: 'acme', profile: 'dev' },
      isBelow: true,
    });
  });

  it('takes values of 128 characters', () => {
    const longest = 'x'.repeat(128);
    expect(template.match(`/api/mcp/${longest}/dev`)?.params['org']).toBe(longest);
    expect(template.match(`/api/mcp/${longest}x/dev`)).toBeUndefined();
  });

  it('has names that mean something elsewhere', () => {
    const { params } = new PathTemplate('/:constructor/:toString').match('/a/b') ?? {};
    expect(Object.entries(params ?? {})).toEqual([
      ['constructor', 'a'],
      ['toString', 'b'],
    ]);
  });

  test.each([
    ['an escape of a letter', '/api/mcp/%61cme/dev'],
    ['an escaped slash', '/api/mcp/a%2fb/dev'],
    ['an escaped backslash', '/api/mcp/a%5cb/dev'],
    ['a backslash', '/api/mcp/a\\b/dev'],
    ['a path parameter', '/api/mcp/acme;x=1/dev'],
    ['a control', '/api/mcp/ac\u0001me/dev'],
    ['a letter outside of ASCII', '/api/mcp/äcme/dev'],
    ['a fragment', '/api/mcp/acme/dev#x'],
    ['a dot', '/api/mcp/./dev'],
    ['two dots', '/api/mcp/../dev'],
    ['escaped dots', '/api/mcp/%2e%2e/dev'],
    ['an empty value', '/api/mcp//dev'],
    ['a slash at the end', '/api/mcp/acme/dev/'],
    ['a slash more', '//api/mcp/acme/dev'],
    ['another case of a fixed segment', '/API/mcp/acme/dev'],
    ['an escape in a fixed segment', '/%61pi/mcp/acme/dev'],
    ['the template itself', '/api/mcp/:org/:profile'],
    ['too few segments', '/api/mcp/acme'],
    ['a URL', 'http://a.example/api/mcp/acme/dev'],
    ['nothing', ''],
  ])('row 10: %s is another path', (_name, path) => {
    expect(template.match(path)).toBeUndefined();
  });

  it('says what all of them begin with, and what one would be', () => {
    expect(template.prefix).toBe('/api/mcp/');
    expect(new PathTemplate('/:tenant').prefix).toBe('/');
    expect(template.filledWith('x')).toBe('/api/mcp/x/x');
  });

  it('tells templates from paths', () => {
    expect(hasParameters('/mcp/:profile')).toBe(true);
    expect(hasParameters('/mcp/a:b')).toBe(false);
  });
});

describe('what a template must not be', () => {
  test.each([
    ['/mcp/:profile(\\d+)', '":profile(\\d+)" is a pattern, and only whole'],
    ['/mcp/:profile?', '":profile?" is a pattern'],
    ['/mcp/{*rest}', '"{*rest}" is a pattern'],
    ['/mcp/*', '"*" is a pattern'],
    ['/mcp/:a:b', '":a:b": a parameter is named by'],
    ['/mcp/:1st', '":1st": a parameter is named by'],
    ['/mcp/:', '":": a parameter is named by'],
    ['/mcp/:__proto__', '":__proto__": a parameter is named by'],
    ['/:id/:id', 'two parameters have the same name'],
    ['/mcp/:id/', 'must not end with "/"'],
  ])('%s', (path, problem) => {
    expect(pathTemplateProblem(path)).toContain(problem);
  });

  test.each(['/mcp', '/mcp/', '/mcp/v1:batch', '/mcp/:profile', '/:org/mcp/:profile_1', '/'])(
    'nothing is wrong with %s',
    (path) => {
      expect(pathTemplateProblem(path)).toBeUndefined();
    },
  );
});
