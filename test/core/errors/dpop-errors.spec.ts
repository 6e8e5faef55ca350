import { beforeAll, describe, expect, it } from 'vitest';
import { calculateJwkThumbprint } from 'jose';
import * as dpop from '../../../src/core/errors/dpop-errors.js';
import type { ClaimRule } from '../../../src/core/errors/token-errors.js';
import {
  type Changes,
  goodRules,
  NOW as PROOF_NOW,
  proofOf,
  type TestKey,
  testKey,
  verifiedProof,
} from '../../support/tokens/dpop-proofs.js';
import { refusalOf } from '../../support/tokens/refusals.js';

const LONG = 'x'.repeat(2000);

describe('11.1: InvalidDPoPProofError says which member broke which rule', () => {
  let key: TestKey;
  let rsa: TestKey;

  beforeAll(async () => {
    [key, rsa] = await Promise.all([testKey('ES256'), testKey('RS256')]);
  });

  const broken = (changes: Changes, by = key) =>
    refusalOf(verifiedProof(proofOf(by, changes), goodRules(by)));

  it.each<[claim: string, value: unknown, rule: ClaimRule]>([
    ['htm', undefined, 'missing'],
    ['htm', 'GET', 'mismatch'],
    ['htm', 7, 'type'],
    ['htu', undefined, 'missing'],
    ['htu', 'https://api.example.com/other', 'mismatch'],
    ['htu', 'no URL', 'malformed'],
    ['htu', 7, 'type'],
    ['iat', undefined, 'missing'],
    ['iat', 'text', 'type'],
    ['iat', -1, 'malformed'],
    ['iat', PROOF_NOW - 3600, 'expired'],
    ['iat', PROOF_NOW + 3600, 'not_yet'],
    ['exp', PROOF_NOW - 3600, 'expired'],
    ['exp', 'text', 'type'],
    ['jti', undefined, 'missing'],
    ['jti', 7, 'type'],
    ['jti', '', 'malformed'],
    ['jti', 'x'.repeat(257), 'too_long'],
    ['ath', undefined, 'missing'],
    ['ath', 'another', 'mismatch'],
    ['ath', null, 'type'],
  ])('claim %s: %p: %s', async (claim, value, rule) => {
    const error = await broken({ claims: { [claim]: value } });
    expect(error).toMatchObject({ code: 'invalid_dpop_proof', claim, rule });
  });

  it.each<[member: string, value: unknown, rule: ClaimRule]>([
    ['typ', undefined, 'missing'],
    ['typ', 'JWT', 'mismatch'],
    ['typ', 7, 'type'],
    ['alg', 'HS256', 'mismatch'],
    ['jwk', undefined, 'missing'],
    ['jwk', 'text', 'type'],
    ['jku', 'https://evil.example', 'malformed'],
  ])('header %s: %p: %s', async (member, value, rule) => {
    const error = await broken({ header: { [member]: value } });
    expect(error).toMatchObject({ code: 'invalid_dpop_proof', claim: member, rule });
  });

  it.each<[member: string, value: unknown, rule: ClaimRule, named?: string]>([
    ['kty', 'RSA', 'mismatch'],
    ['crv', 'P-384', 'mismatch'],
    ['x', undefined, 'missing'],
    ['x', 7, 'type'],
    ['x', '', 'malformed'],
    ['x', 'short', 'malformed'],
    ['y', 'short', 'malformed'],
    ['use', 'enc', 'mismatch'],
    ['key_ops', ['sign'], 'mismatch'],
    ['alg', 'RS256', 'mismatch'],
    ['d', 'private', 'malformed', 'jwk'],
  ])('jwk %s: %p: %s', async (member, value, rule, named = member) => {
    const jwk = { ...key.jwk, [member]: value };
    const error = await broken({ header: { jwk } });
    expect(error).toMatchObject({ code: 'invalid_dpop_proof', claim: named, rule });
  });

  it('a jwk that is no point of its curve: malformed', async () => {
    const jwk = { ...key.jwk, x: 'A'.repeat(43) };
    const rules = goodRules(key, { expectedJkt: await calculateJwkThumbprint(jwk) });
    const error = await refusalOf(verifiedProof(proofOf(key, { header: { jwk } }), rules));
    expect(error).toMatchObject({ claim: 'jwk', rule: 'malformed' });
  });

  it.each<[member: string, value: string, rule: ClaimRule]>([
    ['e', 'Aw', 'mismatch'],
    ['n', 'AQAB', 'malformed'],
    ['n', `_${'A'.repeat(1365)}`, 'too_long'],
  ])('RSA jwk %s: %p: %s', async (member, value, rule) => {
    const error = await broken({ header: { jwk: { ...rsa.jwk, [member]: value } } }, rsa);
    expect(error).toMatchObject({ code: 'invalid_dpop_proof', claim: member, rule });
  });

  it.each<[what: string, proof: () => string, rule: ClaimRule]>([
    ['no JWT', () => 'proof', 'malformed'],
    ['more than 8192 characters', () => `${proofOf(key)}${LONG.repeat(5)}`, 'too_long'],
    ['a claim named twice', () => proofOf(key, { claimsText: '{"a":1,"a":1}' }), 'malformed'],
    ['a foreign signature', () => withForeignSignature(key), 'mismatch'],
  ])('the whole, %s: %s', async (_, proof, rule) => {
    const error = await refusalOf(verifiedProof(proof(), goodRules(key)));
    expect(error).toMatchObject({ code: 'invalid_dpop_proof', claim: undefined, rule });
  });
});

describe('errors of DPoP', () => {
  it.each<[new (message: string) => dpop.DPoPError, string]>([
    [dpop.DPoPError, 'dpop_error'],
    [dpop.DPoPProofMissingError, 'dpop_proof_missing'],
    [dpop.InvalidDPoPProofError, 'invalid_dpop_proof'],
    [dpop.DPoPMultipleProofsError, 'dpop_multiple_proofs'],
    [dpop.DPoPReplayDetectedError, 'dpop_replay_detected'],
    [dpop.DPoPBindingMismatchError, 'dpop_binding_mismatch'],
    [dpop.DPoPKeyMismatchError, 'dpop_binding_mismatch'],
    [dpop.DPoPNotSupportedError, 'dpop_not_supported'],
    [dpop.DPoPNonceRequiredError, 'dpop_nonce_required'],
  ])('%o', (Kind, code) => {
    const error = new Kind('why');
    expect(error).toBeInstanceOf(dpop.DPoPError);
    expect(error).toMatchObject({ code, message: 'why' });
  });

  it('without options an invalid proof is malformed, as a whole', () => {
    const error = new dpop.InvalidDPoPProofError('no JWT');
    expect([error.claim, error.rule]).toEqual([undefined, 'malformed']);
    const named = new dpop.InvalidDPoPProofError('x', { claim: 'htu', rule: 'mismatch' });
    expect([named.claim, named.rule]).toEqual(['htu', 'mismatch']);
  });
});

function withForeignSignature(key: TestKey): string {
  const [header, claims] = proofOf(key).split('.');
  const [, , signature] = proofOf(key, { claims: { jti: 'another' } }).split('.');
  return `${header}.${claims}.${signature}`;
}
