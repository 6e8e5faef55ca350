import { expect, test } from 'vitest';
import { Expiries } from '../../../src/core/dpop/expiries.js';
import { sha256 } from '../../../src/core/lib/digest.js';

test('13: keeps each key once, whatever it is', () => {
  const expiries = new Expiries();
  const keys = [
    '',
    'a',
    'ab',
    '__proto__',
    'ä',
    ...Array.from({ length: 500 }, (_, i) => sha256(`${i}`)),
  ];
  for (const [i, key] of keys.entries()) {
    expiries.set(key, i);
    expiries.set(key, i + 1);
  }
  expect(expiries.size).toBe(keys.length);
  expect(keys.map((key) => expiries.get(key))).toEqual(keys.map((_, i) => i + 1));
  expect(new Set([...expiries].map(([key]) => key))).toEqual(new Set(keys));
  expiries.delete('a');
  expiries.delete('unknown');
  expect([expiries.size, expiries.get('a')]).toEqual([keys.length - 1, undefined]);
});

test('13: goes through all keys while they are deleted', () => {
  const expiries = new Expiries();
  for (let i = 0; i < 1000; i++) expiries.set(sha256(`${i}`), i);
  for (const [key, expiry] of expiries) if (expiry % 2 === 0) expiries.delete(key);
  expect(expiries.size).toBe(500);
});
