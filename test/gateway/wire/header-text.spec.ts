import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { headerText, textOfHeader } from '../../../src/gateway/wire/header-text.js';

describe('14.B: names in headers', () => {
  test('plain ones stand as they are, others in base64', () => {
    expect(headerText('list_events')).toBe('list_events');
    expect(headerText('été')).toBe('=?base64?w6l0w6k=?=');
    expect(headerText(' a')).toMatch(/^=\?base64\?/);
    expect(headerText('=?base64?YQ==?=')).not.toBe('=?base64?YQ==?=');
    expect(headerText('a\r\nb: c')).not.toContain('\n');
  });

  test('come back as they went', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        (text) => textOfHeader(headerText(text)) === text,
      ),
    );
  });

  test('a wrong encoding says nothing', () => {
    expect(textOfHeader('=?base64?YQ=?=')).toBeUndefined();
    expect(textOfHeader('=?base64?/w==?=')).toBeUndefined();
  });
});
