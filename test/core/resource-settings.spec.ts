import { describe, expect, it } from 'vitest';
import {
  resolveFurtherOptions,
  resolveModuleOptions,
  resolveResourceOptions,
} from '../../src/core/options.js';
import {
  ISSUER,
  moduleProblems,
  optionProblems,
  RESOURCE,
} from '../support/tokens/option-problems.js';

describe('the resource', () => {
  it.each([
    ['https://api.example.com', undefined, 'https://api.example.com/mcp'],
    ['https://api.example.com/', undefined, 'https://api.example.com/mcp'],
    ['https://api.example.com/v2', undefined, 'https://api.example.com/v2/mcp'],
    ['https://api.example.com/v2/', '/tools/mcp', 'https://api.example.com/v2/tools/mcp'],
    ['https://api.example.com', '/', 'https://api.example.com/'],
    ['https://api.example.com:8443', '/mcp/', 'https://api.example.com:8443/mcp/'],
  ])('baseUrl %s and mcpPath %p are %s', (baseUrl, mcpPath, resource) => {
    const options = mcpPath === undefined ? { baseUrl } : { baseUrl, mcpPath };
    expect(resolveResourceOptions(options, false).resource).toBe(resource);
  });

  it.each([
    'https://api.example.com',
    'https://api.example.com/',
    `${RESOURCE}/`,
    `${RESOURCE}?a=b`,
  ])('an explicit one wins and is never rewritten: %s', (resource) => {
    const options = { resource, baseUrl: 'https://other.example', mcpPath: '/x' };
    expect(resolveResourceOptions(options, false).resource).toBe(resource);
  });

  it('either resource or baseUrl is needed', () => {
    expect(moduleProblems({ issuer: ISSUER })).toEqual([
      'resource: give either resource, or baseUrl (with mcpPath, default "/mcp"); ' +
        'authplaneOptionsFromEnv() takes them from AUTHPLANE_RESOURCE and AUTHPLANE_BASE_URL',
    ]);
  });

  it.each([
    ['https://API.example.com/mcp', /is written "https:\/\/api\.example\.com\/mcp" by clients/],
    ['https://api.example.com:443/mcp', /is written "https:\/\/api\.example\.com\/mcp"/],
    ['https://api.example.com/a/../mcp', /is written/],
    ['https://api.example.com\\mcp', /is written/],
    ['https:/api.example.com/mcp', /absolute https URL/],
  ])('RFC 8707 §2: %s is not how clients write it', (resource, problem) => {
    expect(optionProblems('resource', resource)).toEqual([expect.stringMatching(problem)]);
  });

  it('the joined URL is judged too', () => {
    const options = { issuer: ISSUER, baseUrl: 'https://api.example.com', mcpPath: '/a/../b' };
    expect(moduleProblems(options)).toEqual([
      expect.stringMatching(/^baseUrl and mcpPath: .*written/),
    ]);
  });

  it('9.6b: a parameter in mcpPath is no literal part of a resource', () => {
    const options = {
      issuer: ISSUER,
      baseUrl: 'https://api.example.com',
      mcpPath: '/mcp/:profile',
    };
    expect(moduleProblems(options)).toEqual([
      expect.stringMatching(/^mcpPath: .*has parameters: give isResource/),
    ]);
  });

  it.each<[string, unknown[], RegExp]>([
    ['mcpPath', ['mcp', '', '/a?b', '/a#b', '/a b', 1, null], /path that starts with/],
    ['mcpPath', ['/mcp/:profile', '/:org/mcp'], /has parameters.*isResource.*forFeature/],
    ['mcpPath', ['/mcp/*', '/mcp/{id}'], /is a pattern/],
    ['scopes', ['a b', {}, null, 1], /list of scope strings/],
    [
      'scopes',
      [['a b'], ['a', ''], [1], [null], [undefined], ['a"'], ['\u00e9'], [1n], [, 'a']],
      /is not a scope/,
    ],
  ])('%s: %p is a mistake', (name, values, problem) => {
    for (const value of values) {
      expect(optionProblems(name, value)).toEqual([expect.stringMatching(problem)]);
      expect(optionProblems(name, value)[0]).toMatch(new RegExp(`^${name}: `));
    }
  });

  it.each<[string, unknown[]]>([
    ['mcpPath', ['/', '/mcp', '/a/b/', '/mcp/v1:batch']],
    ['scopes', [[], ['a', 'mcp:read', 'https://x/y']]],
  ])('%s takes %p', (name, values) => {
    for (const value of values) expect(optionProblems(name, value)).toEqual([]);
  });
});

describe('12.8: resourceMetadataUrl', () => {
  const METADATA = 'https://auth.example.com/metadata/mcp';
  const resolved = (resourceMetadataUrl: unknown, devMode = false) =>
    resolveResourceOptions({ resource: RESOURCE, resourceMetadataUrl } as never, devMode)
      .metadataUrl;

  it.each([
    ['a URL', METADATA],
    ['a URL with a query, as it is written', `${METADATA}?a=b`],
    ['a function', () => METADATA],
  ])('%s', (_, given) => {
    expect(resolved(given)).toBe(typeof given === 'string' ? given : METADATA);
  });

  it('is ours without it', () => {
    expect(resolved(undefined)).toBe(
      'https://api.example.com/.well-known/oauth-protected-resource/mcp',
    );
  });

  it('http is for devMode', () => {
    const url = 'http://127.0.0.1:9000/metadata';
    expect(resolved(url, true)).toBe(url);
    expect(resolved(() => url, true)).toBe(url);
    expect(() => resolved(url)).toThrow(/resourceMetadataUrl: must use https/);
    expect(() => resolved(() => url)).toThrow(/resourceMetadataUrl: of \S+ must use https/);
  });

  it.each([
    '',
    '/metadata',
    'https://a.example/#x',
    'https://u:p@a.example/',
    'https://a.example/ä',
    'ftp://a.example/',
    1,
    null,
    {},
    [METADATA],
    true,
  ])('%p is a mistake, also from a function', (value) => {
    expect(optionProblems('resourceMetadataUrl', value)).toEqual([
      expect.stringMatching(/^resourceMetadataUrl: must/),
    ]);
    expect(() => resolved(() => value)).toThrow(/resourceMetadataUrl: of /);
  });

  it('a function that says nothing, or later', () => {
    expect(() => resolved(() => undefined)).toThrow('must be an absolute URL');
    expect(() => resolved(() => Promise.resolve(METADATA))).toThrow('must be an absolute URL');
  });

  it('belongs to forRoot', () => {
    const main = resolveModuleOptions({ issuer: ISSUER, resource: RESOURCE });
    const further = { resource: 'https://api.example.com/b', resourceMetadataUrl: METADATA };
    expect(() => resolveFurtherOptions(further as never, main)).toThrow(
      'resourceMetadataUrl: is said for all resources at once: give forRoot a function of the resource',
    );
  });
});
