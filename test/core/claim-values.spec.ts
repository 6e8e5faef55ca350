import { describe, expect, it } from '@jest/globals';
import { isClaimText, isNumericDate } from '../../src/core/claim-values.js';

describe('isNumericDate', () => {
  it.each([0, 1, 1_700_000_000, 99_999_999_999])('RFC 7519 §2: %p is one', (value) => {
    expect(isNumericDate(value)).toBe(true);
  });

  it.each([
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    100_000_000_000, // milliseconds, probably
    1_700_000_000_000,
    '1700000000',
    null,
    undefined,
    true,
    [1],
    {},
  ])('%p is none', (value) => {
    expect(isNumericDate(value)).toBe(false);
  });
});

describe('isClaimText', () => {
  it.each(['a', 'abc', 'é😀', ' '])('%j is one', (value) => {
    expect(isClaimText(value, 3)).toBe(true);
  });

  it.each(['', 'abcd', '\ud800', 'a\udc00', 1, null, undefined, ['a'], {}])(
    '%j is none',
    (value) => {
      expect(isClaimText(value, 3)).toBe(false);
    },
  );
});

it('counts characters, not the UTF-16 units of which emoji take two', () => {
  expect(isClaimText('😀'.repeat(4), 4)).toBe(true);
  expect(isClaimText('😀'.repeat(5), 4)).toBe(false);
  expect(isClaimText('a'.repeat(9), 4)).toBe(false);
});
