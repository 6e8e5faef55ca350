import { describe, expect, it } from 'vitest';
import { Controller, Get } from '@nestjs/common';
import { comparablePath, isRoute, mayServe, servesPath } from '../../../src/nest/http/routes.js';

class Routes {
  root() {
    return undefined;
  }
  child() {
    return undefined;
  }
  none() {
    return undefined;
  }
}
const { root, child, none } = Routes.prototype;
Controller(['api', 'mcp'])(Routes);
Get()(Routes.prototype, 'root', Object.getOwnPropertyDescriptor(Routes.prototype, 'root')!);
Get('a')(Routes.prototype, 'child', Object.getOwnPropertyDescriptor(Routes.prototype, 'child')!);

describe('routes', () => {
  it('a handler is one by its decorator', () => {
    expect([root, child, none].map(isRoute)).toEqual([true, true, false]);
  });

  it.each([
    ['/mcp', root, true],
    ['/v1/MCP/', root, true],
    ['/api', root, true],
    ['/xmcp', root, false],
    ['/mcp/a', root, false],
    ['/mcp/a', child, true],
    ['/mcp', child, false],
  ])('%s', (path, handler, serves) => {
    expect(servesPath(Routes, handler, path)).toBe(serves);
  });

  it.each([
    '/a/b',
    '/A/b/',
    '//a//b',
    '/a/./b',
    '/%61/b',
    '/a%2fb',
    '\\a\\b',
    '/a/b?c#d',
    '/a/b;c',
  ])('all spellings are one: %s', (path) => {
    expect(comparablePath(path)).toBe('a/b');
  });

  it('the origin of an absolute form is left out', () => {
    expect(comparablePath('HTTP://host:1/a/b')).toBe('a/b');
  });

  it('what cannot be decoded stays as it is', () => {
    expect(comparablePath('/%zz')).toBe('%zz');
    expect(comparablePath('')).toBe('');
  });
});

describe('routes that may lie at a path with parameters, or below it', () => {
  it.each([
    ['mcp/:profile', '', true],
    ['mcp/:profile', 'about', true],
    ['mcp/:org', '', true],
    ['/MCP/:org/', 'about', true],
    [':profile', 'about', true], // a prefix may come from elsewhere
    [':a/:b', '', true],
    ['mcp/*rest', '', true],
    ['', '*', true],
    ['', '', false],
    ['things', '', false],
    ['mcp', '', false],
    ['things/:profile', 'x', false],
    ['things', ':org', false],
  ])('%s %s', (prefix, path, expected) => {
    class Placed {
      handler() {
        return undefined;
      }
    }
    const { prototype } = Placed;
    Controller(prefix)(Placed);
    Get(path)(prototype, 'handler', Object.getOwnPropertyDescriptor(prototype, 'handler')!);
    expect(mayServe(Placed, prototype.handler, '/base/mcp/:profile')).toBe(expected);
  });
});
