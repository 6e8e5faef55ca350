import { eventCaller } from '../core/events.js';
import { requireOnce, rulesToAsk } from './callers/allow-rule.js';
import { withScopesOf } from './callers/app-user.js';
import { callerOnce, Refused } from './callers/request-caller.js';
import type { Eventually } from '../core/lib/deadline.js';
import { putMember } from '../core/lib/members.js';
import type { ScopeNeeds } from '../core/lib/scopes.js';
import { TokenMissingError } from '../core/errors/token-errors.js';
import type { AdmittedCaller } from '../core/token/caller.js';
import {
  type HttpExchange,
  keepPrivate,
  nodeRequest,
  nodeResponse,
  offerHeaders,
} from './http/exchange.js';
import {
  publishCaller,
  publishNobody,
  publishUser,
  type RequestState,
  requestState,
} from './http/request.js';
import { runListenersIn } from './http/request-context.js';
import type { EndpointPolicy } from './mcp/endpoint-rules.js';
import type { Inspection } from './mcp/message-inspection.js';
import type { ProtectedResource, ProtectedResources } from './resources/protected-resources.js';

/** What is known of whatever serves a request, before anybody looks at the request. */
export interface RequestPolicy extends EndpointPolicy {
  readonly protectedBy: ProtectedResource;
}

const NO_RULES: Inspection['rules'] = [];

/** One request on its way to an answer. */
interface Decision {
  readonly exchange: HttpExchange;
  readonly state: RequestState;
  readonly policy: RequestPolicy;
  readonly protectedBy: ProtectedResource;
  readonly application: ProtectedResources;
  readonly inspection: Inspection | undefined;
}

/**
 * Lets a request in, or throws why not: the whole decision, for whoever has one to make, a guard or what
 * stands in front of a server that Nest does not route. Called once more for the same request it verifies
 * nothing twice.
 *
 * In this order: which resource it is for, what its body asks for (`inspect`), who asks (`callerOnce`), whether he
 * may (`judge`), who he is in the application (`loadUser`), what its rules say (`askRules`), and then he is
 * there for whatever runs (`admit`).
 *
 * At once where nothing has to be waited for, which is what a warm request asks for; a promise otherwise.
 *
 * @throws AuthplaneError
 */
export function letIn(
  exchange: HttpExchange,
  asked: RequestPolicy,
  application: ProtectedResources,
): Eventually<void> {
  const letting = letInOrRefuse(exchange, asked, application);
  if (letting instanceof Refused) throw letting.error;
  return letting;
}

/** The same; what happens to many requests is told and not thrown. @throws AuthplaneError for all else */
export function letInOrRefuse(
  exchange: HttpExchange,
  asked: RequestPolicy,
  application: ProtectedResources,
): Eventually<void> | Refused {
  return asked.protectedBy.many === undefined
    ? decide(exchange, asked, application)
    : decideForMember(exchange, asked, application);
}

async function decideForMember(
  exchange: HttpExchange,
  asked: RequestPolicy,
  application: ProtectedResources,
): Promise<void> {
  const letting = await decide(exchange, await ofMember(exchange, asked), application);
  if (letting instanceof Refused) throw letting.error;
}

function decide(
  exchange: HttpExchange,
  policy: RequestPolicy,
  application: ProtectedResources,
): Eventually<void> | Refused {
  const state = requestState(exchange.request);
  state.resource = policy.protectedBy.resource;
  state.isMcp = policy.protectedBy.isMcp;
  const inspection = inspect(exchange, policy);
  if (policy.isPublic) {
    state.isPublic = true;
    return undefined;
  }
  state.needs = policy.needs;
  state.announced = inspection;
  const { protectedBy } = policy;
  return judged({ exchange, state, policy, protectedBy, application, inspection });
}

function judged(decision: Decision): Eventually<void> | Refused {
  const caller = callerOnce(decision);
  if (caller instanceof Refused) return caller;
  return caller instanceof Promise
    ? caller.then((known) => judgeAndAdmit(decision, known))
    : judgeAndAdmit(decision, caller);
}

/** What the caller may, then who it is in the application, then what the application says. */
function judgeAndAdmit(decision: Decision, caller: AdmittedCaller): Eventually<void> {
  const { exchange, state } = decision;
  state.known = caller;
  state.judgedBody ??= { body: exchange.request.body };
  return after(judge(decision, caller), identifyAndAdmit, decision, caller);
}

