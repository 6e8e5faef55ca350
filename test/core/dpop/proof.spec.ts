import { randomBytes } from 'node:crypto';

import { beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { calculateJwkThumbprint } from 'jose';

import { ProofKeys } from '../../../src/core/dpop/proof-key.js';
import type { DPoPProofRules } from '../../../src/core/dpop/proof.js';
import {
  DPoPBindingMismatchError,
  DPoPError,
  DPoPNonceRequiredError,
  DPoPReplayDetectedError,
  InvalidDPoPProofError,
} from '../../../src/core/errors/dpop-errors.js';
import { canonicalHtu } from '../../../src/core/dpop/htu.js';
import { InMemoryDPoPReplayStore } from '../../../src/core/dpop/replay-store.js';
import {
  type Changes,
  decodePart,
  encode,
  goodClaims,
  goodHeader,
  goodRules,
  hashOf,
  NOW,
  proofOf,
  sharedVectors,
  type TestKey,
  testKey,
  URL_OF_REQUEST,
  verifiedProof,
  replayChecked,
} from '../../support/tokens/dpop-proofs.js';
import { anyText } from '../../support/text/any-text.js';

let es256: TestKey;
let other: TestKey;
let rsa: TestKey;
let ed25519: TestKey;

beforeAll(async () => {
  [es256, other, rsa, ed25519] = await Promise.all([
    testKey('ES256'),
    testKey('ES256'),
    testKey('RS256'),
    testKey('EdDSA'),
  ]);
});

/** The same in both forms of verification. */
async function refusal(proof: string, rules: DPoPProofRules): Promise<Error> {
  const error = await refusalBy(proof, { ...rules, verification: 'sync' });
  const onPool = await refusalBy(proof, { ...rules, verification: 'pool' });
  expect([onPool.constructor, onPool.message]).toEqual([error.constructor, error.message]);
  return error;
}

async function refusalBy(proof: string, rules: DPoPProofRules): Promise<Error> {
  return verifiedProof(proof, rules).then(
    () => {
      throw new Error('the proof was accepted');
    },
    (error: Error) => error,
  );
}

/** Refused with one change, accepted without it: the change is the reason. */
async function expectRefused(
  key: TestKey,
  changes: Changes,
  message: string | RegExp,
  kind: new (message: string) => Error = InvalidDPoPProofError,
  rules: Partial<DPoPProofRules> = {},
): Promise<void> {
  await verifiedProof(proofOf(key), goodRules(key, rules));
  const error = await refusal(proofOf(key, changes), goodRules(key, rules));
  expect(error).toBeInstanceOf(kind);
  expect(error.message).toMatch(message);
}

describe('a good proof', () => {
  it('rfc9449-inbound-dpop-proof-must-validate-method-url-and-binding: is accepted', async () => {
    const { proof } = await verifiedProof(proofOf(es256), goodRules(es256));
    expect(proof).toEqual({
      jkt: es256.jkt,
      jti: 'proof-1',
      iat: NOW,
      htm: 'POST',
      htu: URL_OF_REQUEST,
    });
    expect(Object.isFrozen(proof)).toBe(true);
  });

  it.each(['ES256', 'EdDSA', 'PS256', 'RS256'])(
    'RFC 9449 §4.2: may be signed by %s',
    async (alg) => {
      const key = await testKey(alg);
      const { proof } = await verifiedProof(proofOf(key), goodRules(key));
      expect(proof.jkt).toBe(key.jkt);
    },
  );

  it('RFC 9864 §2.2: may name Ed25519 in full when that is allowed', async () => {
    const key = await testKey('Ed25519');
    const rules = goodRules(key, { allowedAlgorithms: ['Ed25519'] });
    await expect(verifiedProof(proofOf(key), rules)).resolves.toBeDefined();
  });

  it.each(['EdDSA', 'Ed25519'])(
    '10.14: RFC 9864 §2.2: %s and the other name are one algorithm, for its keys only',
    async (alg) => {
      const key = await testKey(alg);
      for (const allowed of ['EdDSA', 'Ed25519']) {
        const jwk = { ...key.jwk, alg: allowed };
        const rules = goodRules(key, { allowedAlgorithms: [allowed] });
        await expect(
          verifiedProof(proofOf(key, { header: { jwk } }), rules),
        ).resolves.toBeDefined();
      }
      await expectRefused(es256, { header: { alg } }, 'kty');
      const rules = goodRules(key, { allowedAlgorithms: ['ES256'] });
      expect((await refusal(proofOf(key), rules)).message).toMatch('not allowed');
    },
  );

  it.each(['DPoP+JWT', 'dpop+jwt', 'DPOP+jwt'])(
    'RFC 2045 §5.1: may write typ as %s',
    async (typ) => {
      const proof = proofOf(es256, { header: { typ } });
      await expect(verifiedProof(proof, goodRules(es256))).resolves.toBeDefined();
    },
  );

  it('RFC 7517 §4: may describe its key', async () => {
    const jwk = {
      ...es256.jwk,
      kid: 'k',
      use: 'sig',
      alg: 'ES256',
      key_ops: ['verify'],
      ext: true,
    };
    const proof = proofOf(es256, { header: { jwk } });
    const verified = await verifiedProof(proof, goodRules(es256));
    expect(verified.proof.jkt).toBe(es256.jkt);
  });

  it('RFC 9449 §4.2: may carry claims that nobody asked for, and an nbf', async () => {
    const proof = proofOf(es256, { claims: { nbf: NOW + 9999, extra: { a: [1] } } });
    await expect(verifiedProof(proof, goodRules(es256))).resolves.toBeDefined();
  });
});

describe('RFC 9449 §4.3, one check after the other', () => {
  it.each([
    ['empty', ''],
    ['one segment', 'abc'],
    ['unsigned', 'e30.e30.'],
    ['five segments', 'e30.e30.e30.e30.e30'],
    ['a list of two', 'e30.e30.e30,e30.e30.e30'],
    ['not JSON', 'YWJj.YWJj.YWJj'],
    ['dots only', '...'],
  ])('#2: refuses a proof that is %s', async (_name, proof) => {
    const error = await refusal(proof, goodRules(es256));
    expect(error).toBeInstanceOf(InvalidDPoPProofError);
    expect(error.cause).toBeDefined();
  });

  it('#1, #2: refuses two good proofs in one value', async () => {
    const proof = proofOf(es256);
    for (const both of [`${proof}, ${proof}`, `${proof},${proof}`, `${proof} ${proof}`]) {
      expect(await refusal(both, goodRules(es256))).toBeInstanceOf(InvalidDPoPProofError);
    }
  });

  it('#2: refuses a proof longer than 8192 characters', async () => {
    await expectRefused(es256, { claims: { pad: 'x'.repeat(8192) } }, 'longer than 8192');
  });

  it('#2, P12: refuses other spellings of the same signature', async () => {
    const proof = proofOf(es256);
    const spellings = [`${proof}=`, `${proof}==`, ` ${proof}`, `${proof}\n`, withSpareBits(proof)];
    for (const spelling of spellings) {
      expect(await refusal(spelling, goodRules(es256))).toBeInstanceOf(InvalidDPoPProofError);
    }
  });

  it('#2, P12: refuses other spellings of the claims, signed as they stand', async () => {
    const claimsText = `${JSON.stringify(goodClaims())} `.padEnd(200, ' '); // leaves spare bits
    const spellings = [(text: string) => `${text}=`, withSpareBits];
    for (const respell of spellings) {
      const rules = goodRules(es256);
      const proof = proofOf(es256, { claimsText, respell });
      expect(await refusal(proof, rules)).toBeInstanceOf(InvalidDPoPProofError);
      await verifiedProof(proofOf(es256, { claimsText }), rules); // the header is known now
      expect((await refusal(proof, rules)).message).toMatch('three segments');
    }
  });

  it('#2, P13: refuses a member named twice, in header and claims', async () => {
    const header = JSON.stringify(goodHeader(es256)).replace('{', '{"typ":"JWT",');
    const claims = JSON.stringify(goodClaims()).replace('{', '{"htm":"GET",');
    await expectRefused(es256, { headerText: header }, 'named twice');
    await expectRefused(es256, { claimsText: claims }, 'named twice');
  });

  it.each([
    ['iat', 'iat'],
    ['jti', 'jti'],
    ['htm', 'method mismatch'],
    ['htu', 'URL mismatch'],
    ['ath', 'ath'],
  ])('#3: refuses a proof without %s', async (name, hint) => {
    await expectRefused(es256, { claims: { [name]: undefined } }, hint);
  });

  it.each([undefined, 'JWT', 'at+jwt', 'dpop+jwt ', 'application/dpop+jwt', 1])(
    '#4 rfc9449-dpop-proof-header-typ-must-be-dpop-jwt: refuses typ %p',
    async (typ) => {
      await expectRefused(es256, { header: { typ } }, 'typ');
    },
  );

  it.each(['HS256', 'none', 'ES384', 'es256', 'PS512'])(
    '#5 rfc9449-dpop-proof-alg-must-be-supported-asymmetric: refuses alg %s',
    async (alg) => {
      await expectRefused(es256, { header: { alg } }, 'algorithm');
    },
  );

  it('#5: refuses an alg outside of the list of the resource', async () => {
    const rules = goodRules(es256, { allowedAlgorithms: ['EdDSA'] });
    expect((await refusal(proofOf(es256), rules)).message).toMatch('algorithm');
  });

  it('#5: refuses HS256 even when somebody put it into the list', async () => {
    const rules = goodRules(es256, { allowedAlgorithms: ['HS256'] });
    const error = await refusal(proofOf(es256, { header: { alg: 'HS256' } }), rules);
    expect(error).toBeInstanceOf(InvalidDPoPProofError);
  });

  it.each([undefined, null, 'text', [], 1])(
    '#6 rfc9449-dpop-proof-must-carry-public-jwk: refuses jwk %p',
    async (jwk) => {
      await expectRefused(es256, { header: { jwk } }, 'jwk');
    },
  );

  it.each(['jku', 'x5u', 'x5c', 'crit', 'b64', 'zip', 'enc', 'cty'])(
    'RFC 8725 §3.10: refuses the header member %s',
    async (name) => {
      await expectRefused(es256, { header: { [name]: ['x'] } }, name);
    },
  );

  it('#6: refuses a signature of another key', async () => {
    const foreign = proofOf(other, { header: { jwk: es256.jwk } });
    const error = await refusal(foreign, goodRules(es256));
    expect(error).toBeInstanceOf(InvalidDPoPProofError);
    expect(error.message).toMatch('signature');
  });

  it('#6: refuses the signature of other claims', async () => {
    const [header, , signature] = proofOf(es256, { claims: { jti: 'proof-2' } }).split('.');
    const claims = encode(JSON.stringify(goodClaims()));
    const error = await refusal(`${header}.${claims}.${signature}`, goodRules(es256));
    expect(error.message).toMatch('signature');
  });

  it.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'x5c', 'y2', '__proto__'])(
    '#7, P22: refuses the jwk member %s',
    async (name) => {
      for (const key of [es256, rsa, ed25519]) {
        const jwk = JSON.stringify(key.jwk).replace('{', `{"${name}":"AQAB",`);
        const header = `{"typ":"dpop+jwt","alg":"${key.alg}","jwk":${jwk}}`;
        await expectRefused(key, { headerText: header }, 'jwk');
      }
    },
  );

  it.each(['GET', 'post', 'POST ', '', 1, null])(
    '#8 rfc9449-dpop-method-mismatch-must-be-rejected: refuses htm %p for POST',
    async (htm) => {
      await expectRefused(es256, { claims: { htm } }, 'method mismatch');
    },
  );

  it.each([
    'https://api.example.com/other',
    'https://api.example.com/mcp/',
    'https://api.example.com:8443/mcp',
    'http://api.example.com/mcp',
    'https://user@api.example.com/mcp',
    '/mcp',
    '',
    1,
    null,
  ])('#9 rfc9449-dpop-url-mismatch-must-be-rejected: refuses htu %p', async (htu) => {
    await expectRefused(es256, { claims: { htu } }, 'URL mismatch');
  });

  it('#9: accepts an equivalent spelling, and query and fragment unless strict', async () => {
    const spelled = proofOf(es256, { claims: { htu: 'HTTPS://API.example.com:443/%6dcp' } });
    await verifiedProof(spelled, goodRules(es256, { strictHtu: true }));
    const queried = proofOf(es256, { claims: { htu: `${URL_OF_REQUEST}?a=b#c` } });
    await verifiedProof(queried, goodRules(es256));
    const strict = await refusal(queried, goodRules(es256, { strictHtu: true }));
    expect(strict.message).toMatch('URL mismatch');
  });

  it('#10 P23: wants a good nonce when the resource has a check', async () => {
    const nonce = (text: string | undefined) => text === 'good';
    const good = proofOf(es256, { claims: { nonce: 'good' } });
    await verifiedProof(good, goodRules(es256, { nonce }));
    for (const bad of [undefined, 'old', '', 1, ['good']]) {
      const proof = proofOf(es256, { claims: { nonce: bad } });
      const error = await refusal(proof, goodRules(es256, { nonce }));
      expect(error).toBeInstanceOf(DPoPNonceRequiredError);
    }
  });

  it('#10: ignores a nonce that nobody asked for', async () => {
    const proof = proofOf(es256, { claims: { nonce: 'of somebody else' } });
    await expect(verifiedProof(proof, goodRules(es256))).resolves.toBeDefined();
  });

  it('#11 rfc9449-dpop-proof-iat-must-not-be-in-the-future-beyond-leeway', async () => {
    await expectRefused(es256, { claims: { iat: NOW + 31 } }, 'future');
    await verifiedProof(proofOf(es256, { claims: { iat: NOW + 30 } }), goodRules(es256));
  });

  it('#11 rfc9449-dpop-proof-must-not-be-too-old', async () => {
    await expectRefused(es256, { claims: { iat: NOW - 331 } }, 'too old');
    await verifiedProof(proofOf(es256, { claims: { iat: NOW - 330 } }), goodRules(es256));
  });

  it.each(['1790000000', `${NOW}.5`, -0.5, null, true, [NOW], 1e15])(
    '#11, P21: refuses iat %p',
    async (iat) => {
      await expectRefused(es256, { claims: { iat } }, 'iat');
    },
  );

  it('10.14: RFC 7519 §2: iat and exp may have fractions, and count to the last of them', async () => {
    const times = { iat: NOW - 0.5, exp: NOW + 30.5 };
    const { proof, expiresAt } = await verifiedProof(
      proofOf(es256, { claims: times }),
      goodRules(es256),
    );
    expect(proof.iat).toBe(NOW - 0.5);
    expect(expiresAt).toBeGreaterThanOrEqual(NOW - 0.5 + 330 + 60);
    await expectRefused(es256, { claims: { iat: NOW + 30.5 } }, 'future');
    await expectRefused(es256, { claims: { iat: NOW - 330.5 } }, 'too old');
    await expectRefused(es256, { claims: { exp: NOW - 30.5 } }, 'expired');
  });

  it.each(['1e400', '-1e400', '1e999'])('#11, P21: refuses the infinite iat %s', async (iat) => {
    const claimsText = JSON.stringify(goodClaims()).replace(String(NOW), iat);
    await expectRefused(es256, { claimsText }, 'iat');
  });

  it('RFC 7519 §4.1.4 rfc9449-dpop-proof-exp-must-be-enforced-when-present', async () => {
    await expectRefused(es256, { claims: { exp: NOW - 30 } }, 'expired');
    await verifiedProof(proofOf(es256, { claims: { exp: NOW - 29 } }), goodRules(es256));
    const rules = goodRules(es256, { clockSkewSeconds: 0 });
    const proof = proofOf(es256, { claims: { iat: NOW - 60, exp: NOW - 30 } });
    expect((await refusal(proof, rules)).message).toMatch('expired');
  });

  it.each(['1790000000', `${NOW}.5`, null])('RFC 7519 §4.1.4: refuses exp %p', async (exp) => {
    await expectRefused(es256, { claims: { exp } }, 'exp');
  });

  it.each([['a'], null, 7, '', 'x'.repeat(257), '\ud800'])(
    '§4.2, P17: refuses jti %p',
    async (jti) => {
      await expectRefused(es256, { claims: { jti } }, 'jti');
    },
  );

  it('§4.2: accepts a jti of 256 characters', async () => {
    const proof = proofOf(es256, { claims: { jti: 'é'.repeat(256) } });
    await expect(verifiedProof(proof, goodRules(es256))).resolves.toBeDefined();
  });

  it.each([hashOf('another token'), `${hashOf('an.access.token')}=`, '', null, 1])(
    '#12: refuses ath %p',
    async (ath) => {
      await expectRefused(es256, { claims: { ath } }, 'ath');
    },
  );

  it('#12 rfc9449-dpop-binding-mismatch-must-be-rejected', async () => {
    const error = await refusal(proofOf(other), goodRules(es256));
    expect(error).toBeInstanceOf(DPoPBindingMismatchError);
  });

  it('#12 rfc9449-dpop-proof-validation-must-not-skip-binding-when-access-token-is-provided', async () => {
    const error = await refusal(proofOf(es256), goodRules(es256, { expectedJkt: undefined }));
    expect(error).toBeInstanceOf(DPoPBindingMismatchError);
  });
});

