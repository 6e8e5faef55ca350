import { actorChain, type Actor } from '../records/actors.js';
import { agentIdOf, type Client } from '../records/clients.js';
import type { FrontingLink } from '../endpoints/fronting.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import type { Resource } from '../records/resources.js';
import { intersection, refuseBeyond } from '../records/scopes.js';
import { scopeMember, tokenType, type TokenSuccess } from '../endpoints/token-endpoint.js';
import {
  refuseBeyondSubject,
  refuseUnlisted,
  type Exchange,
  type TokenExchangeOptions,
} from './exchange.js';
import { ACCESS_TOKEN_TYPE, namesActor, type Subject } from './subject-token.js';

const MAX_ACTORS = 5;

/** Gives a token of this issuer for another resource, directly or along a fronting link. */
export async function mintExchange(
  options: TokenExchangeOptions,
  exchange: Exchange,
  target: Resource,
): Promise<TokenSuccess> {
  const { client, form, subject, bindingKey } = exchange;
  refuseUnlisted(target, client);
  const link = linkTo(options, subject, target);
  const scope =
    link === undefined
      ? directScope(options, exchange, target)
      : frontedScope(options, exchange, link);
  const actor = await namesActor(options.tokens, form);
  const act =
    link === undefined ? delegation(client, subject, actor) : gatewayActor(link.source, subject);
  const jkt = (await bindingKey()) ?? subject.jkt;
  const { token } = options.tokens.issue({
    sub: subject.sub,
    clientId: link === undefined ? client.clientId : link.source.slug,
    agentId: agentIdOf(client),
    audience: target.uri,
    scope,
    ttlSeconds: options.ttlSeconds,
    jkt,
    act,
  });
  return {
    access_token: token,
    issued_token_type: ACCESS_TOKEN_TYPE,
    token_type: tokenType(jkt),
    // AuthPlane counts what remains in whole seconds, and a part of the first one has gone by.
    expires_in: options.ttlSeconds - 1,
    ...scopeMember(scope),
  };
}

/**
 * The chain of actors: a request that names one adds the client that asks, outermost.
 *
 * @throws OAuthProblem `invalid_request` when the chain gets too long.
 */
export function delegation(client: Client, { act }: Subject, actor: boolean): Actor | undefined {
  if (!actor) return act === undefined ? undefined : checkedChain(act);
  return checkedChain({
    sub: client.clientId,
    actor_type: client.agent ? 'agent' : 'service',
    ...(act !== undefined && { act }),
  });
}

/** The gateway acts for the agent, or for whoever is in the chain already. */
function gatewayActor({ slug }: Resource, { act, clientId }: Subject): Actor {
  return checkedChain({ sub: slug, act: act ?? { sub: clientId } });
}

function checkedChain(act: Actor): Actor {
  if (actorChain(act).length <= MAX_ACTORS) return act;
  throw new OAuthProblem('invalid_request', 'delegation chain too deep');
}

function linkTo(
  { resources, fronting }: TokenExchangeOptions,
  { audience }: Subject,
  target: Resource,
): FrontingLink | undefined {
  const source = resources.ofAudience(audience);
  return source && fronting.between(source, target);
}

function directScope(
  { consents }: TokenExchangeOptions,
  exchange: Exchange,
  target: Resource,
): readonly string[] {
  const { client, subject, requested } = exchange;
  refuseBeyondSubject(exchange);
  const own = client.clientId === subject.clientId;
  if (!own && !mayExchangeForeign(target, client)) throw new OAuthProblem('access_denied');
  // AuthPlane asks for no consent when a client may trade in its own tokens; a test that requires
  // one wants to see the refusal all the same.
  consents.check(target, subject.sub, requested);
  return requested.length > 0
    ? requested
    : derived([target.scopes ?? subject.scope, subject.scope]);
}

/** Everybody may where nothing is registered. */
function mayExchangeForeign(
  { exchangeClients, runtimeClients }: Resource,
  { clientId }: Client,
): boolean {
  if (exchangeClients === undefined) return true;
  return exchangeClients.includes(clientId) || runtimeClients.includes(clientId);
}

/**
 * Each scope of the target stands on one scope of the source that the subject must hold: the first
 * by name.
 */
function frontedScope(
  { consents }: TokenExchangeOptions,
  { client, subject, requested }: Exchange,
  link: FrontingLink,
): readonly string[] {
  const { source, target } = link;
  const allowed = [...source.runtimeClients, ...(target.exchangeClients ?? [])];
  if (!allowed.includes(client.clientId)) throw new OAuthProblem('access_denied');
  const reachable = link.targetScopes.filter((scope) => {
    const [required] = link.sourcesOf(scope);
    return required !== undefined && subject.scope.includes(required);
  });
  refuseBeyond(requested, [reachable]);
  consents.check(target, subject.sub, requested);
  return requested.length > 0 ? requested : derived([reachable]);
}

function derived(bounds: readonly (readonly string[])[]): readonly string[] {
  const scope = intersection(bounds);
  if (scope.length === 0) throw new OAuthProblem('invalid_scope');
  return scope;
}
