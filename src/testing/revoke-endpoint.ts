import type { Clients } from './clients.js';
import type { RefreshTokens } from './refresh-tokens.js';
import { readForm, requiredParameter, type Handler } from './request.js';

/** `POST /oauth/revoke` (RFC 7009): ends a refresh token's family. Access tokens stay as they are. */
export function revokeEndpoint(clients: Clients, refreshTokens: RefreshTokens): Handler {
  return async (request) => {
    const form = await readForm(request);
    const client = clients.authenticate(request.message, form);
    refreshTokens.revoke(requiredParameter(form, 'token'), client.clientId);
    return { status: 200 };
  };
}
