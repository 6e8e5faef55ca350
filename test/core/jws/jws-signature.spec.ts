import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { SignJWT } from 'jose';
import { signatureFailure } from '../../../src/core/jws/jws-signature.js';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

const signed = () =>
  new SignJWT({ sub: 'user-1' }).setProtectedHeader({ alg: 'ES256' }).sign(ec.privateKey);

describe('RFC 7515 §5.2: a signature', () => {
  it('that holds has no failure', async () => {
    expect(await signatureFailure(await signed(), ec.publicKey, 'ES256')).toBeUndefined();
  });

  it('of another key, or over another text, does not verify', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    const [header, , signature] = (await signed()).split('.');
    const changed = [header, Buffer.from('{"sub":"root"}').toString('base64url'), signature];
    for (const failure of [
      await signatureFailure(await signed(), other, 'ES256'),
      await signatureFailure(changed.join('.'), ec.publicKey, 'ES256'),
    ]) {
      expect(failure?.why).toBe('');
      expect(failure?.cause).toBeInstanceOf(Error);
    }
  });

  it('is made with the algorithm that was asked for, by a key that fits', async () => {
    const jws = await signed();
    for (const [key, alg] of [
      [ec.publicKey, 'ES384'],
      [createPublicKey(rsa.privateKey), 'ES256'],
    ] as const) {
      expect((await signatureFailure(jws, key, alg))?.why).toBe(' (unfit key)');
    }
  });
});
