import { expect, test } from 'vitest';
import { Expiries } from '../../../src/core/dpop/expiries.js';
import { sha256 } from '../../../src/core/lib/digest.js';

const hashes = (count: number): string[] => Array.from({ length: count }, (_, i) => sha256(`${i}`));

test('13: keeps each key once, whatever it is', () => {
  const expiries = new Expiries();
  const long = 'x'.repeat(43);
  const keys = [
    '',
    'a',
    'ab',
    '__proto__',
    'ä',
    long,
    `${long}x`,
    'B'.repeat(42) + 'A',
    ...hashes(500),
  ];
  for (const [i, key] of keys.entries()) {
    expiries.set(key, i);
    expiries.set(key, i + 1);
  }
  expect(expiries.size).toBe(keys.length);
  expect(keys.map((key) => expiries.get(key))).toEqual(keys.map((_, i) => i + 1));
  expect(expiries.get('unknown')).toBeUndefined();
});

test('13: texts that decode to the same bytes are different keys', () => {
  const expiries = new Expiries();
  const hash = sha256('one');
  // The last character of 43 has two bits to spare; a blank, padding and the other alphabet decode as well.
  const spellings = [
    hash,
    `${hash}=`,
    ` ${hash}`,
    hash.slice(0, -1) + 'B',
    hash.slice(0, -1) + 'C',
  ];
  for (const [i, key] of spellings.entries()) expiries.set(key, i);
  expect(expiries.size).toBe(spellings.length);
  expect(spellings.map((key) => expiries.get(key))).toEqual(spellings.map((_, i) => i));
});

test('13: forgets what expires before a moment, and finds all the rest', () => {
  const expiries = new Expiries();
  const keys = hashes(20_000);
  for (const [i, key] of keys.entries()) expiries.set(key, i);
  expect(expiries.forgetBefore(15_000)).toEqual({ count: 15_000, latest: 14_999, next: 15_000 });
  expect(expiries.size).toBe(5000);
  const kept = keys.filter((key) => expiries.get(key) !== undefined);
  expect(kept).toEqual(keys.slice(15_000));
  expect(expiries.forgetBefore(15_000)).toEqual({ count: 0, latest: -Infinity, next: 15_000 });
  expect(expiries.forgetBefore(Infinity)).toMatchObject({ count: 5000, next: Infinity });
  expect(expiries.size).toBe(0);
});
