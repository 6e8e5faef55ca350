import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ClaimRule,
  CredentialRefusedError,
  InsufficientScopeError,
  InvalidClaimsError,
  NoCallerError,
  TokenMissingError,
  TokenRevokedError,
} from '../../../src/core/errors/token-errors.js';
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

  it.each<[claim: string, value: unknown, rule: ClaimRule]>([
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

  it.each<[member: string, value: unknown, rule: ClaimRule]>([
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

describe('errors that say it themselves', () => {
  it.each([
    [TokenMissingError, 'token_missing', 'the request carries no access token'],
    [NoCallerError, 'no_caller', 'there is no caller here: no guarded handler is running'],
    [CredentialRefusedError, 'credential_refused', 'the credential of the request is not good'],
  ])('%o', (Kind, code, message) => {
    expect(new Kind()).toMatchObject({ code, message });
    expect(new Kind('another')).toMatchObject({ code, message: 'another' });
  });
});

describe('InvalidClaimsError', () => {
  it('without options is about the whole, which is malformed', () => {
    const error = new InvalidClaimsError('no JSON');
    expect(error).toMatchObject({ claim: undefined, rule: 'malformed', message: 'no JSON' });
    expect(new InvalidClaimsError('x', { claim: 'aud' }).rule).toBe('malformed');
    expect(new InvalidClaimsError('x', { rule: 'missing' }).claim).toBeUndefined();
  });
});

describe('InsufficientScopeError', () => {
  it('names all scopes that are needed, and in the message none of those that are there', () => {
    const error = new InsufficientScopeError(['a', 'b'], { grantedScopes: ['secret:x'] });
    expect(error).toMatchObject({
      code: 'insufficient_scope',
      message: 'the operation needs the scopes: a b',
      requiredScopes: ['a', 'b'],
      grantedScopes: ['secret:x'],
    });
    expect(new InsufficientScopeError(['a']).grantedScopes).toBeUndefined();
  });

  it('keeps copies that nobody changes', () => {
    const [required, granted] = [['a'], ['b']];
    const error = new InsufficientScopeError(required, { grantedScopes: granted });
    required.push('c');
    granted.push('c');
    expect([error.requiredScopes, error.grantedScopes]).toEqual([['a'], ['b']]);
    expect(Object.isFrozen(error.requiredScopes) && Object.isFrozen(error.grantedScopes)).toBe(
      true,
    );
  });
});

describe('TokenRevokedError', () => {
  it('ends with its hint', () => {
    expect(new TokenRevokedError('revoked', { hint: 'is the client bound?' })).toMatchObject({
      code: 'token_revoked',
      hint: 'is the client bound?',
      message: 'revoked; is the client bound?',
    });
    expect(new TokenRevokedError('revoked')).toMatchObject({ hint: undefined, message: 'revoked' });
  });
});
