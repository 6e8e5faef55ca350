import type { RefreshTokens } from '../refresh-tokens.js';
import { parameter, requiredParameter } from '../request.js';
import { parseScope, refuseBeyond } from '../scopes.js';
import type { Grant } from '../token-endpoint.js';
import { refuseOtherResource, userTokens, type UserTokenOptions } from './user-tokens.js';

export interface RefreshTokenOptions extends UserTokenOptions {
  readonly refreshTokens: RefreshTokens;
}

/** RFC 6749 §6. A narrower scope holds for this access token; the family keeps the whole grant. */
export function refreshTokenGrant(options: RefreshTokenOptions): Grant {
  return ({ client, form }) => {
    const token = requiredParameter(form, 'refresh_token');
    const grant = options.refreshTokens.grantOf(token, client.clientId);
    const requested = parseScope(parameter(form, 'scope'));
    refuseBeyond(requested, [grant.scope]);
    refuseOtherResource(form, grant);
    const scope = requested.length > 0 ? requested : grant.scope;
    const refreshToken = options.refreshTokens.rotate(token, client.clientId);
    return { ...userTokens(options, client, { ...grant, scope }), refresh_token: refreshToken };
  };
}
