import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { calculateJwkThumbprint } from 'jose';
import { ConsentRefusedError } from '../../../src/mcp/index.js';
import * as errors from '../../support/tokens/errors.js';
import { OutboundHttpError } from '../../../src/core/http/errors.js';
import { ReplayStoreError } from '../../../src/core/dpop/replay-store.js';
import {
  type Changes,
  goodRules,
  NOW as PROOF_NOW,
  proofOf,
  type TestKey,
  testKey,
  verifiedProof,
} from '../../support/tokens/dpop-proofs.js';
import { NOW, RESOURCE, signingKey } from '../../support/tokens/keys-and-tokens.js';
import { refusalOf } from '../../support/tokens/refusals.js';
import { type TrustingResource, trustingResource } from '../../support/tokens/trusting-resource.js';

const LONG = 'x'.repeat(2000);

describe('11.1: InvalidClaimsError says which claim broke which rule', () => {
  const key = signingKey('ES256', 'ec');
  let trusting: TrustingResource;

  beforeAll(async () => {
    trusting = await trustingResource([key.jwk], {
      resource: { inboundDPoP: {}, maxTokenLifetimeSeconds: 3600 },
    });
  });
  afterAll(() => trusting.close());

  const broken = async (parts: object) =>
    await refusalOf(trusting.resource.verify(trusting.mint(key, parts)));

  it.each<[claim: string, value: unknown, rule: errors.ClaimRule]>([
    ['iss', undefined, 'missing'],
    ['iss', 7, 'type'],
    ['iss', 'https://other.example', 'mismatch'],
    ['iss', LONG, 'too_long'],
    ['sub', undefined, 'missing'],
    ['sub', '', 'malformed'],
    ['sub', '\ud800', 'malformed'],
    ['sub', LONG, 'too_long'],
    ['client_id', null, 'type'],
    ['jti', undefined, 'missing'],
    ['aud', undefined, 'missing'],
    ['aud', [], 'missing'],
    ['aud', [7], 'type'],
    ['aud', [RESOURCE, LONG], 'too_long'],
    ['aud', `${RESOURCE}/`, 'mismatch'],
    ['exp', undefined, 'missing'],
    ['exp', '1', 'type'],
    ['exp', -1, 'malformed'],
    ['exp', NOW + 7200, 'too_long'],
    ['iat', undefined, 'missing'],
    ['iat', NOW + 3600, 'not_yet'],
    ['nbf', NOW + 3600, 'not_yet'],
    ['nbf', [NOW], 'type'],
    ['scope', ['a'], 'type'],
    ['agent_id', {}, 'type'],
    ['agent_chain', 'a', 'type'],
    ['agent_chain', [7], 'type'],
    ['agent_chain', Array(65).fill('a'), 'too_long'],
    ['act', 'a', 'type'],
    ['cnf', 'a', 'type'],
    ['cnf', {}, 'missing'],
    ['cnf', { jkt: 7 }, 'type'],
    ['cnf', { jkt: 'short' }, 'malformed'],
    ['cnf', { jkt: 'x'.repeat(44) }, 'too_long'],
  ])('claim %s: %p: %s', async (claim, value, rule) => {
    const error = await broken({ claims: { [claim]: value } });
    expect(error).toMatchObject({ code: 'invalid_claims', claim, rule });
  });

  it.each<[member: string, value: unknown, rule: errors.ClaimRule]>([
    ['typ', undefined, 'missing'],
    ['typ', 'JWT', 'mismatch'],
    ['typ', 7, 'type'],
    ['alg', 'HS256', 'mismatch'],
    ['alg', undefined, 'missing'],
    ['alg', '', 'malformed'],
    ['kid', undefined, 'missing'],
    ['kid', 'k'.repeat(257), 'too_long'],
    ['crit', ['exp'], 'malformed'],
    ['jku', 'https://evil.example', 'malformed'],
  ])('header %s: %p: %s', async (member, value, rule) => {
    const error = await broken({ header: { [member]: value } });
    expect(error).toMatchObject({ code: 'invalid_claims', claim: member, rule });
  });

  it('the whole: malformed, and no claim', async () => {
    const text = Buffer.from('{"alg":"ES256","alg":"ES256"}').toString('base64url');
    const error = await refusalOf(trusting.resource.verify(`${text}.e30.AAAA`));
    expect(error).toMatchObject({ code: 'invalid_claims', claim: undefined, rule: 'malformed' });
  });
});

