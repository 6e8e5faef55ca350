import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { headerLines, onlyLine, parseCredentials } from '../../../src/core/token/credentials.js';
import { AuthplaneError } from '../../../src/core/errors/authplane-error.js';
import {
  MalformedCredentialsError,
  TokenMissingError,
} from '../../../src/core/errors/token-errors.js';
import { expectRefusal } from '../../support/tokens/refusals.js';

const parse = (...values: string[]) =>
  parseCredentials(values.flatMap((value) => ['Authorization', value]));

describe('the Authorization header', () => {
  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('RFC 9110 §11.1: scheme %s', (scheme) => {
    expect(parse(`${scheme} abc`)).toEqual({ scheme: 'Bearer', token: 'abc' });
  });

  it.each(['DPoP', 'dpop', 'DPOP'])('RFC 9449 §7.1: scheme %s', (scheme) => {
    expect(parse(`${scheme} abc`)).toEqual({ scheme: 'DPoP', token: 'abc' });
  });

  it('RFC 9110 §11.4: several blanks between scheme and token', () => {
    expect(parse('Bearer    abc').token).toBe('abc');
  });

  it.each(['a', 'abc.def-ghi_jkl~mno+pqr/stu', 'abc=', 'abc==', 'A'.repeat(16_000)])(
    'RFC 6750 §2.1: a token68 is taken as it is',
    (token) => {
      expect(parse(`Bearer ${token}`).token).toBe(token);
    },
  );

  it.each([
    'Bearer\tabc',
    'Bearer abc ',
    'Bearer abc def',
    'Bearer abc,def',
    'Bearer abc, Bearer def',
    'Bearer =',
    'Bearer a=b',
    'Bearer "abc"',
    'Bearer abc\n',
    'Bearer \u00e9',
    'Bearer: abc',
    ' Bearer abc',
    'DPoP abc def',
    'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.AAAA',
    'Bearer_',
    'A'.repeat(33),
  ])('RFC 6750 §3.1: %j is a malformed request', async (value) => {
    await expectRefusal(() => parse(value), MalformedCredentialsError, /form "Bearer/);
  });

  it.each(['', ' ', 'Bearer', 'Bearer ', 'bearer   ', 'DPoP', 'Basic', 'AWS4-HMAC-SHA256', 'abc'])(
    '10.14a: %j is what an unset variable leaves: no credentials',
    async (value) => {
      await expectRefusal(() => parse(value), TokenMissingError, /empty, or a scheme without/);
    },
  );

  it('RFC 6750 §2: two header lines are a malformed request, also when equal', async () => {
    for (const lines of [
      ['Bearer abc', 'Bearer abc'],
      ['Bearer abc', 'DPoP abc'],
      ['Bearer abc', ''],
      ['Basic abc', 'Bearer abc'],
    ]) {
      await expectRefusal(() => parse(...lines), MalformedCredentialsError, /more than one/);
    }
  });

  it('RFC 6750 §3.1: no header, or one of another scheme, is no attempt at all', async () => {
    await expectRefusal(() => parse(), TokenMissingError, /no access token/);
    for (const value of ['Basic dXNlcjpwYXNz', 'Digest username="a"', 'Bearerx abc', 'Beare abc']) {
      await expectRefusal(() => parse(value), TokenMissingError, /another scheme/);
    }
  });

  it('T56: what was sent is not quoted', () => {
    for (const value of ['Bearer canary canary', 'canary', 'Canary canary']) {
      expect(() => parse(value)).toThrow(
        expect.objectContaining({ message: expect.not.stringMatching(/canary/i) }),
      );
    }
  });

  it('P10: any value is parsed or refused with a typed error', () => {
    const value = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'Bearer DPoP=,"\t') }),
    );
    fc.assert(
      fc.property(fc.array(value, { maxLength: 2 }), (values) => {
        try {
          const { token } = parse(...values);
          expect(values.join('').endsWith(token)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(AuthplaneError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('where headers come from', () => {
  it('rawHeaders: names in any case, values never taken for names', async () => {
    expect(parseCredentials(['AUTHORIZATION', 'Bearer abc']).token).toBe('abc');
    const value = ['X-Note', 'authorization', 'Host', 'Bearer abc'];
    await expectRefusal(() => parseCredentials(value), TokenMissingError, /no access token/);
  });

  it('rawHeaders: two lines whose names differ in case are two lines', async () => {
    const lines = ['authorization', 'Bearer a', 'Authorization', 'Bearer b'];
    await expectRefusal(() => parseCredentials(lines), MalformedCredentialsError, /more than one/);
  });

  it('a record: one value, a list of values, or two spellings of the name', async () => {
    expect(parseCredentials({ Authorization: 'Bearer abc' }).token).toBe('abc');
    expect(parseCredentials({ authorization: ['Bearer abc'] }).token).toBe('abc');
    const missing = () => parseCredentials({ authorization: undefined });
    await expectRefusal(missing, TokenMissingError, /no access token/);
    for (const record of [
      { authorization: ['Bearer a', 'Bearer b'] },
      { authorization: 'Bearer a', Authorization: 'Bearer b' },
    ]) {
      const twice = () => parseCredentials(record);
      await expectRefusal(twice, MalformedCredentialsError, /more than one/);
    }
  });

  it.each(['access_token', 'Proxy-Authorization', 'X-Authorization', 'Cookie', '__proto__'])(
    'RFC 6750 §2.2, §2.3: a token in %s is not looked at',
    async (name) => {
      const headers = [name, 'Bearer abc'];
      await expectRefusal(() => parseCredentials(headers), TokenMissingError, /no access token/);
    },
  );

  it('pairs, as of fetch: Headers, Map and a list of pairs', () => {
    const pairs = [['Authorization', 'Bearer abc'] as const];
    for (const headers of [new Headers(pairs.map((pair) => [...pair])), new Map(pairs), pairs]) {
      expect(parseCredentials(headers)).toEqual({ scheme: 'Bearer', token: 'abc' });
    }
    const twice = new Headers(pairs.map((pair) => [...pair]));
    twice.append('authorization', 'Bearer def'); // joined to one line, which is none of the grammar
    expect(() => parseCredentials(twice)).toThrow(MalformedCredentialsError);
    expect(() => parseCredentials([...pairs, ...pairs])).toThrow(MalformedCredentialsError);
  });

  it('headerLines keeps order and repetition', () => {
    const raw = ['DPoP', 'a', 'Host', 'x', 'dpop', 'b', 'DPoP'];
    expect(headerLines(raw, 'dpop')).toEqual(['a', 'b']);
    expect(headerLines({ DPoP: ['a', 'b'], dpop: 'c' }, 'dpop')).toEqual(['a', 'b', 'c']);
    expect(headerLines({}, 'dpop')).toEqual([]);
    expect(headerLines({}, 'constructor')).toEqual([]);
  });

  it('13.4: onlyLine is that of a header with one line', () => {
    for (const headers of [['Host', 'x', 'DPoP', 'a'], { dpop: 'a' }, [['DPoP', 'a'] as const]]) {
      expect(onlyLine(headers, 'dpop')).toBe('a');
    }
    for (const headers of [[], ['Host', 'x'], ['DPoP', 'a', 'dpop', 'a'], { dpop: ['a', 'a'] }]) {
      expect(onlyLine(headers, 'dpop')).toBeUndefined();
    }
    expect(onlyLine(['DPoP', ''], 'dpop')).toBe('');
    expect(onlyLine(['DPoP', '', 'DPoP', ''], 'dpop')).toBeUndefined();
  });
});
