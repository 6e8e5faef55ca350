import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { InsufficientScopeError } from '../../../src/core/errors/token-errors.js';
import {
  addScopeNeeds,
  areNeedsMet,
  challengeScopes,
  exactScopes,
  isScopeToken,
  NO_SCOPES,
  requireScopeNeeds,
  scopeCoverage,
  sumOfNeeds,
} from '../../../src/core/lib/scopes.js';

describe('coverage', () => {
  it('RFC 6749 §3.3: without a hierarchy names are equal or not', () => {
    expect(exactScopes(['a', 'b'], 'b')).toBe(true);
    expect(exactScopes(['a', 'b'], 'B')).toBe(false);
    expect(exactScopes([], 'a')).toBe(false);
    expect(scopeCoverage(undefined)).toBe(exactScopes);
  });

  it('a table is followed transitively, in its direction only', () => {
    const covers = scopeCoverage({ admin: ['write'], write: ['read', 'list'] });
    for (const scope of ['admin', 'write', 'read', 'list']) {
      expect(covers(['admin'], scope)).toBe(true);
    }
    expect(covers(['write'], 'admin')).toBe(false);
    expect(covers(['read'], 'write')).toBe(false);
    expect(covers(['read', 'list'], 'write')).toBe(false);
    expect(covers([], 'read')).toBe(false);
    expect(covers(['admin'], 'other')).toBe(false);
  });

  it('a table with a circle ends', () => {
    const covers = scopeCoverage({ a: ['b'], b: ['c'], c: ['a'] });
    expect(covers(['b'], 'a')).toBe(true);
    expect(covers(['a'], 'd')).toBe(false);
  });

  it.each(['__proto__', 'constructor', 'toString'])(
    'T10: %s implies what the table says and nothing else',
    (name) => {
      const covers = scopeCoverage({ admin: ['read'] });
      expect(covers([name], 'read')).toBe(false);
      expect(covers(['admin'], name)).toBe(false);
      expect(scopeCoverage({ [name]: ['read'] })([name], 'read')).toBe(true);
    },
  );

  it.each([[Promise.resolve(false)], [{}], ['yes'], [1], [undefined]])(
    'of what a function says only true is yes: %j',
    (answer) => {
      const covers = scopeCoverage(() => answer as never);
      expect(covers(['a'], 'b')).toBe(false);
      expect(covers(['a'], 'a')).toBe(true);
    },
  );

  it('a function decides pair by pair, and exact names need not ask it', () => {
    const asked: string[] = [];
    const covers = scopeCoverage((granted, required) => {
      asked.push(`${granted}>${required}`);
      return required.startsWith(`${granted}/`);
    });
    expect(covers(['x', 'tools'], 'tools/query')).toBe(true);
    expect(covers(['tools'], 'other/query')).toBe(false);
    expect(asked).toEqual(['x>tools/query', 'tools>tools/query', 'tools>other/query']);
    expect(covers(['tools'], 'tools')).toBe(true);
    expect(asked).toHaveLength(3);
  });
});

describe('needs', () => {
  it('add up: every scope once, every group kept', () => {
    const sum = addScopeNeeds(
      { all: ['a', 'b'], anyOf: [['x', 'y']] },
      { all: ['b', 'c'], anyOf: [['z']] },
      NO_SCOPES,
    );
    expect(sum).toEqual({
      all: ['a', 'b', 'c'],
      anyOf: [['x', 'y'], ['z']],
    });
    expect(addScopeNeeds()).toEqual(NO_SCOPES);
  });

  it('RFC 6750 §3.1: a challenge asks for all, and for the first of each group', () => {
    expect(challengeScopes({ all: ['a'], anyOf: [['x', 'y']] })).toEqual(['a', 'x']);
    expect(challengeScopes({ all: ['y'], anyOf: [['x', 'y']] })).toEqual(['y']);
    const overlapping = [
      ['x', 'y'],
      ['z', 'x'],
    ];
    expect(challengeScopes({ all: [], anyOf: overlapping })).toEqual(['x']);
    expect(challengeScopes(NO_SCOPES)).toEqual([]);
  });

  it('all of all and one of each group are needed', () => {
    const needs = { all: ['a', 'b'], anyOf: [['x', 'y'], ['z']] };
    const passes = (granted: string[]) => {
      try {
        requireScopeNeeds(granted, needs, exactScopes);
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(InsufficientScopeError);
        expect(error).toMatchObject({ requiredScopes: ['a', 'b', 'x', 'z'] });
        return false;
      }
    };
    expect(passes(['a', 'b', 'y', 'z'])).toBe(true);
    expect(passes(['b', 'y', 'z'])).toBe(false);
    expect(passes(['a', 'b', 'z'])).toBe(false);
    expect(passes(['a', 'b', 'x', 'y'])).toBe(false);
    expect(passes([])).toBe(false);
  });

  it('nothing needed passes with nothing granted', () => {
    expect(() => requireScopeNeeds([], NO_SCOPES, exactScopes)).not.toThrow();
    expect(areNeedsMet(NO_SCOPES, () => false)).toBe(true);
  });

  it('a group without entries cannot be met', () => {
    const needs = { all: [], anyOf: [[]] };
    expect(() => requireScopeNeeds(['a'], needs, exactScopes)).toThrow(InsufficientScopeError);
    expect(areNeedsMet(needs, () => true)).toBe(false);
  });

  it('a hierarchy is honoured in all and in groups', () => {
    const covers = scopeCoverage({ admin: ['a', 'y'] });
    const needs = { all: ['a'], anyOf: [['x', 'y']] };
    expect(() => requireScopeNeeds(['admin'], needs, covers)).not.toThrow();
  });

  it('RFC 6750 §3.1: a client that asks for exactly what a challenge names passes', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const needs = fc.record({
      all: fc.array(name, { maxLength: 3 }),
      anyOf: fc.array(fc.array(name, { minLength: 1, maxLength: 3 }), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(needs, (wanted) => {
        const granted = challengeScopes(wanted);
        expect(() => requireScopeNeeds(granted, wanted, exactScopes)).not.toThrow();
      }),
    );
  });
});

describe('13.2: the sum of two', () => {
  const first = { all: ['a'], anyOf: [] };

  it('13.2: is made once where the second is kept for good', () => {
    const second = Object.freeze({ all: ['b'], anyOf: [] });
    const sum = sumOfNeeds(first, second);
    expect(sum).toEqual({ all: ['a', 'b'], anyOf: [] });
    expect(sumOfNeeds(first, second)).toBe(sum);
    expect(sumOfNeeds({ all: ['c'], anyOf: [] }, second)).toEqual({ all: ['c', 'b'], anyOf: [] });
  });

  it('13.2: and anew where it may change', () => {
    const second = { all: ['b'], anyOf: [] };
    expect(sumOfNeeds(first, second)).not.toBe(sumOfNeeds(first, second));
  });
});

describe('scope tokens', () => {
  it('RFC 6749 §3.3: exactly the characters of the grammar', () => {
    for (let code = 0; code < 0x180; code++) {
      const legal =
        code === 0x21 || (code >= 0x23 && code <= 0x5b) || (code >= 0x5d && code <= 0x7e);
      expect(isScopeToken(`a${String.fromCharCode(code)}b`)).toBe(legal);
    }
  });

  it('1 to 256 characters', () => {
    expect(['', 'x'.repeat(257)].some(isScopeToken)).toBe(false);
    expect(['x', 'x'.repeat(256)].every(isScopeToken)).toBe(true);
  });

  it.each([undefined, null, 1, ['a'], {}])('%p is none', (value) => {
    expect(isScopeToken(value)).toBe(false);
  });
});
