import { describe, expect, it } from 'vitest';
import {
  isClaimText,
  isNumericDate,
  plainNumber,
  unlessEmpty,
} from '../../../src/core/jws/claim-values.js';

describe('isNumericDate', () => {
  it.each([0, 1, 0.5, 1_700_000_000.123, 99_999_999_999])('RFC 7519 §2: %p is one', (value) => {
    expect(isNumericDate(value)).toBe(true);
  });

  it.each([
    -1,
    -0.1,
    99_999_999_999.5,
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

describe('10.14: what a neighbour may write otherwise', () => {
  it.each([
    ['600', 600],
    ['1700000000.5', 1_700_000_000.5],
    [600, 600],
  ])('a number as text: %p', (value, number) => {
    expect(plainNumber(value)).toBe(number);
  });

  it.each(['', ' 600', '6e2', '0x10', '-1', '1.', '.5', '1_000', 'Infinity', '9'.repeat(16), null])(
    'no number: %p',
    (value) => {
      expect(plainNumber(value)).toBe(value);
    },
  );

  it('null and an empty text say as much as nothing', () => {
    expect([null, '', undefined].map(unlessEmpty)).toEqual([undefined, undefined, undefined]);
    expect([0, false, ' ', []].map(unlessEmpty)).toEqual([0, false, ' ', []]);
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
