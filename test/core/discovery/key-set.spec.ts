import { beforeAll, describe, expect, test } from 'vitest';
import { KeySet } from '../../../src/core/discovery/key-set.js';
import { DocumentRefused } from '../../../src/core/discovery/remote-document.js';
import {
  rsaSigningKey,
  type SigningKey,
  signingKey,
} from '../../support/tokens/keys-and-tokens.js';

const URL_OF_SET = 'https://auth.example.com/jwks';

let ec: SigningKey;
let ed: SigningKey;
let rsa: SigningKey;

beforeAll(() => {
  ec = signingKey('ES256', 'ec');
  ed = signingKey('EdDSA', 'ed');
  rsa = rsaSigningKey('rsa');
});

const read = (keys: readonly unknown[], previous?: KeySet): KeySet =>
  KeySet.read({ keys }, previous, URL_OF_SET);

/** So many keys that import is left for later, `jwk` among them. */
const large = (...jwks: readonly unknown[]): unknown[] => [
  ed.jwk,
  ...jwks,
  ...Array.from({ length: 100 }, (_, i) => ({ ...ec.jwk, kid: `other-${i}` })),
];

describe('10.14: a key set', () => {
  test('selects by kid, type, curve and alg', () => {
    const set = read([ec.jwk, ed.jwk, rsa.jwk]);
    expect(set.select('ec', 'ES256')?.key.asymmetricKeyType).toBe('ec');
    expect(set.select('ed', 'Ed25519')?.key.asymmetricKeyType).toBe('ed25519');
    expect(set.select('rsa', 'RS256')?.key.asymmetricKeyType).toBe('rsa');
    for (const [kid, alg] of [
      ['ec', 'ES384'],
      ['ec', 'EdDSA'],
      ['rsa', 'PS256'],
      ['rsa', 'HS256'],
      ['ed', 'none'],
      ['none', 'ES256'],
    ] as const) {
      expect([kid, alg, set.select(kid, alg)]).toEqual([kid, alg, undefined]);
    }
  });

  test('an unchanged key is the same object in the next set, a changed one is not', () => {
    const first = read(large(rsa.jwk));
    const [kept, replaced] = [first.select('rsa', 'RS256'), first.select('ed', 'EdDSA')];
    const second = read(large(rsa.jwk, { ...ed.jwk, alg: undefined }).slice(1), first);
    expect(second.select('rsa', 'RS256')).toBe(kept);
    expect(second.includes(kept!)).toBe(true);
    expect(second.select('ed', 'EdDSA')).toBeDefined();
    expect(second.includes(replaced!)).toBe(false);
    expect(read([ec.jwk], second).includes(kept!)).toBe(false);
  });

  test('of a large set a weak key is found out when it is asked for, and never used', () => {
    const weak = rsaSigningKey('weak', { modulusLength: 1024 });
    const set = read(large(weak.jwk));
    expect(set.unusable).toEqual([]);
    for (let i = 0; i < 3; i++) expect(set.select('weak', 'RS256')).toBeUndefined();
    expect(set.unusable).toEqual([
      'a key with the kid "weak" is not an RSA key of 2048 to 8192 bits',
    ]);
    expect(() => read([weak.jwk])).toThrow(DocumentRefused); // alone it makes no set
  });

  test('a broken namesake does not make a good key ambiguous, a good one does', () => {
    const broken = { ...signingKey('ES256', 'ec').jwk, y: ec.jwk['x'] };
    const twin = signingKey('ES256', 'ec').jwk;
    expect(read(large(ec.jwk, broken)).select('ec', 'ES256')).toBeDefined();
    expect(read(large(ec.jwk, twin)).select('ec', 'ES256')).toBeUndefined();
  });

  test('a set of keys that no algorithm fits is refused', () => {
    const useless = [
      { ...ec.jwk, alg: 'RS256' },
      { ...rsa.jwk, alg: 'ES256' },
    ];
    expect(() => read(useless)).toThrow(/no usable key: key 0 has an alg .* key 1 has an alg/);
  });
});
