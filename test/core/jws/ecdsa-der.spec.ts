import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ecdsaDer } from '../../../src/core/jws/ecdsa-der.js';

describe('ecdsaDer', () => {
  it.each<[string, number]>([
    ['P-256', 32],
    ['P-384', 48],
    ['P-521', 66],
  ])('RFC 7518 §3.4: says the same as the two numbers: %s', (namedCurve, length) => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
    const text = Buffer.from('text');
    for (let times = 0; times < 40; times++) {
      const raw = sign('sha256', text, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      const der = ecdsaDer(raw.toString('base64url'), length);
      expect(der !== undefined && verify('sha256', text, publicKey, der)).toBe(true);
    }
  });

  it.each<[string, string]>([
    ['3006020100020100', '00000000'],
    ['3006020101020102', '00010002'],
    ['300702020080020101', '00800001'],
    ['300a0203008000020300ffff', '8000ffff'],
  ])('X.690 §8.3: %s has no zero too many, and no sign', (der, raw) => {
    const text = Buffer.from(raw, 'hex').toString('base64url');
    expect(ecdsaDer(text, 2)?.toString('hex')).toBe(der);
  });

  it('is of the right length, or none', () => {
    for (const length of [0, 1, 63, 65, 128, 132, 136, 137, 10_000]) {
      expect(ecdsaDer(Buffer.alloc(length).toString('base64url'), 32)).toBeUndefined();
    }
    for (const length of [131, 133, 136, 264]) {
      expect(ecdsaDer(Buffer.alloc(length, 1).toString('base64url'), 66)).toBeUndefined();
    }
  });

  it('shows nothing of the signature before', () => {
    const texts = ['ffff0001', '00000000', '8000ffff', '00010002', '00000000'];
    const ders = texts.map((raw) =>
      ecdsaDer(Buffer.from(raw, 'hex').toString('base64url'), 2)?.toString('hex'),
    );
    expect(ders).toEqual([
      '30080203' + '00ffff' + '020101',
      '3006020100020100',
      '300a0203008000020300ffff',
      '3006020101020102',
      '3006020100020100',
    ]);
  });
});
