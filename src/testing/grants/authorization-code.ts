import { createHash } from 'node:crypto';

import type { AuthorizationCodes } from '../records/authorization-codes.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import type { RefreshTokens } from '../records/refresh-tokens.js';
import { parameter, requiredParameter } from '../http/request.js';
import type { Grant } from '../endpoints/token-endpoint.js';
import { refuseOtherResource, userTokens, type UserTokenOptions } from './user-tokens.js';

export interface AuthorizationCodeOptions extends UserTokenOptions {
  readonly codes: AuthorizationCodes;
  /** `undefined`: no refresh tokens are issued. */
  readonly refreshTokens: RefreshTokens | undefined;
}

/** `code-verifier` of RFC 7636 §4.1. */
const CODE_VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;

/** RFC 6749 §4.1.3 with PKCE (RFC 7636 §4.6). */
export function authorizationCodeGrant(options: AuthorizationCodeOptions): Grant {
  return async ({ client, form, bindingKey }) => {
    const grant = options.codes.consume(requiredParameter(form, 'code'));
    if (grant === undefined) throw new OAuthProblem('invalid_grant');
    if (grant.clientId !== client.clientId) throw new OAuthProblem('invalid_grant');
    if (parameter(form, 'redirect_uri') !== grant.redirectUri) {
      throw new OAuthProblem(
        'invalid_grant',
        'redirect_uri differs from the authorization request',
      );
    }
    if (!provesChallenge(parameter(form, 'code_verifier'), grant.codeChallenge)) {
      throw new OAuthProblem('invalid_grant', 'PKCE verification failed');
    }
    refuseOtherResource(form, grant);
    const { success, jti } = userTokens(options, client, grant, await bindingKey());
    if (options.refreshTokens === undefined || !client.grantTypes.includes('refresh_token')) {
      return success;
    }
    const { clientId, sub, scope, resource } = grant;
    const refreshToken = options.refreshTokens.start({ clientId, sub, scope, resource }, jti);
    return { ...success, refresh_token: refreshToken };
  };
}

function provesChallenge(verifier: string | undefined, challenge: string): boolean {
  if (verifier === undefined || !CODE_VERIFIER.test(verifier)) return false;
  return createHash('sha256').update(verifier).digest('base64url') === challenge;
}
