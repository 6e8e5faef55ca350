import { describe, expect, it, test } from 'vitest';
import {
  checkedBaseUrl,
  describedResources,
  knownResources,
  withNames,
} from '../../../src/core/names/settings.js';
import { moduleProblems, ISSUER } from '../../support/tokens/option-problems.js';

const problemsWith = (options: object) => moduleProblems({ issuer: ISSUER, ...options });
const isResource = () => true;
const A = 'https://a.example';
const B = 'https://b.example';

describe('12.4: an application with several names or paths', () => {
  test.each<[string, object]>([
    ['a list of names', { baseUrl: [A, B] }],
    ['a name in a list', { baseUrl: [A] }],
    ['a function', { baseUrl: () => A }],
    ['a path with parameters', { baseUrl: A, mcpPath: '/:org/mcp/:profile', isResource }],
    ['names and paths', { baseUrl: [A, `${B}:8443/base`], mcpPath: '/mcp/:profile', isResource }],
    [
      'documents that others host',
      { baseUrl: [A, B], resourceMetadataUrl: (uri: string) => `${uri}/metadata` },
    ],
  ])('may have %s', (_name, options) => {
    expect(problemsWith(options)).toEqual([]);
  });

  test.each<[string, object, RegExp]>([
    ['an empty list', { baseUrl: [] }, /^baseUrl: .*at least one/],
    ['a list with a hole', { baseUrl: [A, , B] }, /^baseUrl: must be an absolute URL/],
    ['a list with http', { baseUrl: [A, 'http://b.example'] }, /^baseUrl: must use https/],
    ['two ports of one name', { baseUrl: [A, `${A}:8443`] }, /^baseUrl: two entries.*a\.example/],
    ['two paths of one name', { baseUrl: [`${A}/x`, `${A}/y`] }, /^baseUrl: two entries/],
    [
      'a name with a dot behind it',
      { baseUrl: ['https://a.example.'] },
      /^baseUrl: a\.example\. is/,
    ],
    ['a number', { baseUrl: 1 }, /^baseUrl: must be an absolute URL/],
    ['one URI beside names', { baseUrl: [A], resource: `${A}/mcp` }, /^resource: is one URI/],
    [
      'one URI beside parameters',
      { resource: `${A}/mcp`, mcpPath: '/mcp/:id', isResource },
      /^resource: is one URI/,
    ],
    [
      'parameters without isResource',
      { baseUrl: A, mcpPath: '/mcp/:id' },
      /^mcpPath: .*isResource/,
    ],
    ['isResource without parameters', { baseUrl: A, isResource }, /^isResource: .*no parameter/],
    ['isResource that is none', { baseUrl: A, mcpPath: '/:id', isResource: true }, /^isResource: /],
    [
      'a path that clients write otherwise',
      { baseUrl: () => A, mcpPath: '/a/../:id', isResource },
      /^baseUrl and mcpPath: /,
    ],
    [
      'one document for all',
      { baseUrl: [A, B], resourceMetadataUrl: `${A}/metadata` },
      /^resourceMetadataUrl: is one URL/,
    ],
  ])('must not have %s', (_name, options, problem) => {
    expect(problemsWith(options)).toEqual([expect.stringMatching(problem)]);
  });

  it('is told from one with a single resource', () => {
    expect(withNames({ baseUrl: A }, false)).toBeUndefined();
    expect(withNames({}, false)).toBeUndefined();
  });

  it('has resources that are known, described, or neither', () => {
    const list = withNames({ baseUrl: [`${A}/`, `${B}:8443`] }, false);
    const paths = withNames({ baseUrl: A, mcpPath: '/mcp/:id', isResource }, false);
    const any = withNames({ baseUrl: () => A }, false);
    expect([list, paths, any].map((names) => names && knownResources(names))).toEqual([
      [`${A}/mcp`, `${B}:8443/mcp`],
      [],
      [],
    ]);
    expect([list, paths, any].map((names) => names && describedResources(names))).toEqual([
      `${A}/mcp, ${B}:8443/mcp`,
      `${A}/mcp/:id`,
      '/mcp of each host name',
    ]);
  });

  test.each<[unknown, RegExp]>([
    [null, /must be a string/],
    ['', /must be an absolute URL/],
    ['http://a.example', /must use https/],
    ['https://A.example', /is written/],
    [`${A}/?x`, /no query/],
    [`${A}/../x`, /is written/],
  ])('row 13: what its function gives is checked: %p', (given, problem) => {
    expect(() => checkedBaseUrl(given, { mcpPath: '/mcp', devMode: false })).toThrow(problem);
  });

  it('row 13: and taken as it is where nothing is wrong', () => {
    const names = { mcpPath: '/mcp', devMode: false };
    expect([checkedBaseUrl(A, names), checkedBaseUrl(undefined, names)]).toEqual([A, undefined]);
  });
});
