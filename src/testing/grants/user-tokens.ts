import type { AccessTokens } from '../access-tokens.js';
import type { UserGrant } from '../authorization-codes.js';
import type { Client } from '../clients.js';
import { OAuthProblem } from '../oauth-problem.js';
import { parameter } from '../request.js';
import { sameResource } from '../resources.js';
import { scopeMember, type TokenSuccess } from '../token-endpoint.js';

export interface UserTokenOptions {
  readonly issuer: string;
  readonly tokens: AccessTokens;
  readonly ttlSeconds: number;
}

/** The answer to a code or a refresh token, without a refresh token. */
export function userTokens(
  { issuer, tokens, ttlSeconds }: UserTokenOptions,
  { clientId, agent }: Client,
  { sub, scope, resource }: UserGrant,
): TokenSuccess {
  const audience = resource ?? issuer;
  return {
    access_token: tokens.issue({ sub, clientId, agent, audience, scope, ttlSeconds }),
    token_type: 'Bearer',
    expires_in: ttlSeconds,
    ...scopeMember(scope),
  };
}

/** The resource was fixed when the user agreed; naming another one later is refused. */
export function refuseOtherResource(form: URLSearchParams, grant: UserGrant): void {
  const indicator = parameter(form, 'resource');
  if (indicator === undefined) return;
  if (grant.resource === undefined || !sameResource(indicator, grant.resource)) {
    throw new OAuthProblem('invalid_target');
  }
}
