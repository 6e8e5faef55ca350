import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { sha256, tupleHash } from '../../../src/core/lib/digest.js';

describe('sha256', () => {
  it.each([
    ['', '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU'],
    ['abc', 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0'], // FIPS 180-2 appendix B.1
  ])('FIPS 180-2: of %p in base64url', (text, expected) => {
    expect(sha256(text)).toBe(expected);
  });
});

describe('tupleHash', () => {
  it('tells apart what only moves between the parts', () => {
    const lists = [
      [],
      [''],
      ['', ''],
      ['ab'],
      ['a', 'b'],
      ['ab', ''],
      ['', 'ab'],
      ['1:a'],
      ['a1:b'],
    ];
    expect(new Set(lists.map(tupleHash)).size).toBe(lists.length);
  });

  it('T31: differs for any two lists', () => {
    const part = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('0:', '1:', '2:a', '11:'));
    const list = fc.array(part, { maxLength: 4 });
    fc.assert(
      fc.property(list, list, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        expect(tupleHash(one) === tupleHash(other)).toBe(isSame);
      }),
      { numRuns: 1000 },
    );
  });
});
