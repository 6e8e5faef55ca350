import { agentIdOf } from '../records/clients.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import { parameter } from '../http/request.js';
import type { Resource } from '../records/resources.js';
import { parseScope, refuseBeyond } from '../records/scopes.js';
import {
  scopeMember,
  tokenType,
  type GrantType,
  type TokenSuccess,
} from '../endpoints/token-endpoint.js';
import { brokerExchange } from './broker-exchange.js';
import type { Exchange, TokenExchangeOptions } from './exchange.js';
import { delegation, mintExchange } from './mint-exchange.js';
import { ACCESS_TOKEN_TYPE, namesActor, subjectOf } from './subject-token.js';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/**
 * RFC 8693, with the checks in the order of AuthPlane. The `audience`, a `requested_token_type` and
 * any `resource` after the first are disregarded.
 */
export function tokenExchangeGrant(options: TokenExchangeOptions): GrantType {
  return {
    precheck: (form) => {
      if (parameter(form, 'subject_token') !== undefined) return;
      throw new OAuthProblem(
        'invalid_grant',
        'the authorization grant is invalid, expired, or revoked: subject_token is required',
      );
    },
    confidential: true,
    grant: async (request) => {
      const subject = await subjectOf(options, request.form);
      const name = parameter(request.form, 'resource');
      const target = name === undefined ? undefined : options.resources.named(name);
      const requested = parseScope(parameter(request.form, 'scope'));
      const exchange = { ...request, subject, requested };
      if (target === undefined) return sameAudience(options, exchange);
      refuseUnknownScope(options, exchange, target);
      return target.backend === 'mint'
        ? mintExchange(options, exchange, target)
        : brokerExchange(options, exchange, target);
    },
  };
}

/** On the way to a broker along a link, the link says which scopes there are. */
function refuseUnknownScope(
  { resources, fronting }: TokenExchangeOptions,
  { subject, requested }: Exchange,
  target: Resource,
): void {
  const source = resources.ofAudience(subject.audience);
  const link = source && fronting.between(source, target);
  if (target.backend === 'broker' && link !== undefined) return;
  if (target.scopes !== undefined) refuseBeyond(requested, [target.scopes]);
}

/** Without a resource a client can only trade in its own token, for one that it may revoke. */
async function sameAudience(
  { tokens, revocations, allowSelfExchange, ttlSeconds }: TokenExchangeOptions,
  { client, form, subject, requested, bindingKey }: Exchange,
): Promise<TokenSuccess> {
  const { clientId } = client;
  const actor = await namesActor(tokens, form);
  refuseBeyond(requested, [subject.scope]);
  if (!allowSelfExchange || subject.clientId !== clientId) throw new OAuthProblem('access_denied');
  const act = delegation(client, subject, actor);
  const jkt = (await bindingKey()) ?? subject.jkt;
  const scope = requested.length > 0 ? requested : subject.scope;
  const { sub, audience } = subject;
  const agentId = agentIdOf(client);
  const grant = { sub, clientId, agentId, audience, scope, ttlSeconds, jkt, act };
  const { token, jti } = tokens.issue(grant);
  revocations.recordMachineToken(jti, clientId);
  return {
    access_token: token,
    issued_token_type: ACCESS_TOKEN_TYPE,
    token_type: tokenType(jkt),
    expires_in: ttlSeconds,
    ...scopeMember(scope),
  };
}
