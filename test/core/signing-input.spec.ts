import { describe, expect, it } from '@jest/globals';
import { signingInput } from '../../src/core/signing-input.js';

describe('signingInput', () => {
  it('RFC 7515 §2: header and payload, whatever the signature', () => {
    expect(signingInput('header.payload.signature')).toBe('header.payload');
    expect(signingInput('header.payload.twin')).toBe('header.payload');
  });

  it.each(['opaque', 'ya29.opaque', 'a.b.c.d', 'a..c', '.b.c', 'a.b.', '', '..'])(
    'a token that is none is itself: %p',
    (token) => {
      expect(signingInput(token)).toBe(token);
    },
  );
});
