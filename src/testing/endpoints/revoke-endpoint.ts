import type { AccessTokens } from '../records/access-tokens.js';
import type { Clients } from '../records/clients.js';
import type { RefreshTokens } from '../records/refresh-tokens.js';
import { readForm, requiredParameter, type Handler } from '../http/request.js';
import type { Revocations } from '../records/revocations.js';
import { textOf } from '../records/token-claims.js';

export interface RevokeEndpointOptions {
  readonly clients: Clients;
  readonly tokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly revocations: Revocations;
}

/**
 * `POST /oauth/revoke` (RFC 7009): ends a refresh token's family with its access tokens, or a token
 * that the client has for itself. An access token of a user stays as it is.
 */
export function revokeEndpoint(options: RevokeEndpointOptions): Handler {
  const { clients, tokens, refreshTokens, revocations } = options;
  return async (request) => {
    const form = await readForm(request);
    const { clientId } = clients.authenticate(request.message, form);
    const token = requiredParameter(form, 'token');
    for (const jti of refreshTokens.revoke(token, clientId)) revocations.revoke(jti);
    const claims = await tokens.read(token);
    revocations.revokeOwn(textOf(claims?.jti), clientId);
    return { status: 200 };
  };
}
