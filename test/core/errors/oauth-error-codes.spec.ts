import { describe, expect, it } from 'vitest';
import { oauthErrorCode } from '../../../src/core/errors/oauth-error-codes.js';

describe('11.1: the code of an OAuth error', () => {
  it.each([
    'access_denied', // RFC 6749 §4.1.2.1
    'consent_required', // AuthPlane
    'insufficient_scope', // RFC 6750 §3.1
    'interaction_required',
    'invalid_client', // RFC 6749 §5.2
    'invalid_dpop_proof', // RFC 9449 §5
    'invalid_grant',
    'invalid_request',
    'invalid_scope',
    'invalid_target', // RFC 8693 §2.2.2
    'invalid_token', // RFC 6750 §3.1
    'not_found',
    'server_error',
    'slow_down', // RFC 8628 §3.5
    'temporarily_unavailable',
    'unauthorized_client',
    'unsupported_grant_type',
    'unsupported_token_type', // RFC 7009 §2.2.1
    'use_dpop_nonce', // RFC 9449 §8
  ])('%s is one of a specification', (error) => {
    expect(oauthErrorCode(error)).toBe(error);
  });

  it.each([
    'something_new',
    'token_expired', // a code of ours, which nobody else may claim
    'oauth_error',
    'Invalid_Grant',
    ' invalid_grant',
    'constructor',
    '__proto__',
    '',
  ])('%j is none', (error) => {
    expect(oauthErrorCode(error)).toBe('oauth_error');
  });
});
