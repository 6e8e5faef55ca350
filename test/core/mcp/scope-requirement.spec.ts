import { describe, expect, it } from 'vitest';
import { requirementProblem, scopeNeeds } from '../../../src/core/mcp/scope-requirement.js';

describe('what an operation may need', () => {
  it.each([
    [['a'], { all: ['a'], anyOf: [] }],
    [{ all: ['a', 'b'] }, { all: ['a', 'b'], anyOf: [] }],
    [{ any: ['a', 'b'] }, { all: [], anyOf: [['a', 'b']] }],
    [
      { all: ['a'], any: ['b', 'c'] },
      { all: ['a'], anyOf: [['b', 'c']] },
    ],
  ])('%j is %j', (requirement, needs) => {
    expect(requirementProblem(requirement)).toBeUndefined();
    expect(scopeNeeds(requirement)).toEqual(needs);
  });

  it.each<[unknown, RegExp]>([
    ['a', /list of scopes, an object with all or any, or a function/],
    [null, /list of scopes/],
    [5, /list of scopes/],
    [{ all: [] }, /all: names no scope/],
    [[], /names no scope/],
    [{}, /names no scope/],
    [{ any: [] }, /any: names no scope/],
    [{ all: ['a b'] }, /all: .* is not a scope/],
    [{ every: ['a'] }, /every: unknown; use all and any/],
  ])('%j is a mistake: it would protect nothing', (requirement, problem) => {
    expect(requirementProblem(requirement)).toMatch(problem);
  });

  it('a function is a rule', () => {
    expect(requirementProblem(() => false)).toBeUndefined();
  });
});
