import { describe, expect, it } from 'vitest';
import { resolveClientOptions } from '../../../src/core/options.js';
import { ISSUER, optionProblems } from '../../support/tokens/option-problems.js';

describe('outbound calls', () => {
  it.each<[string, unknown[], RegExp]>([
    ['devMode', ['true', 1, null], /true or false/],
    ['fetch', ['fetch', {}, null], /must be a function/],
    ['requestTimeoutSeconds', [0, 61, NaN, '5', null], /from 1 to 60/],
    ['maxSockets', [0, 10_001, 1.5, null], /from 1 to 10000/],
  ])('%s: %p is a mistake', (name, values, problem) => {
    for (const value of values) {
      expect(optionProblems(name, value)).toEqual([expect.stringMatching(problem)]);
    }
  });

  it('have the defaults of the contract', () => {
    const resolved = resolveClientOptions({ issuer: ISSUER });
    expect(resolved).toMatchObject({ devMode: false, requestTimeoutSeconds: 5, maxSockets: 32 });
    expect(resolved).not.toHaveProperty('fetch');
  });
});
