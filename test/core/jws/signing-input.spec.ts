import { describe, expect, it } from 'vitest';
import { signingInput } from '../../../src/core/jws/signing-input.js';

const encoded = (text: string) => Buffer.from(text).toString('base64url');
const HEADER = encoded('{"alg":"ES256"}');

describe('signingInput', () => {
  it('RFC 7515 §2: header and payload, whatever the signature', () => {
    expect(signingInput(`${HEADER}.payload.signature`)).toBe(`${HEADER}.payload`);
    expect(signingInput(`${HEADER}.payload.twin`)).toBe(`${HEADER}.payload`);
    const spelt = encoded(' {"alg" : "none"}');
    expect(signingInput(`${spelt}.payload.signature`)).toBe(`${spelt}.payload`);
  });

  it.each(['opaque', 'ya29.opaque', 'a.b.c.d', 'a..c', '.b.c', 'a.b.', '', '..'])(
    'a token that is none is itself: %p',
    (token) => {
      expect(signingInput(token)).toBe(token);
    },
  );

  it.each([
    'v4.public.payload',
    'header.payload.signature',
    `${encoded('{}')}.b.c`,
    `${encoded('{"alg":1}')}.b.c`,
    `${encoded('["alg"]')}.b.c`,
    `${encoded('null')}.b.c`,
    `${HEADER}.b.c.d`,
    `${HEADER}..c`,
    `${HEADER}.b.`,
  ])('10.14d: other formats with two dots are themselves: %p', (token) => {
    expect(signingInput(token)).toBe(token);
  });
});
