import { eventCaller } from '../core/events.js';
import { requireAllowed, rulesToAsk } from './callers/allow-rule.js';
import { type AppUsers, withScopesOf } from './callers/app-user.js';
import type { Eventually } from '../core/lib/deadline.js';
import { addScopeNeeds, challengeScopes, NO_SCOPES, type ScopeNeeds } from '../core/lib/scopes.js';
import { TokenMissingError } from '../core/errors/token-errors.js';
import { isWithoutCredentials } from '../core/token/credentials.js';
import { type AdmittedCaller, AnonymousCaller, TokenCaller } from '../core/token/caller.js';
import {
  type HttpExchange,
  keepPrivate,
  nodeRequest,
  nodeResponse,
  sendAlong,
} from './http/exchange.js';
import {
  inboundRequest,
  publishCaller,
  publishNobody,
  publishUser,
  requestState,
} from './http/request.js';
import { runListenersIn } from './http/request-context.js';
import type { EndpointPolicy, Inspection } from './mcp/endpoint-rules.js';
import type { ProtectedResource, ProtectedResources } from './resources/protected-resources.js';

/** What is known of whatever serves a request, before anybody looks at the request. */
export interface RequestPolicy extends EndpointPolicy {
  readonly protectedBy: ProtectedResource;
}

const NO_RULES: Inspection['rules'] = [];

/**
 * Lets a request in, or throws why not: the whole decision, for whoever has one to make, a guard or what
 * stands in front of a server that Nest does not route. Called once more for the same request it verifies
 * nothing twice.
 *
 * @throws AuthplaneError
 */
export async function letIn(
  exchange: HttpExchange,
  asked: RequestPolicy,
  application: ProtectedResources,
): Promise<void> {
  const { request } = exchange;
  const state = requestState(request);
  const policy = asked.protectedBy.many === undefined ? asked : await ofMember(exchange, asked);
  const { resource } = policy.protectedBy;
  state.resource = resource;
  state.isMcp = policy.protectedBy.isMcp;
  const inspection = inspect(exchange, policy);
  if (policy.isPublic) {
    state.isPublic = true;
    return;
  }
  state.challengeScopes = () =>
    challengeScopes(addScopeNeeds(policy.needs, inspection?.announcedNeeds ?? NO_SCOPES));
  const caller = await callerOnce(exchange, policy.protectedBy, inspection);
  state.known = caller;
  state.judgedBody ??= { body: request.body };
  const judging = judge(policy, inspection, caller);
  if (judging instanceof Promise) await judging;
  if (policy.protectedBy.users !== undefined && caller.isAnonymous !== true) {
    await loadUser(exchange, policy.protectedBy, policy.protectedBy.users, caller);
  }
  const rules = rulesToAsk(policy.needs, inspection?.rules ?? NO_RULES, state);
  if (rules.length > 0) {
    await requireAllowed(rules, caller, state);
    state.asked = [...(state.asked ?? []), ...rules];
  }
  admit(exchange, policy.protectedBy, inspection, caller);
  if (state.current === undefined) tellAdmission(application, inspection, caller);
  publish(exchange, application, caller);
  if (caller.isAnonymous !== true) {
    publishUserOf(exchange, policy.protectedBy, application, caller);
  }
  application.streams.watch(exchange, caller);
  keepPrivate(exchange);
  sendAlong(exchange, caller.responseHeaders);
}

/**
 * Where the configuration stands for many resources, that of the one which the request was sent to. What
 * anybody may call elsewhere belongs to none of them.
 *
 * @throws UnknownResourceError, CallbackError
 */
async function ofMember({ request }: HttpExchange, policy: RequestPolicy): Promise<RequestPolicy> {
  const { many } = policy.protectedBy;
  const isElsewhere = policy.isPublic && !policy.isMcpEndpoint && !many?.isAtEndpoint(request);
  if (many === undefined) return policy;
  if (isElsewhere) return { ...policy, protectedBy: { ...policy.protectedBy, isMcp: false } };
  return { ...policy, protectedBy: await many.of(request) };
}

/** `undefined` where there is nothing to check: nothing of MCP, or an earlier guard has done it. */
function inspect(exchange: HttpExchange, policy: RequestPolicy): Inspection | undefined {
  const { isMcp, mcp, resource } = policy.protectedBy;
  if (!isMcp) return undefined;
  if (requestState(exchange.request).inspectedFor === resource) return undefined;
  return mcp.inspect(exchange, policy);
}

