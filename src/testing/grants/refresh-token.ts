import type { RefreshTokens } from '../records/refresh-tokens.js';
import { parameter, requiredParameter } from '../http/request.js';
import { parseScope, refuseBeyond } from '../records/scopes.js';
import type { Grant } from '../endpoints/token-endpoint.js';
import { refuseOtherResource, userTokens, type UserTokenOptions } from './user-tokens.js';

export interface RefreshTokenOptions extends UserTokenOptions {
  readonly refreshTokens: RefreshTokens;
}

/**
 * RFC 6749 §6. A narrower scope holds for this access token; the family keeps the whole grant. The
 * refresh token is not bound to a key, and as with AuthPlane it is spent before the proof is judged.
 */
export function refreshTokenGrant(options: RefreshTokenOptions): Grant {
  return async ({ client, form, bindingKey }) => {
    const token = requiredParameter(form, 'refresh_token');
    const grant = options.refreshTokens.grantOf(token, client.clientId);
    const requested = parseScope(parameter(form, 'scope'));
    refuseBeyond(requested, [grant.scope]);
    refuseOtherResource(form, grant);
    const scope = requested.length > 0 ? requested : grant.scope;
    const refreshToken = options.refreshTokens.rotate(token, client.clientId);
    const granted = { ...grant, scope };
    const { success, jti } = userTokens(options, client, granted, await bindingKey());
    options.refreshTokens.accompany(refreshToken, jti);
    return { ...success, refresh_token: refreshToken };
  };
}
