import type { AccessTokens } from '../access-tokens.js';
import type { UserGrant } from '../authorization-codes.js';
import { agentIdOf, type Client } from '../clients.js';
import { OAuthProblem } from '../oauth-problem.js';
import { parameter } from '../request.js';
import { sameResource } from '../resources.js';
import { scopeMember, tokenType, type TokenSuccess } from '../token-endpoint.js';

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