describe('proof keys', () => {
  it('T30: refuses RSA below 2048 and above 4096 bits, without importing the key', async () => {
    for (const bytes of [128, 255, 513, 800]) {
      const n = Buffer.concat([Buffer.from([0xff]), randomBytes(bytes - 1)]).toString('base64url');
      const jwk = { kty: 'RSA', e: 'AQAB', n };
      const error = await refusal(proofOf(rsa, { header: { jwk } }), goodRules(rsa));
      expect(error.message).toMatch('2048 to 4096');
    }
  });

  it('T30: refuses 2047 bits and takes 2048 and 4096', async () => {
    const n = Buffer.concat([Buffer.from([0x7f]), randomBytes(255)]).toString('base64url');
    const short = proofOf(rsa, { header: { jwk: { ...rsa.jwk, n } } });
    expect((await refusal(short, goodRules(rsa))).message).toMatch('2048 to 4096');
    const modulus = Buffer.concat([Buffer.from([0xff]), randomBytes(510), Buffer.from([1])]);
    const jwk = { kty: 'RSA', e: 'AQAB', n: modulus.toString('base64url') };
    const long = proofOf(rsa, { header: { jwk } }); // the key is looked at before the signature
    expect(await refusal(long, goodRules(rsa))).toBeInstanceOf(DPoPBindingMismatchError);
  });

  it.each(['Aw', 'AQ', 'AAEAAQ', 'AQAB=', 'AQAAAAAAAAAB', ''])('T30: refuses e %p', async (e) => {
    await expectRefused(rsa, { header: { jwk: { ...rsa.jwk, e } } }, 'jwk');
  });

  it('T30: refuses a modulus with leading zeros or of another alphabet', async () => {
    const n = Buffer.concat([Buffer.from([0]), Buffer.from(String(rsa.jwk.n), 'base64url')]);
    await expectRefused(
      rsa,
      { header: { jwk: { ...rsa.jwk, n: n.toString('base64url') } } },
      '2048 to 4096',
    );
    const standard = Buffer.from(String(rsa.jwk.n), 'base64url').toString('base64');
    await expectRefused(rsa, { header: { jwk: { ...rsa.jwk, n: standard } } }, '2048 to 4096');
  });

  it('CVE-2017-15361: refuses an RSA modulus of the ROCA kind', async () => {
    const primes = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    const product = primes.reduce((all, prime) => all * BigInt(prime), 1n);
    const random = BigInt(`0xff${randomBytes(255).toString('hex')}`);
    const modulus = random - (random % product) + (65_537n ** 7n % product);
    const n = Buffer.from(modulus.toString(16), 'hex').toString('base64url');
    await expectRefused(rsa, { header: { jwk: { ...rsa.jwk, n } } }, 'ROCA');
  });

  it('refuses a key of another kind than its alg', async () => {
    await expectRefused(es256, { header: { jwk: rsa.jwk } }, 'kty');
    await expectRefused(rsa, { header: { jwk: es256.jwk } }, 'kty');
    await expectRefused(es256, { header: { jwk: { kty: 'oct', k: 'AQAB' } } }, 'kty');
  });

  it.each(['P-384', 'P-521', 'secp256k1', 'Ed25519', '', 1])('refuses EC curve %p', async (crv) => {
    await expectRefused(es256, { header: { jwk: { ...es256.jwk, crv } } }, /curve|crv/);
  });

  it.each(['X25519', 'Ed448'])('refuses OKP curve %p', async (crv) => {
    await expectRefused(ed25519, { header: { jwk: { ...ed25519.jwk, crv } } }, 'curve');
  });

  it('refuses coordinates that are not 32 bytes of canonical base64url', async () => {
    const { x } = es256.jwk;
    for (const bad of [`${x}=`, String(x).slice(1), `A${x}`, '', undefined, [x]]) {
      await expectRefused(es256, { header: { jwk: { ...es256.jwk, x: bad } } }, 'jwk');
    }
  });

  it('refuses a point that is not on the curve', async () => {
    const jwk = { ...es256.jwk, y: String(es256.jwk.x) };
    const rules = goodRules(es256, { expectedJkt: await calculateJwkThumbprint(jwk) });
    const error = await refusal(proofOf(es256, { header: { jwk } }), rules);
    expect(error).toBeInstanceOf(InvalidDPoPProofError);
    expect(error.message).toMatch('imported');
  });

  it('RFC 7517 §4.2 to §4.4: refuses a key that says it is for something else', async () => {
    await expectRefused(es256, { header: { jwk: { ...es256.jwk, use: 'enc' } } }, 'use');
    await expectRefused(es256, { header: { jwk: { ...es256.jwk, key_ops: ['sign'] } } }, 'key_ops');
    await expectRefused(rsa, { header: { jwk: { ...rsa.jwk, alg: 'PS256' } } }, 'alg');
  });

  it('refuses ES384 with its own key even when the list allows it', async () => {
    const key = await testKey('ES384');
    const rules = goodRules(key, { allowedAlgorithms: ['ES384'] });
    expect((await refusal(proofOf(key), rules)).message).toMatch('curve');
  });
});

