import { describe, expect, it } from 'vitest';
import * as oauth from '../../../src/core/errors/oauth-errors.js';

const REFUSAL = { statusCode: 400, error: 'invalid_grant' };

describe('OAuthError', () => {
  it('repeats what the answer says', () => {
    const told = { description: 'it has ended', retryAfterSeconds: 7 };
    expect(new oauth.OAuthError('exchange failed', { ...REFUSAL, ...told })).toMatchObject({
      message: 'exchange failed',
      code: 'invalid_grant',
      ...REFUSAL,
      ...told,
    });
  });

  it('knows nothing of what it does not say', () => {
    const error = new oauth.OAuthError('x', REFUSAL);
    expect([error.description, error.retryAfterSeconds]).toEqual([undefined, undefined]);
  });

  it.each(['something_new', 'token_expired', ''])(
    '%j is no code, and stays at `error`',
    (error) => {
      const made = new oauth.OAuthError('x', { ...REFUSAL, error });
      expect([made.code, made.error]).toEqual(['oauth_error', error]);
    },
  );

  it.each([
    oauth.InvalidClientError,
    oauth.InvalidGrantError,
    oauth.UnauthorizedClientError,
    oauth.UnsupportedGrantTypeError,
    oauth.InvalidScopeError,
    oauth.InvalidTargetError,
    oauth.AccessDeniedError,
    oauth.ServerError,
    oauth.ConsentRequiredError,
  ])('%o is one, and says its own name', (Kind) => {
    const error = new Kind('x', REFUSAL);
    expect(error).toBeInstanceOf(oauth.OAuthError);
    expect(error.name).toBe(Kind.name);
  });
});

describe('ConsentRequiredError', () => {
  const consent = { statusCode: 400, error: 'consent_required' };

  it('has the page, the service and why, on one line for logs', () => {
    const consentUrl = 'https://auth.example.com/connect';
    const told = { consentUrl, serviceId: 'calendar', causeDetail: 'scope_insufficient' };
    const error = new oauth.ConsentRequiredError('exchange: 400', { ...consent, ...told });
    expect(error).toMatchObject({ code: 'consent_required', ...told });
    expect(error.describe()).toBe('exchange: 400 (calendar: scope_insufficient)');
  });

  it('without them has no page, an unknown service, and misses consent', () => {
    const error = new oauth.ConsentRequiredError('x', consent);
    expect(error.consentUrl).toBeUndefined();
    expect(error.describe()).toBe('x (unknown_service: consent_missing)');
  });
});
