import { describe, expect, it } from 'vitest';
import { optionProblems } from '../../support/tokens/option-problems.js';

describe('access tokens', () => {
  it.each<[string, unknown[], RegExp]>([
    ['clockSkewSeconds', [-1, 121, NaN, Infinity, '60', null], /from 0 to 120/],
    ['maxTokenLength', [1023, 131_073, 2000.5, NaN, '2000', null], /from 1024 to 131072/],
    ['maxTokenLifetimeSeconds', [59, 31_536_001, NaN, Infinity, '60', null], /from 60 to 31536000/],
    ['allowedAlgorithms', ['ES256', {}, null, []], /list with at least one entry/],
    [
      'allowedAlgorithms',
      [['HS256'], ['ES256', 'none'], ['es256'], ['ES256K'], [null], [undefined], [1n]],
      /is not allowed; choose from ES256/,
    ],
    ['verification', ['', 'SYNC', true, null], /'?auto'?/],
    ['verifiedTokens', [1000, null, []], /must be an object/],
    [
      'verifiedTokens',
      [{ maxEntries: -1 }, { maxEntries: 1.5 }, { maxEntries: '9' }, { maxEntries: 10_000_001 }],
      /from 0 to 10000000/,
    ],
    ['verifiedTokens', [{ max: 1 }], /unknown option/],
    ['scopeHierarchy', ['admin', 1, null], /table or a function/],
    ['scopeHierarchy', [[], new Map()], /table or a function/],
    ['scopeHierarchy', [{ admin: 'read' }, { admin: null }], /"admin": must be a list/],
    ['scopeHierarchy', [{ admin: ['a b'] }, { admin: [undefined] }], /"admin": .* is not a scope/],
  ])('%s: %p is a mistake', (name, values, problem) => {
    for (const value of values) {
      expect(optionProblems(name, value)).toEqual([expect.stringMatching(problem)]);
      expect(optionProblems(name, value)[0]).toMatch(new RegExp(`^${name}: `));
    }
  });

  it.each<[string, unknown[]]>([
    ['clockSkewSeconds', [0, 120]],
    ['maxTokenLifetimeSeconds', [60, 31_536_000]],
    ['maxTokenLength', [1024, 131_072]],
    ['verification', ['auto', 'sync', 'pool']],
    ['verifiedTokens', [{}, { maxEntries: 0 }, { maxEntries: 10_000_000 }]],
    ['allowedAlgorithms', [['ES256'], ['RS512', 'PS384', 'Ed25519', 'ES512']]],
    ['scopeHierarchy', [{}, { admin: [] }, { admin: ['read'] }, () => true]],
  ])('%s takes %p', (name, values) => {
    for (const value of values) expect(optionProblems(name, value)).toEqual([]);
  });
});