describe('the memory of proof keys', () => {
  it('serves the next proof of the same client, with all other checks', async () => {
    const rules = goodRules(es256);
    await verifiedProof(proofOf(es256), rules);
    expect(rules.keys.size).toBe(1);
    const second = await verifiedProof(proofOf(es256, { claims: { jti: 'proof-2' } }), rules);
    expect(second.proof).toEqual({
      jkt: es256.jkt,
      jti: 'proof-2',
      iat: NOW,
      htm: 'POST',
      htu: URL_OF_REQUEST,
    });
    expect(rules.keys.size).toBe(1);
    for (const claims of [{ htm: 'GET' }, { htu: 'x' }, { ath: 'x' }, { jti: '' }, { iat: 1 }]) {
      const error = await refusal(proofOf(es256, { claims }), rules);
      expect(error).toBeInstanceOf(InvalidDPoPProofError);
    }
  });

  it('keeps the strict grammar, the signature and the binding', async () => {
    const rules = goodRules(es256);
    const proof = proofOf(es256);
    await verifiedProof(proof, rules);
    const [header, claims, signature] = proof.split('.');
    const forged = proofOf(other, { header: { jwk: es256.jwk } }).split('.')[2];
    const broken = [
      `${header}.${claims}`,
      `${header}.${claims}.`,
      `${header}..${signature}`,
      `${header}.${claims}=.${signature}`,
      `${header}.${claims}.${signature}=`,
      `${header}.${claims}.${signature}.${signature}`,
      `${header}.${claims}.${forged}`,
      `${header}.${encode('[]')}.${signature}`,
      `${header}.${encode('{"a":1,"a":2}')}.${signature}`,
      proofOf(es256, { claims: { pad: 'x'.repeat(8192) } }),
      withSpareBits(proof),
    ];
    for (const text of broken) {
      expect(await refusal(text, rules)).toBeInstanceOf(InvalidDPoPProofError);
    }
    const foreign = await refusal(proof, { ...rules, expectedJkt: other.jkt });
    expect(foreign).toBeInstanceOf(DPoPBindingMismatchError);
  });

  it('does not outlive the permission of its algorithm', async () => {
    const rules = goodRules(es256);
    await verifiedProof(proofOf(es256), rules);
    const narrowed = { ...rules, allowedAlgorithms: ['EdDSA'] };
    expect((await refusal(proofOf(es256), narrowed)).message).toMatch('algorithm');
  });

  it('takes in no key that has not signed a proof for its own token', async () => {
    const keys = new ProofKeys();
    await refusal(proofOf(other), goodRules(es256, { keys }));
    await refusal(proofOf(es256, { claims: { htm: 'GET' } }), goodRules(es256, { keys }));
    await refusal(proofOf(other, { header: { jwk: es256.jwk } }), goodRules(es256, { keys }));
    expect(keys.size).toBe(0);
  });

  it('is bounded, in entries and in their size', () => {
    const keys = new ProofKeys();
    const key = { alg: 'ES256', jkt: es256.jkt, key: es256.privateKey };
    keys.remember('x'.repeat(2049), key);
    expect(keys.size).toBe(0);
    for (let i = 0; i < 30_000; i++) {
      keys.remember(`header-${i}`, key);
      keys.get('header-0'); // in use, so it stays
    }
    expect(keys.size).toBeLessThanOrEqual(10_000);
    expect(keys.get('header-0')).toBeDefined();
    expect(keys.get('header-1')).toBeUndefined();
  });
});

