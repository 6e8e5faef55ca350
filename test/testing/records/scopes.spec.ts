import { describe, expect, it } from 'vitest';
import { intersection, parseScope, refuseBeyond } from '../../../src/testing/records/scopes.js';

const invalid = expect.objectContaining({ error: 'invalid_scope' });

describe('RFC 6749 §3.3: parseScope', () => {
  it.each<[string | undefined, string[]]>([
    [undefined, []],
    ['', []],
    ['b a', ['b', 'a']],
    [' a  a b ', ['a', 'b']],
    ['!#[]~', ['!#[]~']],
  ])('%j is %j', (value, scopes) => {
    expect(parseScope(value)).toEqual(scopes);
  });

  it.each(['a"', 'a\\b', 'a\tb', 'ü', 'a b\n'])('%j is malformed', (value) => {
    expect(() => parseScope(value)).toThrow(invalid);
    expect(() => parseScope(value)).toThrow('the scope parameter is malformed');
  });
});

it('refuseBeyond: every bound has all of them', () => {
  expect(() => refuseBeyond(['a'], [['a', 'b'], ['a']])).not.toThrow();
  expect(() => refuseBeyond([], [[]])).not.toThrow();
  expect(() => refuseBeyond(['x'], [])).not.toThrow();
  expect(() => refuseBeyond(['a', 'b'], [['a', 'b'], ['a']])).toThrow(invalid);
});

it('intersection: what all bounds have, in the order of the first', () => {
  expect(
    intersection([
      ['b', 'a', 'c'],
      ['a', 'b'],
    ]),
  ).toEqual(['b', 'a']);
  expect(intersection([['a']])).toEqual(['a']);
  expect(intersection([])).toEqual([]);
});
