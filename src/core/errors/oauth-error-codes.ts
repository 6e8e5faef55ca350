/**
 * `error` of an authorization server that `OAuthError.code` repeats: RFC 6749 §4.1.2.1 and §5.2,
 * RFC 6750 §3.1, RFC 7009 §2.2.1, RFC 8628 §3.5, RFC 8693 §2.2.2, RFC 9449 §5 and §8, and AuthPlane.
 */
const OAUTH_ERROR_CODES = [
  'access_denied',
  'consent_required',
  'insufficient_scope',
  'interaction_required',
  'invalid_client',
  'invalid_dpop_proof',
  'invalid_grant',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'invalid_token',
  'not_found',
  'server_error',
  'slow_down',
  'temporarily_unavailable',
  'unauthorized_client',
  'unsupported_grant_type',
  'unsupported_token_type',
  'use_dpop_nonce',
] as const;

/** What `OAuthError.code` may be; `oauth_error` for an `error` that no specification names. */
export type OAuthErrorCode = (typeof OAUTH_ERROR_CODES)[number] | 'oauth_error';

export function oauthErrorCode(error: string): OAuthErrorCode {
  return OAUTH_ERROR_CODES.find((code) => code === error) ?? 'oauth_error';
}