describe('replay', () => {
  it('T31, P18: the key depends on key, jti, method and URL, and on no spelling', async () => {
    const keyOf = async (proof: string, rules: DPoPProofRules) =>
      (await verifiedProof(proof, rules)).replayKey;
    const base = await keyOf(proofOf(es256), goodRules(es256));
    const elsewhere = 'https://api.example.com/other';
    const different = await Promise.all([
      keyOf(proofOf(es256, { claims: { jti: 'proof-2' } }), goodRules(es256)),
      keyOf(proofOf(other), goodRules(other)),
      keyOf(proofOf(es256, { claims: { htm: 'GET' } }), goodRules(es256, { method: 'GET' })),
      keyOf(
        proofOf(es256, { claims: { htu: elsewhere } }),
        goodRules(es256, { expectedHtu: elsewhere }),
      ),
      keyOf(proofOf(es256), goodRules(es256, { replayScope: ['https://api.example.com/a'] })),
      keyOf(proofOf(es256), goodRules(es256, { replayScope: ['https://api.example.com/b'] })),
    ]);
    expect(new Set([base, ...different]).size).toBe(7);
    const spelled = proofOf(es256, { claims: { htu: 'HTTPS://api.example.com:443/%6Dcp?x' } });
    expect(await keyOf(spelled, goodRules(es256))).toBe(base);
    expect(base).toMatch(/^[\w-]{43}$/);
  });

  it('rfc9449-dpop-replay-must-be-detected: second use, and 100 at once', async () => {
    const store = new InMemoryDPoPReplayStore({ clock: { now: () => NOW, elapsed: () => 0 } });
    const use = async (proof: string) => {
      const { replayKey, expiresAt } = await verifiedProof(proof, goodRules(es256));
      await replayChecked(store, replayKey, expiresAt);
    };
    await use(proofOf(es256));
    await expect(use(proofOf(es256))).rejects.toBeInstanceOf(DPoPReplayDetectedError);
    await expect(
      use(proofOf(es256, { claims: { iat: NOW + 1 } })), // another proof, the same jti
    ).rejects.toBeInstanceOf(DPoPReplayDetectedError);
    const proof = proofOf(es256, { claims: { jti: 'proof-2' } });
    const results = await Promise.allSettled(Array.from({ length: 100 }, () => use(proof)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('P16: around the last instant, in steps of 1 ms, and 2 s before and after it, nothing is accepted twice', async () => {
    const last = NOW + 330;
    for (const firstUse of [NOW - 30, last - 2, last - 0.001, last]) {
      let now = firstUse;
      const clock = { now: () => now, elapsed: () => 0 };
      const store = new InMemoryDPoPReplayStore({ clock });
      const rules = goodRules(es256, { now: () => now });
      const proof = proofOf(es256, { claims: { jti: `first use ${firstUse}` } });
      const use = async () => {
        const { replayKey, expiresAt } = await verifiedProof(proof, rules);
        await replayChecked(store, replayKey, expiresAt);
      };
      await use();
      const outcomes = new Set<string>();
      for (let ms = -2000; ms <= 2000; ms += Math.abs(ms) < 100 ? 1 : 20) {
        now = last + ms / 1000;
        outcomes.add(
          await use().then(
            () => 'accepted',
            (error: Error) => error.name,
          ),
        );
      }
      expect(outcomes).toEqual(new Set(['DPoPReplayDetectedError', 'InvalidDPoPProofError']));
    }
  });

  it('P16: the entry outlives the last instant of acceptance by more than the skew', async () => {
    const { expiresAt } = await verifiedProof(
      proofOf(es256),
      goodRules(es256, { maxProofAgeSeconds: 60.5 }),
    );
    expect(expiresAt).toBeGreaterThanOrEqual(NOW + 60.5 + 30 + 60);
    expect(Number.isInteger(expiresAt)).toBe(true);
  });
});

interface RfcVector {
  readonly id: string;
  readonly proof?: string;
  readonly access_token?: string;
  readonly method?: string;
  readonly url?: string;
  readonly now?: number;
  readonly jti?: string;
}

describe('data of others', () => {
  const rfc = sharedVectors('rfc/rfc-examples.json') as { vectors: RfcVector[] } | undefined;
  const jkt = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';
  const vector = (id: string): RfcVector =>
    rfc?.vectors.find((candidate) => candidate.id === id) ?? { id };
  const rulesOf = ({ access_token, method, url, now }: RfcVector): DPoPProofRules => ({
    ...goodRules(es256),
    method: method ?? '',
    expectedHtu: canonicalHtu(url ?? ''),
    accessTokenHash: hashOf(access_token ?? ''),
    expectedJkt: jkt,
    now: () => now ?? 0,
  });

  (rfc ? it : it.skip)('RFC 9449 §7.1 figure 13: accepted once, then a replay', async () => {
    const example = vector('rfc9449-fig13');
    const store = new InMemoryDPoPReplayStore({
      clock: { now: () => example.now ?? 0, elapsed: () => 0 },
    });
    const use = async () => {
      const checked = await verifiedProof(example.proof ?? '', rulesOf(example));
      await replayChecked(store, checked.replayKey, checked.expiresAt);
      return checked.proof;
    };
    expect(await use()).toMatchObject({ jkt, jti: example.jti, iat: example.now });
    await expect(use()).rejects.toBeInstanceOf(DPoPReplayDetectedError);
  });

  (rfc ? it : it.skip).each([
    ['rfc9449-fig2', 'ath'],
    ['rfc9449-fig13-wrong-method', 'method mismatch'],
    ['rfc9449-fig13-wrong-url', 'URL mismatch'],
    ['rfc9449-fig13-other-token', 'ath'],
  ])('RFC 9449: refuses %s', async (id, hint) => {
    const example = vector(id);
    const error = await refusal(example.proof ?? '', rulesOf(example));
    expect(error).toBeInstanceOf(InvalidDPoPProofError);
    expect(error.message).toMatch(hint);
  });

  (rfc ? it : it.skip).each([
    'rfc7515-a2',
    'rfc7515-a3',
    'rfc7515-a5',
    'rfc7515-appendix-e',
    'rfc8037-a',
  ])('refuses %s as a proof', async (id) => {
    const jws = (vector(id) as { jws?: string }).jws ?? '';
    expect(await refusal(jws, goodRules(es256))).toBeInstanceOf(InvalidDPoPProofError);
  });
});

describe('hostile input', () => {
  it('any text is refused with a DPoP error', async () => {
    const rules = goodRules(es256);
    await verifiedProof(proofOf(es256), rules);
    const [header = ''] = proofOf(es256).split('.');
    const segment = anyText({ maxLength: 60 }).map(encode);
    const json = fc.json().map(encode);
    const text = fc.oneof(
      anyText(),
      fc.tuple(json, json, segment).map((parts) => parts.join('.')),
      fc.tuple(fc.constant(header), json, segment).map((parts) => parts.join('.')),
    );
    await fc.assert(
      fc.asyncProperty(text, async (proof) => {
        expect(await refusal(proof, rules)).toBeInstanceOf(DPoPError);
      }),
      { numRuns: 500 },
    );
  });

  it('any JSON value in any place of header and claims ends in a DPoP error or acceptance', async () => {
    const names = ['typ', 'alg', 'jwk', 'kid', 'htm', 'htu', 'jti', 'iat', 'exp', 'ath', 'nonce'];
    const change = fc.dictionary(fc.constantFrom(...names), fc.jsonValue(), { minKeys: 1 });
    await fc.assert(
      fc.asyncProperty(change, change, async (header, claims) => {
        const proof = proofOf(es256, { header, claims });
        const error = await verifiedProof(proof, goodRules(es256)).catch((e: unknown) => e);
        if (error instanceof Error) expect(error).toBeInstanceOf(DPoPError);
      }),
      { numRuns: 500 },
    );
  });

  it('one changed character makes a proof worthless', async () => {
    const proof = proofOf(es256);
    const rules = goodRules(es256);
    await verifiedProof(proof, rules);
    for (let i = 0; i < proof.length; i++) {
      const changed = proof[i] === 'A' ? 'B' : 'A';
      const text = `${proof.slice(0, i)}${changed}${proof.slice(i + 1)}`;
      expect(await refusal(text, rules)).toBeInstanceOf(DPoPError);
    }
  });

  it('no message quotes the proof or the token', async () => {
    const secret = 'tell-nobody';
    const proofs = [
      proofOf(es256, { claims: { htm: secret } }),
      proofOf(es256, { claims: { htu: `https://x/${secret}?${secret}` } }),
      proofOf(es256, { claims: { jti: secret.repeat(99) } }),
      proofOf(es256, { claims: { ath: secret } }),
      proofOf(es256, { header: { typ: secret } }),
      proofOf(es256, { header: { alg: secret } }),
      proofOf(es256, { header: { jwk: { ...es256.jwk, d: secret } } }),
      proofOf(es256, { claimsText: `{"${secret}` }),
    ];
    for (const proof of proofs) {
      const error = await refusal(proof, goodRules(es256));
      expect(`${error.message} ${String(error.cause)}`).not.toContain(secret);
    }
    expect(decodePart(proofOf(es256), 1)['jti']).toBe('proof-1');
  });
});

/** The same signature bytes, spelled with a spare bit that decoders ignore. */
function withSpareBits(proof: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(proof.at(-1) ?? '');
  return `${proof.slice(0, -1)}${alphabet[last + 1]}`;
}
