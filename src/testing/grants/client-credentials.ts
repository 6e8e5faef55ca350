import type { AccessTokens } from '../records/access-tokens.js';
import { agentIdOf, type Client } from '../records/clients.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import { parameter } from '../http/request.js';
import type { Resources } from '../records/resources.js';
import type { Revocations } from '../records/revocations.js';
import { intersection, parseScope, refuseBeyond } from '../records/scopes.js';
import { scopeMember, tokenType, type Grant } from '../endpoints/token-endpoint.js';

export interface ClientCredentialsOptions {
  readonly issuer: string;
  readonly tokens: AccessTokens;
  readonly resources: Resources;
  readonly revocations: Revocations;
  readonly ttlSeconds: number;
}

/** RFC 6749 §4.4. The subject is the client itself, and there is no refresh token (§4.4.3). */
export function clientCredentialsGrant(options: ClientCredentialsOptions): Grant {
  const { issuer, tokens, resources, revocations, ttlSeconds } = options;
  return async ({ client, form, bindingKey }) => {
    if (client.clientSecret === undefined) throw new OAuthProblem('invalid_client');
    const indicator = parameter(form, 'resource');
    const resource = indicator === undefined ? undefined : resources.exactly(indicator);
    const scope = machineScope(client, resources.scopesOf(resource), parameter(form, 'scope'));
    const { clientId } = client;
    const jkt = await bindingKey();
    const { token, jti } = tokens.issue({
      sub: clientId,
      clientId,
      agentId: agentIdOf(client),
      audience: resource ?? issuer,
      scope,
      ttlSeconds,
      jkt,
    });
    revocations.recordMachineToken(jti, clientId);
    return {
      access_token: token,
      token_type: tokenType(jkt),
      expires_in: ttlSeconds,
      ...scopeMember(scope),
    };
  };
}

/** Bounded by the client's ceiling and by what the resource has; never empty, and sorted. */
function machineScope(
  client: Client,
  catalogue: readonly string[] | undefined,
  parameterValue: string | undefined,
): readonly string[] {
  const ceiling = client.scope ?? [];
  const bounds = catalogue === undefined ? [ceiling] : [ceiling, catalogue];
  const requested = parseScope(parameterValue);
  refuseBeyond(requested, bounds);
  const scope = requested.length > 0 ? requested : intersection(bounds);
  if (scope.length === 0) throw new OAuthProblem('invalid_scope');
  return [...scope].sort();
}