const identifyAndAdmit: Step = (decision, caller) =>
  after(loadUser(decision, caller), askAndAdmit, decision, caller);

const askAndAdmit: Step = (decision, caller) =>
  after(askRules(decision, caller), admit, decision, caller);

type Step = (decision: Decision, caller: AdmittedCaller) => Eventually<void>;

/** Of whatever has nothing to wait for, the next step is a call and nothing else: no function is made for it. */
function after(
  step: Eventually<void>,
  next: Step,
  decision: Decision,
  caller: AdmittedCaller,
): Eventually<void> {
  return step === undefined ? next(decision, caller) : goOnAfter(step, next, decision, caller);
}

async function goOnAfter(
  step: Promise<void>,
  next: Step,
  decision: Decision,
  caller: AdmittedCaller,
): Promise<void> {
  await step;
  await next(decision, caller);
}

/** The last step: nothing may refuse the request after it. */
function admit(
  { exchange, state, policy, application, inspection }: Decision,
  caller: AdmittedCaller,
): undefined {
  const { protectedBy } = policy;
  inspection?.admit(exchange, caller);
  if (inspection !== undefined) noteMessages(state, protectedBy, inspection, caller);
  if (state.current === undefined) tellAdmission(application, inspection, caller);
  publish(exchange, application, caller);
  if (caller.isAnonymous !== true) publishUserOf(exchange, protectedBy, application, caller);
  application.streams.watch(exchange, caller);
  offerHeaders(exchange, caller.responseHeaders); // says of caches what it has to, which comes first
  keepPrivate(exchange);
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

/**
 * Who asks, before the body is read: for whoever refuses early. A guard behind it does not ask once more.
 *
 * @param needs what a challenge asks for.
 * @throws AuthplaneError
 */
export function identify(
  exchange: HttpExchange,
  protectedBy: ProtectedResource,
  needs: ScopeNeeds,
): Eventually<AdmittedCaller> | Refused {
  const state = requestState(exchange.request);
  state.resource = protectedBy.resource;
  state.needs = needs;
  return callerOnce({ exchange, state, protectedBy, inspection: undefined });
}

/** @throws InsufficientScopeError, and whatever the rules of an MCP endpoint refuse by. */
function judge(
  { exchange, policy, inspection }: Decision,
  caller: AdmittedCaller,
): Eventually<void> {
  const { needs, protectedBy } = policy;
  if (caller.isAnonymous === true) requireOpen(needs, inspection);
  return inspection === undefined
    ? protectedBy.resource.requireScopes(caller.claims, needs)
    : inspection.judge(exchange, caller);
}

/** @throws TokenMissingError where nobody may come without a credential, whichever guard has found none. */
function requireOpen(needs: ScopeNeeds, inspection: Inspection | undefined): void {
  const { all, anyOf, rules } = needs;
  const isOpen = inspection?.admitsAnybody ?? true; // judged before
  if (!isOpen || all.length + anyOf.length > 0 || rules !== undefined)
    throw new TokenMissingError();
}

/** Whoever has no scope is never looked up. */
function loadUser({ state, policy }: Decision, caller: AdmittedCaller): Eventually<void> {
  const { users } = policy.protectedBy;
  if (users === undefined || caller.isAnonymous === true) return undefined;
  return users.loadOnce(state, caller);
}

/** @throws OperationRefusedError, CallbackError */
function askRules(
  { state, policy, inspection }: Decision,
  caller: AdmittedCaller,
): Eventually<void> {
  const rules = rulesToAsk(policy.needs, inspection?.rules ?? NO_RULES, state);
  return rules.length === 0 ? undefined : requireOnce(rules, caller, state);
}

function noteMessages(
  state: RequestState,
  { resource }: ProtectedResource,
  inspection: Inspection,
  caller: AdmittedCaller,
): void {
  state.inspectedFor = resource;
  putMember(state, 'judgeAgain', (exchange) =>
    inspection.admitAgain(exchange as HttpExchange, caller),
  );
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
  if (application.carriesCallers && state.current === undefined && state.isAnonymous !== true) {
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
