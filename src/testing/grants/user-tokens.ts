import type { AccessTokens } from '../records/access-tokens.js';
import type { UserGrant } from '../records/authorization-codes.js';
import { agentIdOf, type Client } from '../records/clients.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import { parameter } from '../http/request.js';
import { sameResource } from '../records/resources.js';
import { scopeMember, tokenType, type TokenSuccess } from '../endpoints/token-endpoint.js';

export interface UserTokenOptions {
  readonly issuer: string;
  readonly tokens: AccessTokens;
  readonly ttlSeconds: number;
}

export interface UserTokens {
  /** The answer to a code or a refresh token, without a refresh token. */
  readonly success: TokenSuccess;
  readonly jti: string;
}

export function userTokens(
  { issuer, tokens, ttlSeconds }: UserTokenOptions,
  client: Client,
  { sub, scope, resource }: UserGrant,
  jkt: string | undefined,
): UserTokens {
  const { clientId } = client;
  const audience = resource ?? issuer;
  const agentId = agentIdOf(client);
  const grant = { sub, clientId, agentId, audience, scope, ttlSeconds, jkt };
  const { token, jti } = tokens.issue(grant);
  const success = {
    access_token: token,
    token_type: tokenType(jkt),
    expires_in: ttlSeconds,
    ...scopeMember(scope),
  };
  return { success, jti };
}

/** The resource was fixed when the user agreed; naming another one later is refused. */
export function refuseOtherResource(form: URLSearchParams, grant: UserGrant): void {
  const indicator = parameter(form, 'resource');
  if (indicator === undefined) return;
  if (grant.resource === undefined || !sameResource(indicator, grant.resource)) {
    throw new OAuthProblem('invalid_target');
  }
}
