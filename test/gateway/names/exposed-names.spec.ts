import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { exposedName, ownNameIn } from '../../../src/gateway/names/exposed-names.js';

const naming = { prefix: 'calendar', maxNameLength: 64 } as const;

/** RFC 4648 §6, bit by bit. */
function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? [])
    .map((five) => 'abcdefghijklmnopqrstuvwxyz234567'.charAt(Number.parseInt(five, 2)))
    .join('');
}

describe('14.A: exposed names', () => {
  test('have the prefix in front, or none', () => {
    expect(exposedName('list', naming)).toBe('calendar__list');
    expect(exposedName('list', { ...naming, prefix: false })).toBe('list');
    expect(exposedName('x'.repeat(54), naming)).toHaveLength(64);
  });

  test('that are too long end in 40 bits of SHA-256 of the whole, in base32', () => {
    const own = `${'y'.repeat(80)}é`;
    const digest = createHash('sha256').update(`calendar__${own}`, 'utf8').digest();
    const expected = `${`calendar__${own}`.slice(0, 55)}_${base32(digest.subarray(0, 5))}`;
    expect(exposedName(own, naming)).toBe(expected);
    expect(exposedName(own, naming)).toHaveLength(64);
    expect(exposedName(own, { ...naming, maxNameLength: 50 })).toHaveLength(50);
  });

  test('never exceed the limit, and differ where the names do', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.string({ maxLength: 200 }), (one, other) => {
        const [a, b] = [exposedName(one, naming), exposedName(other, naming)];
        return a.length <= 64 && (a === b) === (one === other);
      }),
    );
  });

  test('tell whose they may be', () => {
    expect(ownNameIn('calendar__a__b', 'calendar')).toBe('a__b');
    expect(ownNameIn('calendar_a', 'calendar')).toBeUndefined();
    expect(ownNameIn('a', false)).toBe('a');
  });
});
