import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { compactVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { compactJws, type SignatureAlgorithm } from '../../../src/testing/records/compact-jws.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const keys = {
  ...{ RS256: rsa, RS384: rsa, RS512: rsa, PS256: rsa, PS384: rsa, PS512: rsa },
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  EdDSA: generateKeyPairSync('ed25519').privateKey,
};

describe('compactJws', () => {
  it.each(Object.keys(keys) as SignatureAlgorithm[])(
    'RFC 7518, RFC 8037: %s verifies',
    async (alg) => {
      const privateKey = keys[alg];
      const jws = compactJws({ alg, typ: 'x' }, { a: 'ü' }, { alg, privateKey });
      const { payload, protectedHeader } = await compactVerify(jws, createPublicKey(privateKey));
      expect(protectedHeader).toEqual({ alg, typ: 'x' });
      expect(JSON.parse(Buffer.from(payload).toString())).toEqual({ a: 'ü' });
    },
  );

  it('is signed as the key says, whatever the header claims', async () => {
    const key = { alg: 'ES256', privateKey: keys.ES256 } as const;
    const claimed = compactJws({ alg: 'ES384' }, {}, key).split('.');
    expect(Buffer.from(claimed[2] ?? '', 'base64url')).toHaveLength(64);
  });

  it('under none has no signature', () => {
    const key = { alg: 'ES256', privateKey: keys.ES256 } as const;
    expect(compactJws({ alg: 'none' }, {}, key)).toMatch(/^[\w-]+\.[\w-]+\.$/);
  });

  it('RFC 8725 §2.1: under HS256 the public key is the secret', async () => {
    const jws = compactJws({ alg: 'HS256' }, {}, { alg: 'RS256', privateKey: rsa });
    const pem = createPublicKey(rsa).export({ format: 'pem', type: 'spki' });
    await expect(compactVerify(jws, Buffer.from(pem))).resolves.toBeDefined();
  });
});
