import { describe, expect, it, test } from 'vitest';
import { type ResolvedNames, withNames } from '../../../src/core/names/settings.js';
import { BaseUrls } from '../../../src/nest/resources/by-name.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

const A = 'https://a.example';
const B = 'https://b.example:8443';

const find = (options: Parameters<typeof withNames>[0], request: object) =>
  new BaseUrls(withNames(options, false) as ResolvedNames, new ManualClock()).find(request);
const headers = (host?: string) => ({ headers: host === undefined ? {} : { host } });

describe('12.4: the base URL of a request', () => {
  test.each<[string, object, string | undefined]>([
    ['by the name that the platform says', { hostname: 'a.example', ...headers('b.example') }, A],
    ['with the port of the option', { hostname: 'b.example:1' }, B],
    ['by its Host header where there is no platform', headers('A.example'), A],
    ['unknown for another name', { hostname: 'c.example' }, undefined],
    ['unknown with a dot behind the name', { hostname: 'a.example.' }, undefined],
    ['unknown without a name', headers(), undefined],
    ['unknown with something else in its place', { hostname: ['a.example'] }, undefined],
  ])('is %s', (_name, request, url) => {
    expect(find({ baseUrl: [A, B] }, request)).toBe(url);
  });

  it('is the only one, whatever the name', () => {
    const options = { baseUrl: A, mcpPath: '/:id', isResource: () => true };
    expect(find(options, headers('evil.example'))).toBe(A);
  });

  it('comes from the function for names only', async () => {
    const asked: string[] = [];
    const baseUrl = (host: string) => {
      asked.push(host);
      return A;
    };
    expect(await find({ baseUrl }, headers('a.example:1'))).toBe(A);
    expect(await find({ baseUrl }, headers('a/b'))).toBeUndefined();
    expect(asked).toEqual(['a.example']);
  });
});
