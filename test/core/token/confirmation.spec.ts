import { describe, expect, it } from 'vitest';
import { thumbprintIn } from '../../../src/core/token/confirmation.js';

describe('RFC 9449 §6.1: the thumbprint in a cnf claim', () => {
  it('is what jkt says, of whatever type', () => {
    expect(thumbprintIn({ jkt: 'abc', x5t: 'no' })).toBe('abc');
    expect(thumbprintIn({ jkt: 5 })).toBe(5);
  });

  it.each([[undefined], [null], ['abc'], [['abc']], [{}], [{ JKT: 'abc' }]])(
    'there is none in %j',
    (cnf) => {
      expect(thumbprintIn(cnf)).toBeUndefined();
    },
  );
});