function callerOnce(
  exchange: HttpExchange,
  protectedBy: ProtectedResource,
  inspection: Inspection | undefined,
): Promise<AdmittedCaller> {
  const { callers } = requestState(exchange.request);
  const { resource } = protectedBy;
  let caller = callers.get(resource);
  if (caller === undefined) {
    caller = callerOf(exchange, protectedBy, inspection);
    callers.set(resource, caller);
  }
  return caller;
}

async function callerOf(
  exchange: HttpExchange,
  { resource, otherCredentials }: ProtectedResource,
  inspection: Inspection | undefined,
): Promise<AdmittedCaller> {
  const isMcp = inspection?.isMcp === true;
  const other = otherCredentials && (await otherCredentials.callerOf(exchange, isMcp));
  if (other !== undefined) return other;
  const inbound = inboundRequest(exchange.request);
  return inspection?.admitsAnybody === true && isWithoutCredentials(inbound.headers)
    ? new AnonymousCaller(resource.resource)
    : new TokenCaller(await resource.authenticate(inbound), resource);
}

/** @throws InsufficientScopeError, and whatever the rules of an MCP endpoint refuse by. */
function judge(
  { needs, protectedBy }: RequestPolicy,
  inspection: Inspection | undefined,
  caller: AdmittedCaller,
): Eventually<void> {
  if (caller.isAnonymous === true) requireOpen(needs, inspection);
  return inspection === undefined
    ? protectedBy.resource.requireScopes(caller.claims, needs)
    : inspection.judge(caller);
}

/** @throws TokenMissingError where nobody may come without a credential, whichever guard has found none. */
function requireOpen(needs: ScopeNeeds, inspection: Inspection | undefined): void {
  const { all, anyOf, rules } = needs;
  const isOpen = inspection?.admitsAnybody ?? true; // judged before
  if (!isOpen || all.length + anyOf.length > 0 || rules !== undefined)
    throw new TokenMissingError();
}

/** Loaded once, however many guards ask; whoever has no scope is never looked up. */
async function loadUser(
  { request }: HttpExchange,
  { resource }: ProtectedResource,
  users: AppUsers,
  caller: AdmittedCaller,
): Promise<void> {
  const state = requestState(request);
  state.users ??= new Map();
  const loading = state.users.get(resource) ?? users.of(caller);
  state.users.set(resource, loading);
  state.user = await loading;
}

function admit(
  { request }: HttpExchange,
  { resource }: ProtectedResource,
  inspection: Inspection | undefined,
  caller: AdmittedCaller,
): void {
  if (inspection === undefined) return;
  inspection.admit(caller);
  const state = requestState(request);
  state.inspectedFor = resource;
  state.judgeAgain = () => inspection.admitAgain(caller);
}

/** Nothing is made of it where nobody listens: this is what happens to most requests. */
function tellAdmission(
  { events }: ProtectedResources,
  inspection: Inspection | undefined,
  caller: AdmittedCaller,
): void {
  if (!events.hearsAdmissions) return;
  const operations = (inspection?.operations ?? []).map(({ method, name }) => ({ method, name }));
  events.emit({ type: 'admitted', caller: eventCaller(caller), operations });
}

/** MCP-Nest reads `request.user`; where there is an option for it, so does the application. */
function publishUserOf(
  { request }: HttpExchange,
  { users, resource }: ProtectedResource,
  application: ProtectedResources,
  caller: AdmittedCaller,
): void {
  const { inspectedFor, user } = requestState(request);
  const isForMcpNest = inspectedFor === resource && application.publishesUser;
  if (users !== undefined) {
    users.publish(request, isForMcpNest ? withScopesOf(caller, user) : user);
  } else if (isForMcpNest) {
    publishUser(request, caller);
  }
}

function publish(
  exchange: HttpExchange,
  application: ProtectedResources,
  caller: AdmittedCaller,
): void {
  const state = requestState(exchange.request);
  if (state.current === undefined && state.isAnonymous !== true) {
    runListenersIn(state, nodeRequest(exchange));
    runListenersIn(state, nodeResponse(exchange));
  }
  state.application = application;
  if (caller.isAnonymous === true) {
    state.isAnonymous = true;
    publishNobody(exchange.request);
    return;
  }
  state.current = caller;
  publishCaller(exchange.request, caller);
}
