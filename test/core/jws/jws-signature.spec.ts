import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it, test } from 'vitest';
import { SignJWT } from 'jose';
import { signatureVerdict } from '../../../src/core/jws/jws-signature.js';
import { seededRandom } from '../../support/text/seeded-random.js';
import { compareWithJose, SignatureCases } from '../../support/tokens/signature-cases.js';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const FORMS = ['auto', 'sync', 'pool'] as const;

const signed = (alg = 'ES256', key = ec.privateKey) =>
  new SignJWT({ sub: 'user-1' }).setProtectedHeader({ alg }).sign(key);

describe.each(FORMS)('RFC 7515 §5.2: a signature (%s)', (form) => {
  it('that was made with the key holds', async () => {
    const verdict = signatureVerdict(await signed(), ec.publicKey, { alg: 'ES256', form });
    expect(await verdict).toBe('holds');
  });

  it('of another key, or over another text, does not verify', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    const [header, , signature] = (await signed()).split('.');
    const changed = [header, Buffer.from('{"sub":"root"}').toString('base64url'), signature];
    for (const verdict of [
      signatureVerdict(await signed(), other, { alg: 'ES256', form }),
      signatureVerdict(changed.join('.'), ec.publicKey, { alg: 'ES256', form }),
    ]) {
      expect(await verdict).toBe('fails');
    }
  });

  it('of ECDSA has the length of its curve and no other', async () => {
    const text = await signed();
    for (const cut of [
      text.slice(0, -2),
      `${text}AA`,
      `${text.slice(0, text.lastIndexOf('.'))}.AAAA`,
    ]) {
      expect(await signatureVerdict(cut, ec.publicKey, { alg: 'ES256', form })).toBe('fails');
    }
  });

  it('is made with the algorithm that was asked for, by a key that fits', async () => {
    const jws = await signed();
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
    for (const [key, alg] of [
      [ec.publicKey, 'ES384'],
      [ec.publicKey, 'EdDSA'],
      [ec.publicKey, 'none'],
      [createPublicKey(rsa.privateKey), 'ES256'],
      [createPublicKey(rsa.privateKey), 'HS256'],
      [short.publicKey, 'RS256'],
      [ec.privateKey, 'ES256'],
      [generateKeyPairSync('ed448').publicKey, 'EdDSA'],
    ] as const) {
      expect(await signatureVerdict(jws, key, { alg, form })).toBe('unfit key');
    }
  });

  it('of RSA is one of its padding and hash, whatever the key was used with before', async () => {
    const texts = await Promise.all(
      ['RS256', 'PS256', 'RS512'].map(
        async (alg) => [alg, await signed(alg, rsa.privateKey)] as const,
      ),
    );
    for (const [alg, text] of texts) {
      for (const [made] of texts) {
        const verdict = signatureVerdict(text, rsa.publicKey, { alg: made, form });
        expect([alg, made, await verdict]).toEqual([alg, made, alg === made ? 'holds' : 'fails']);
      }
    }
  });
});

test('13.3: sync answers at once, pool later, and what is quick is never handed over by auto', async () => {
  const text = await signed();
  expect(signatureVerdict(text, ec.publicKey, { alg: 'ES256', form: 'sync' })).toBe('holds');
  const later = signatureVerdict(text, ec.publicKey, { alg: 'ES256', form: 'pool' });
  expect(later).toBeInstanceOf(Promise);
  expect(await later).toBe('holds');
  const quick = await signed('RS256', rsa.privateKey);
  expect(signatureVerdict(quick, rsa.publicKey, { alg: 'RS256', form: 'auto' })).toBe('holds');
});

test.each(FORMS)(
  '13.3: signatures are what jose says they are (%s); a million in the stress run',
  async (form) => {
    const cases = new SignatureCases(seededRandom(1), 100);
    const { accepted, wrong } = await compareWithJose(cases, 300, form);
    expect(wrong).toEqual([]);
    expect(accepted).toBeGreaterThan(20);
  },
);
