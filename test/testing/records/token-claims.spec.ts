import { describe, expect, it } from 'vitest';
import {
  audienceOf,
  boundKeyOf,
  jtiOf,
  textOf,
} from '../../../src/testing/records/token-claims.js';

const jwt = (claims: object) =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.AAAA`;

it.each<[unknown, string]>([
  ['a', 'a'],
  [['a', 'b'], 'a'],
  [[], ''],
  [[5], ''],
  [undefined, ''],
])('audienceOf: aud %j is %j', (aud, audience) => {
  expect(audienceOf({ aud })).toBe(audience);
});

it.each<[unknown, string | undefined]>([
  [{ jkt: 'k' }, 'k'],
  [{ jkt: '' }, undefined],
  [{ jkt: 5 }, undefined],
  [{}, undefined],
  ['k', undefined],
  [undefined, undefined],
])('RFC 9449 §6.1, boundKeyOf: cnf %j is bound to %j', (cnf, key) => {
  expect(boundKeyOf({ cnf })).toBe(key);
});

describe('jtiOf', () => {
  it('is that of a token, whoever signed it; any other text is one itself', () => {
    expect(jtiOf(jwt({ jti: 'a' }))).toBe('a');
    expect([jtiOf('a'), jtiOf('a.b.c'), jtiOf('')]).toEqual(['a', 'a.b.c', '']);
  });

  it('a token without one is a mistake', () => {
    for (const claims of [{}, { jti: 5 }]) {
      expect(() => jtiOf(jwt(claims))).toThrow(/no jti|jti/);
    }
  });
});

it('textOf: what is no text is empty', () => {
  expect(['a', '', 5, null, undefined, {}].map(textOf)).toEqual(['a', '', '', '', '', '']);
});
