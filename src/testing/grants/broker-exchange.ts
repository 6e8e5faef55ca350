import type { FrontingLink } from '../endpoints/fronting.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import { parameter } from '../http/request.js';
import type { Resource } from '../records/resources.js';
import { intersection, refuseBeyond } from '../records/scopes.js';
import { scopeMember, type TokenSuccess } from '../endpoints/token-endpoint.js';
import {
  refuseBeyondSubject,
  refuseUnlisted,
  type Exchange,
  type TokenExchangeOptions,
} from './exchange.js';
import { ACCESS_TOKEN_TYPE } from './subject-token.js';

/** Gives the token that an upstream provider has for the user. It is a bearer token, always. */
export async function brokerExchange(
  options: TokenExchangeOptions,
  exchange: Exchange,
  target: Resource,
): Promise<TokenSuccess> {
  const { client, form, subject, bindingKey } = exchange;
  if (parameter(form, 'actor_token') !== undefined) {
    throw new OAuthProblem('invalid_request', 'actor not allowed for broker resource');
  }
  refuseUnlisted(target, client);
  const source = options.resources.ofAudience(subject.audience);
  const scope =
    source === undefined || source.backend === 'broker'
      ? directScope(options, exchange, target)
      : frontedScope(exchange, linkBetween(options, source, target));
  await bindingKey();
  refuseWithoutConnection(options, exchange, target, scope);
  return {
    access_token: options.upstream.accessToken(target.broker.provider),
    issued_token_type: ACCESS_TOKEN_TYPE,
    token_type: 'Bearer',
    expires_in: target.broker.expiresIn,
    ...scopeMember(scope),
  };
}

/** A client that is its own subject is no user, and nobody can connect an account for it. */
function refuseWithoutConnection(
  { consents }: TokenExchangeOptions,
  { subject, requested }: Exchange,
  target: Resource,
  scope: readonly string[],
): void {
  if (subject.sub === subject.clientId) throw consents.problem(target, requested, {});
  consents.check(target, subject.sub, requested);
  if (scope.length > 0) return;
  throw consents.problem(target, requested, { cause: 'scope_insufficient' });
}

/** The client must run a mint resource, and the user have agreed to what it does there. */
function directScope(
  { resources, consents }: TokenExchangeOptions,
  exchange: Exchange,
  target: Resource,
): readonly string[] {
  const { client, subject, requested } = exchange;
  refuseBeyondSubject(exchange);
  const actor = resources.runBy(client.clientId);
  if (actor === undefined) throw new OAuthProblem('access_denied');
  consents.check(actor, subject.sub, requested);
  return requested.length > 0 ? requested : intersection([target.scopes ?? [], subject.scope]);
}

function linkBetween(
  { fronting }: TokenExchangeOptions,
  source: Resource,
  target: Resource,
): FrontingLink {
  const link = fronting.between(source, target);
  if (link !== undefined) return link;
  throw new OAuthProblem(
    'invalid_request',
    `no fronting link declared from "${source.slug}" to "${target.slug}"`,
  );
}

/** Unlike on the way to a mint resource, any scope of the source that covers will do. */
function frontedScope(
  { client, subject, requested }: Exchange,
  link: FrontingLink,
): readonly string[] {
  if (!link.source.runtimeClients.includes(client.clientId))
    throw new OAuthProblem('access_denied');
  const reachable = link.targetScopes.filter((scope) =>
    link.sourcesOf(scope).some((source) => subject.scope.includes(source)),
  );
  refuseBeyond(requested, [reachable]);
  return requested.length > 0 ? requested : reachable;
}
