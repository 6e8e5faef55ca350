import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import {
  deepFreeze,
  parseStrictJson,
  parseStrictJsonObject,
  StrictJsonError,
} from '../../../src/core/lib/strict-json.js';
import { isJsonObject, member } from '../../../src/core/lib/members.js';

const parse = (text: string) => parseStrictJson(Buffer.from(text));

describe('what is accepted', () => {
  it.each(['{}', '[]', 'null', 'true', '0', '""', '-1.5e3', ' \t\r\n{ "a" : [ 1 , 2 ] } \n'])(
    'RFC 8259 §2: %j',
    (text) => {
      expect(parse(text)).toEqual(JSON.parse(text));
    },
  );

  it('every value that JSON.stringify writes comes back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['one name in sibling objects', '[{"a":1},{"a":2}]'],
    ['one name in nested objects', '{"a":{"a":{"a":1}}}'],
    ['one name before and behind a nested object', '{"a":1,"b":{"a":2},"c":3}'],
    ['a name that is also a value', '{"a":"a","b":"a"}'],
    ['a value that looks like a member', '{"a":"\\"a\\":1","b":"{\\"a\\":1,\\"a\\":2}"}'],
    ['a value that ends with a backslash', '{"a":"\\\\","b":"\\\\"}'],
    ['names that differ in case', '{"a":1,"A":2}'],
    ['names that differ in Unicode form', '{"\u00e9":1,"e\u0301":2}'],
    ['brackets inside strings', '{"a":"}{][","b":"]}"}'],
    ['equal strings in a list', '["a","a"]'],
    ['names of built-in members', '{"__proto__":1,"constructor":2,"toString":3}'],
  ])('RFC 8259 §4: no duplicate: %s', (_, text) => {
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  it('32 levels of nesting', () => {
    expect(() => parse(`${'['.repeat(32)}${']'.repeat(32)}`)).not.toThrow();
    expect(() => parse(`${'{"a":'.repeat(32)}1${'}'.repeat(32)}`)).not.toThrow();
  });
});

describe('what is refused', () => {
  it.each([
    ['a plain duplicate', '{"a":1,"a":1}'],
    ['a duplicate behind others', '{"a":1,"b":2,"c":3,"a":4}'],
    ['an escaped duplicate', '{"a":1,"\\u0061":2}'],
    ['an escaped duplicate in upper-case hex', '{"\\u004A":1,"J":2}'],
    ['a duplicate of the empty name', '{"":1,"":2}'],
    ['a duplicate with blanks before the colon', '{"a":1,"a" \t\r\n:2}'],
    ['a duplicate behind a nested object', '{"a":1,"b":{"c":[]},"a":2}'],
    ['a duplicate behind a list', '{"a":[{"x":1}],"a":2}'],
    ['a duplicate inside a list', '[1,{"a":1,"a":2}]'],
    ['a duplicate deep down', '{"a":{"b":{"c":1,"c":2}}}'],
    ['a duplicate of __proto__', '{"__proto__":1,"__proto__":2}'],
    ['a duplicate with an escaped quote', '{"\\"":1,"\\u0022":2}'],
    ['a duplicate behind a string that ends with a backslash', '{"a":"\\\\","a":1}'],
    ['a duplicate surrogate pair, once escaped', '{"\u{1f600}":1,"\\ud83d\\ude00":2}'],
  ])('RFC 8259 §4: %s', (_, text) => {
    expect(JSON.parse(text)).toBeDefined(); // the platform takes it
    expect(() => parse(text)).toThrow(new StrictJsonError('a member is named twice'));
  });

  it('RFC 8259 §4: any member written twice, wherever it stands', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 0, maxLength: 5 }), { minLength: 1 });
    fc.assert(
      fc.property(names, fc.nat(), fc.nat(), fc.jsonValue({ maxDepth: 3 }), (all, from, to, v) => {
        const twice = [...all];
        twice.splice(to % (all.length + 1), 0, all[from % all.length] ?? '');
        const members = twice.map((name) => `${JSON.stringify(name)}:${JSON.stringify(v)}`);
        expect(() => parse(`{${members.join(',')}}`)).toThrow(StrictJsonError);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['33 lists', `${'['.repeat(33)}${']'.repeat(33)}`],
    ['33 objects', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`],
    ['a mixture', `${'[{"a":'.repeat(17)}1${'}]'.repeat(17)}`],
    ['100,000 levels', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['100,000 openings', '['.repeat(100_000)],
  ])('G15: nested too deeply: %s', (_, text) => {
    expect(() => parse(text)).toThrow(new StrictJsonError('nested too deeply'));
  });

  it('closers without openers do not make room for more depth', () => {
    const text = `${'['.repeat(20)}${']'.repeat(40)}${'['.repeat(40)}`;
    expect(() => parse(text)).toThrow(StrictJsonError);
  });

  it.each([
    ['nothing', ''],
    ['blanks', '  '],
    ['trailing data', '{}{}'],
    ['a trailing comma', '{"a":1,}'],
    ['single quotes', "{'a':1}"],
    ['NaN', '[NaN]'],
    ['Infinity', '[Infinity]'],
    ['a comment', '{}//'],
    ['an open string', '"abc'],
    ['an open string at an escape', '"abc\\'],
    ['a raw line feed in a string', '"a\nb"'],
    ['a raw NUL', '"\0"'],
    ['a leading zero', '01'],
    ['a bad escape', '"\\x"'],
    ['a bad escape in a name', '{"\\x":1}'],
    ['mismatched brackets', '[}'],
    ['a byte order mark', '\ufeff{}'],
    ['a no-break space', '\u00a0{}'],
  ])('RFC 8259: %s', (_, text) => {
    expect(() => parse(text)).toThrow(new StrictJsonError('not valid JSON'));
  });

  it.each([
    ['a lone continuation byte', [0x80]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate in UTF-8', [0xed, 0xa0, 0x80]],
    ['a cut sequence', [0xe2, 0x82]],
    ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['UTF-16', [...Buffer.from('a', 'utf16le'), 0xff, 0xfe]],
  ])('RFC 8259 §8.1: bytes that are no UTF-8: %s', (_, bytes) => {
    const text = Buffer.from([0x22, ...bytes, 0x22]);
    expect(() => parseStrictJson(text)).toThrow(new StrictJsonError('not valid UTF-8'));
  });

  it('P10: whatever the bytes are, the outcome is a value of JSON.parse or a StrictJsonError', () => {
    const jsonLike = fc.string({ unit: fc.constantFrom(...'{}[]",:\\ua01 \n'), maxLength: 40 });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      jsonLike.map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        let value: unknown;
        try {
          value = parseStrictJson(input);
        } catch (error) {
          expect(error).toBeInstanceOf(StrictJsonError);
          return;
        }
        expect(value).toEqual(JSON.parse(Buffer.from(input).toString()));
      }),
      { numRuns: 5000 },
    );
  });

  it.each(['{"canary":', '{"canary":1,"canary":2}', 'canary', '"canary'])(
    'T56: the message does not quote %j',
    (text) => {
      expect(() => parse(text)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('canary') }),
      );
    },
  );
});

describe('objects', () => {
  it.each(['[]', 'null', '"a"', '1', 'true'])('%s is refused where an object is wanted', (text) => {
    expect(() => parseStrictJsonObject(Buffer.from(text))).toThrow(
      new StrictJsonError('not a JSON object'),
    );
  });

  it('an object is handed back, with an own __proto__ if the text has one', () => {
    const object = parseStrictJsonObject(Buffer.from('{"a":1,"__proto__":{"b":2}}'));
    expect(Object.keys(object)).toEqual(['a', '__proto__']);
    expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
  });

  it('isJsonObject tells objects from all else', () => {
    expect([{}, { a: 1 }].every(isJsonObject)).toBe(true);
    expect([[], null, undefined, 'a', 1, true].some(isJsonObject)).toBe(false);
  });

  it('deepFreeze freezes the value and all that is in it', () => {
    const value = parse('{"a":{"b":[{"c":1}]},"d":null,"__proto__":{"e":1}}') as {
      a: { b: [object] };
    };
    expect(deepFreeze(value)).toBe(value);
    const own = member(value, '__proto__');
    expect([value, value.a, value.a.b, value.a.b[0], own].every(Object.isFrozen)).toBe(true);
    expect(Object.isFrozen(Object.prototype)).toBe(false);
    expect(deepFreeze('text')).toBe('text');
    expect(deepFreeze(null)).toBeNull();
  });

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'T10: member finds no built-in %s, and finds an own one',
    (name) => {
      expect(member({}, name)).toBeUndefined();
      const own = parseStrictJsonObject(Buffer.from(`{"${name}":"own"}`));
      expect(member(own, name)).toBe('own');
    },
  );
});
