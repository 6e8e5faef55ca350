import { describe, expect, it } from 'vitest';
import { CALLER_SETTINGS, callerChecks } from '../../src/core/caller-settings.js';
import { problemsOf } from '../../src/core/lib/option-checks.js';
import { withDefaults } from '../../src/core/lib/settings.js';
import { optionProblems } from '../support/tokens/option-problems.js';

const load = () => undefined;

describe('otherCredentials', () => {
  it.each([load, async () => undefined, false])('%o is taken', (value) => {
    expect(optionProblems('otherCredentials', value)).toEqual([]);
  });

  it.each([true, null, {}, 'header', { load, cacheSeconds: 5 }])('%o is a mistake', (value) => {
    expect(optionProblems('otherCredentials', value)).toEqual([
      'otherCredentials: must be a function',
    ]);
  });
});

describe('user', () => {
  it.each([
    load,
    false,
    { load, cacheSeconds: 1 },
    { load, cacheSeconds: 3600 },
    { load, cacheSeconds: 2.5, key: () => 'sub' },
    { load, cacheSeconds: 1, key: undefined },
  ])('%o is taken', (value) => {
    expect(optionProblems('user', value)).toEqual([]);
  });

  it.each<[unknown, string]>([
    [true, 'must be an object'],
    [null, 'must be an object'],
    ['sub', 'must be an object'],
    [[load], 'must be an object'],
    [{ load }, 'must be a function, or have load and cacheSeconds'],
    [{ cacheSeconds: 5 }, 'must be a function, or have load and cacheSeconds'],
    [{}, 'must be a function, or have load and cacheSeconds'],
    [{ load: 'sub', cacheSeconds: 5 }, 'load: must be a function'],
    [{ load, cacheSeconds: 0.9 }, 'cacheSeconds: must be a number of seconds from 1 to 3600'],
    [{ load, cacheSeconds: 3601 }, 'cacheSeconds: must be a number of seconds from 1 to 3600'],
    [{ load, cacheSeconds: '5' }, 'cacheSeconds: must be a number of seconds from 1 to 3600'],
    [{ load, cacheSeconds: 5, key: 'sub' }, 'key: must be a function'],
    [{ load, cache_seconds: 5 }, 'cache_seconds: unknown option; did you mean cacheSeconds?'],
  ])('%o: %s', (value, problem) => {
    expect(optionProblems('user', value)).toEqual([`user: ${problem}`]);
  });
});

describe('who else may call', () => {
  it('is nobody by default', () => {
    expect(withDefaults(CALLER_SETTINGS, {})).toEqual({});
  });

  it('has no other options', () => {
    const given = { otherCredentials: load, user: load, users: load };
    expect(problemsOf(given, callerChecks, false)).toEqual(['users: unknown option']);
  });
});