describe('11.1: InvalidDPoPProofError says which member broke which rule', () => {
  let key: TestKey;
  let rsa: TestKey;

  beforeAll(async () => {
    [key, rsa] = await Promise.all([testKey('ES256'), testKey('RS256')]);
  });

  const broken = (changes: Changes, by = key) =>
    refusalOf(verifiedProof(proofOf(by, changes), goodRules(by)));

  it.each<[claim: string, value: unknown, rule: errors.ClaimRule]>([
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

  it.each<[member: string, value: unknown, rule: errors.ClaimRule]>([
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

  it.each<[member: string, value: unknown, rule: errors.ClaimRule, named?: string]>([
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

  it.each<[member: string, value: string, rule: errors.ClaimRule]>([
    ['e', 'Aw', 'mismatch'],
    ['n', 'AQAB', 'malformed'],
    ['n', `_${'A'.repeat(1365)}`, 'too_long'],
  ])('RSA jwk %s: %p: %s', async (member, value, rule) => {
    const error = await broken({ header: { jwk: { ...rsa.jwk, [member]: value } } }, rsa);
    expect(error).toMatchObject({ code: 'invalid_dpop_proof', claim: member, rule });
  });

  it.each<[what: string, proof: () => string, rule: errors.ClaimRule]>([
    ['no JWT', () => 'proof', 'malformed'],
    ['more than 8192 characters', () => `${proofOf(key)}${LONG.repeat(5)}`, 'too_long'],
    ['a claim named twice', () => proofOf(key, { claimsText: '{"a":1,"a":1}' }), 'malformed'],
    ['a foreign signature', () => withForeignSignature(key), 'mismatch'],
  ])('the whole, %s: %s', async (_, proof, rule) => {
    const error = await refusalOf(verifiedProof(proof(), goodRules(key)));
    expect(error).toMatchObject({ code: 'invalid_dpop_proof', claim: undefined, rule });
  });
});

describe('11.1: codes', () => {
  it.each([
    'access_denied',
    'invalid_request',
    'slow_down',
    'temporarily_unavailable',
    'use_dpop_nonce',
  ])('OAuthError: %s is the code', (error) => {
    expect(new errors.OAuthError('x', { error, statusCode: 400 })).toMatchObject({
      code: error,
      error,
    });
  });

  it.each(['something_new', 'token_expired', 'Invalid_Grant', '__proto__', ''])(
    'OAuthError: %j is no code of ours, and stays at `error`',
    (error) => {
      expect(new errors.OAuthError('x', { error, statusCode: 400 })).toMatchObject({
        code: 'oauth_error',
        error,
      });
    },
  );
});

test('11.1: every class takes what it is about, and options of which `cause` is always one', () => {
  const cause = new Error('inner');
  const options = { cause, statusCode: 400, error: 'invalid_grant', reason: 'timeout' as const };
  const classes = [...Object.values(errors), ReplayStoreError, OutboundHttpError].filter(
    (value) => typeof value === 'function',
  );
  const made = classes.map((Kind) => {
    const Concrete = Kind as new (subject: unknown, options: object) => errors.AuthplaneError;
    const subject = Kind === errors.InsufficientScopeError ? ['the', 'subject'] : 'the subject';
    return new Concrete(subject, options);
  });
  made.push(new ConsentRefusedError('decline', { cause }));
  expect(made.length).toBeGreaterThan(30);
  for (const error of made) {
    expect([error.name, error.cause]).toEqual([error.constructor.name, cause]);
    if (error instanceof ConsentRefusedError) continue;
    expect([error.name, error.message]).toEqual([error.name, expect.stringMatching(/the subject/)]);
  }
});

function withForeignSignature(key: TestKey): string {
  const [header, claims] = proofOf(key).split('.');
  const [, , signature] = proofOf(key, { claims: { jti: 'another' } }).split('.');
  return `${header}.${claims}.${signature}`;
}
