import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { schemeFor } from '../../../src/core/jws/signature-scheme.js';

test('13.3: what a key is asked with is made once for each algorithm it is used with', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const scheme = schemeFor(publicKey, 'RS256');
  expect(scheme).toMatchObject({ digest: 'sha256', key: publicKey, isQuick: true });
  expect(schemeFor(publicKey, 'RS256')).toBe(scheme);
  expect(schemeFor(publicKey, 'PS512')).toMatchObject({
    digest: 'sha512',
    key: { key: publicKey, saltLength: 64 },
  });
  expect(schemeFor(publicKey, 'RS256')).toEqual(scheme);
});

test('RFC 7518 §3.3: an RSA key has 2048 bits at least; PSS keys and names of other algorithms are none', () => {
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey;
  const good = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  for (const [key, alg] of [
    [short, 'RS256'],
    [pss, 'PS256'],
    [good, 'RS257'],
    [good, 'xRS256'],
    [good, 'RS256x'],
    [good, 'constructor'],
  ] as const) {
    expect(schemeFor(key, alg)).toBeUndefined();
  }
});
