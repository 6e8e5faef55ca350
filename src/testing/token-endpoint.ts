import type { Client, Clients } from './clients.js';
import { OAuthProblem } from './oauth-problem.js';
import { json } from './reply.js';
import { readForm, requiredParameter, type Handler } from './request.js';

/** RFC 6749 §5.1. */
export interface TokenSuccess {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly refresh_token?: string;
  readonly scope?: string;
}

export interface TokenRequest {
  readonly client: Client;
  readonly form: URLSearchParams;
}

/** One grant type: sees only authenticated clients that are registered for it. */
export type Grant = (request: TokenRequest) => TokenSuccess;

/** `POST /oauth/token`. The table decides which grant types exist. */
export function tokenEndpoint(clients: Clients, grants: ReadonlyMap<string, Grant>): Handler {
  return async (request) => {
    const form = await readForm(request);
    const grantType = requiredParameter(form, 'grant_type');
    const grant = grants.get(grantType);
    if (grant === undefined) throw new OAuthProblem('unsupported_grant_type');
    const client = clients.authenticate(request.message, form);
    if (!client.grantTypes.includes(grantType)) throw new OAuthProblem('unauthorized_client');
    const headers = { 'Cache-Control': 'no-store', Pragma: 'no-cache' };
    return json(200, grant({ client, form }), headers);
  };
}

/** The member `scope`, left out when empty. */
export function scopeMember(scope: readonly string[]): { readonly scope?: string } {
  return scope.length > 0 ? { scope: scope.join(' ') } : {};
}
