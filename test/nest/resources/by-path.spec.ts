import { describe, expect, it, test } from 'vitest';
import { PathTemplate } from '../../../src/core/names/path-template.js';
import { ResourcePaths } from '../../../src/nest/resources/by-path.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

const paths = new ResourcePaths(new PathTemplate('/mcp/:id'), () => true, new ManualClock());
const request = (url: string, more: object = {}) => ({ url, headers: {}, ...more });

describe('12.4: the path of a request', () => {
  test.each<[string, object, string | undefined]>([
    ['is read off the target', request('/mcp/acme?id=globex'), 'acme'],
    [
      'is the one that was sent, not the one that was made of it',
      request('/mcp/x', { originalUrl: '/mcp/acme' }),
      'acme',
    ],
    ['may be below that of the base URL', request('/base/mcp/acme'), 'acme'],
    ['is none with the base twice', request('/base/base/mcp/acme'), undefined],
    [
      'is none where the router reads another value',
      request('/mcp/acme', { params: { id: 'globex' } }),
      undefined,
    ],
    [
      'is none where the router reads it otherwise',
      request('/mcp/acme', { params: { id: ['acme'] } }),
      undefined,
    ],
    [
      'may have names of the router that mean something else',
      request('/mcp/acme', { params: { tool: 'x' } }),
      'acme',
    ],
  ])('%s', (_name, asked, id) => {
    expect(paths.match(asked, 'https://a.example/base/')?.params['id']).toBe(id);
  });

  it('is a resource where the application says so', async () => {
    const asked: unknown[] = [];
    const some = new ResourcePaths(
      new PathTemplate('/mcp/:id'),
      (params) => {
        asked.push(params);
        return params['id'] === 'acme';
      },
      new ManualClock(),
    );
    const isThere = (id: string) =>
      some.has({ path: `/mcp/${id}`, params: { id }, isBelow: false });
    expect([await isThere('acme'), await isThere('globex'), await isThere('acme')]).toEqual([
      true,
      false,
      true,
    ]);
    expect(asked).toEqual([{ id: 'acme' }, { id: 'globex' }]);
  });
});
