import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { compactVerify } from 'jose';
import { signedJws } from '../../../src/core/jws/signed-jws.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed25519 = generateKeyPairSync('ed25519');
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });

test.each<[string, { publicKey: KeyObject; privateKey: KeyObject }]>([
  ['ES256', ec('P-256')],
  ['ES384', ec('P-384')],
  ['ES512', ec('P-521')],
  ['RS256', rsa],
  ['RS512', rsa],
  ['PS256', rsa],
  ['PS384', rsa],
  ['EdDSA', ed25519],
  ['Ed25519', ed25519],
])('13.3: RFC 7518 §3.1: a signature of ours is one for jose: %s', async (alg, keys) => {
  const claims = { sub: 'user-1', list: ['ä', 1] };
  const jws = await signedJws({ alg, kid: 'k' }, claims, keys.privateKey);
  const { payload, protectedHeader } = await compactVerify(jws, keys.publicKey);
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual(claims);
  expect(protectedHeader).toEqual({ alg, kid: 'k' });
});
