import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { formEncoded, formOf, oneLine, printable, quoted } from '../../../src/core/lib/text.js';
import { anyText } from '../../support/text/any-text.js';

describe('quoted', () => {
  it('shows plain text as it is, in quotes', () => {
    expect(quoted('https://auth.example.com/a?b=c')).toBe('"https://auth.example.com/a?b=c"');
  });

  it('cuts off what is too long', () => {
    expect(quoted('x'.repeat(5000))).toBe(`"${'x'.repeat(200)}"`);
    expect(quoted('x'.repeat(5000), 3)).toBe('"xxx"');
  });

  it.each([
    ['\r\n', '"\\r\\n"'],
    ['"\\', '"\\"\\\\"'],
    ['\u001b[2J', '"\\u001b[2J"'],
    ['\u007f\u0085\u009b', '"\\u007f\\u0085\\u009b"'],
    ['\u2028\u202e', '"\\u2028\\u202e"'],
    ['аuth', '"\\u0430uth"'], // a Cyrillic letter that looks like another
    ['\ud800', '"\\ud800"'],
    ['😀', '"\\ud83d\\ude00"'],
  ])('lets nothing break the line or hide: %j', (text, expected) => {
    expect(quoted(text)).toBe(expected);
  });

  it('is printable ASCII from which the text can be read back', () => {
    fc.assert(
      fc.property(anyText({ maxLength: 100 }), (text) => {
        expect(quoted(text)).toMatch(/^[\x20-\x7e]+$/);
        expect(JSON.parse(quoted(text))).toBe(text);
      }),
    );
  });
});

describe('text that is shown as it is', () => {
  const hostile = 'a\u001b[31m\r\nb\u202ec\u00e9';

  it('printable: one character for each, bounded', () => {
    expect(printable(hostile, 100)).toBe('a?[31m??b?c?');
    expect(printable('abc', 2)).toBe('ab');
  });

  it('oneLine: a blank for each run, none at the ends, bounded', () => {
    expect(oneLine(`\n${hostile}\n`, 100)).toBe('a [31m b c');
    expect(oneLine('abc', 2)).toBe('ab');
  });

  it('RFC 6749 appendix B: formEncoded', () => {
    expect(formEncoded(' %&+\u00a3\u20ac')).toBe('+%25%26%2B%C2%A3%E2%82%AC');
    expect(formEncoded('')).toBe('');
  });

  it('13.7: RFC 6749 appendix B: formOf writes what URLSearchParams does', () => {
    const text = fc.oneof(
      anyText({ maxLength: 40 }),
      fc.string({ unit: 'binary' }),
      fc.base64String(),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 5 }), (pairs) => {
        expect(formOf(pairs)).toBe(new URLSearchParams(pairs).toString());
      }),
    );
    expect(formOf([['a', "!'()~*-._ %20\ud800"]])).toBe('a=%21%27%28%29%7E*-._+%2520%EF%BF%BD');
  });
});
