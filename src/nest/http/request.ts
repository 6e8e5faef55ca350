import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import type { ExecutionContext } from '@nestjs/common';
import type { HeaderLines } from '../../core/token/credentials.js';
import type { Eventually } from '../../core/lib/deadline.js';
import { hiddenMember } from './hidden-member.js';
import {
  type AccessRule,
  challengeScopes,
  NO_SCOPES,
  type ScopeNeeds,
  sumOfNeeds,
} from '../../core/lib/scopes.js';
import type { McpOperation } from '../../core/mcp/json-rpc.js';
import type { Events } from '../../core/events.js';
import type { AuthplaneResource, InboundRequest } from '../../core/resource.js';
import type { AdmittedCaller, Caller } from '../../core/token/caller.js';

/** The framework's request: Express hands out Node's own, Fastify one with Node's inside. */
export interface FrameworkRequest {
  readonly raw?: IncomingMessage;
  /** Express: the request target before routers rewrote `url`. */
  readonly originalUrl?: string;
  /** What the body parser made of the body. */
  readonly body?: unknown;
}

/** What methods ask of the application that a request belongs to. */
export interface GuardedApplication {
  /** `false` when tests have replaced the guard. */
  readonly isEnforced: boolean;
  /**
   * Whether the asynchronous call carries the caller of each request: not where nobody asks for one without
   * the request.
   */
  carriesCallers: boolean;
  readonly events: Events;
  /** @throws ConfigurationError for an unknown name. */
  resourceNamed(name: string): AuthplaneResource;
}

/** What the asynchronous call carries: one object for all that a request does, filled by the guard. */
export interface CallerHolder {
  /** Who is calling; set when a guard has let the request pass. */
  current?: Caller;
  /** The request was let in without any credential: there is nobody. */
  isAnonymous?: boolean;
  /** What the handler belongs to, for the challenge and for guards further on. */
  resource?: AuthplaneResource;
  application?: GuardedApplication;
  /** Who the caller is in the application, by its option `user`; not there without it. */
  user?: unknown;
  /** What `@Allow` was asked about, and said yes to. */
  asked?: readonly RulesAsked[];
}

/** Rules, and the operation that they were asked about; none: the handler. */
export interface RulesAsked {
  readonly rules: readonly AccessRule[];
  readonly operation: McpOperation | undefined;
}

/** The framework's request with its body, and the place for its answer; see `HttpExchange`. */
interface ParsedExchange {
  readonly request: FrameworkRequest;
  readonly reply: object;
}

/** Who asks for one resource, or why nobody does. */
export interface FoundCaller {
  readonly resource: AuthplaneResource;
  readonly caller: Eventually<AdmittedCaller> | undefined;
  /** Thrown to each guard that asks, where there is no caller. */
  readonly refusal?: unknown;
}

/**
 * What guards find out about one request, shared by all guards on its way.
 *
 * Nothing here may lead to the answer: request and answer live and end together, and where the one holds
 * the other, the garbage collector moves both to where it looks rarely.
 */
export class RequestState implements CallerHolder {
  // All are there from the beginning, so that the object never has to grow.
  current?: Caller;
  isAnonymous?: boolean;
  resource?: AuthplaneResource;
  application?: GuardedApplication;
  user?: unknown;
  asked?: readonly RulesAsked[];
  /** One verification for each resource, however many guards ask. */
  callers?: readonly FoundCaller[];
  /** Whose credential is good, whatever becomes of the request. */
  known?: Caller;
  /** The same for the users of the application. */
  users?: Map<AuthplaneResource, Promise<unknown>>;
  /** What the handler needs, for the challenge. */
  needs?: ScopeNeeds;
  /** And the operations in the body, which is found out when there is one. */
  announced?: { readonly announcedNeeds: ScopeNeeds } | undefined;
  /** `false`: the handler belongs to a resource that is no MCP endpoint, so that no message was judged. */
  isMcp?: boolean;
  /** A guard has seen a `@Public()` handler. */
  isPublic?: boolean;
  /** The MCP operations of the body have been checked for this resource. */
  inspectedFor?: AuthplaneResource;
  /** Checks these operations once more, by what the server has taught since. Throws as a guard does. */
  judgeAgain?: (exchange: ParsedExchange) => Eventually<void>;
  /** The parsed body as the guard saw it; whatever runs for this request has to get the same object. */
  judgedBody?: { readonly body: unknown };
  /** Read in front of the platform's parser, which reads it once more: what runs gets this object. */
  readBody?: { readonly body: object };
  /** What has to wait until the platform has read the body, and decides whether the request goes on. */
  whenParsed?: (exchange: ParsedExchange, goOn: () => void) => void;
}

/** What a challenge asks for: all that the request needs, as far as it is known. */
export function scopesToAskFor(state: RequestState): readonly string[] {
  return challengeScopes(neededBy(state));
}

/** The same as it is needed: one object for all requests that need the same, as far as that is known. */
export function neededBy({ needs, announced }: RequestState): ScopeNeeds {
  return needs === undefined
    ? NO_SCOPES
    : sumOfNeeds(needs, announced?.announcedNeeds ?? NO_SCOPES);
}

/** The request, or the work for a caller, that something runs in; nothing at the start and in timers. */
export const requests = new AsyncLocalStorage<CallerHolder | undefined>();

// Keyed by Node's request, which every guard and decorator of a request can reach; param decorators
// have no dependency injection. An entry dies with its request.
const states = hiddenMember<RequestState>();

/** What the running request was let in for; `undefined` where no guarded request runs. */
export function runningResource(): AuthplaneResource | undefined {
  return requests.getStore()?.resource;
}

/** What is known of it already. */
export function knownState(request: object): RequestState | undefined {
  return states.get(rawRequest(request));
}

export function requestState(request: object): RequestState {
  const raw = rawRequest(request);
  let state = states.get(raw);
  if (state === undefined) {
    state = new RequestState();
    states.set(raw, state);
  }
  return state;
}

/** As sent, and as middleware may have rewritten it: a router has matched one of them. */
export function urlsOf(request: FrameworkRequest): string[] {
  const { originalUrl, url } = request as FrameworkRequest & { readonly url?: string };
  const raw = rawRequest(request) as IncomingMessage;
  const urls = originalUrl === undefined ? [] : [originalUrl];
  for (const one of [url, raw.url]) if (one !== undefined && !urls.includes(one)) urls.push(one);
  return urls;
}

export function rawRequest(request: FrameworkRequest): object {
  return request.raw ?? request;
}

/** As Node has parsed them. */
export function rawHeaders(request: FrameworkRequest): IncomingMessage['headers'] {
  return (rawRequest(request) as Partial<IncomingMessage>).headers ?? {};
}

/** The request target, before routers rewrote it. */
export function sentUrl(request: FrameworkRequest): string {
  return request.originalUrl ?? (rawRequest(request) as IncomingMessage).url ?? '';
}

/** Target and header lines from the wire, not what middleware made of them; of the method Node keeps no copy. */
export function inboundRequest(request: FrameworkRequest): InboundRequest {
  const raw = rawRequest(request) as IncomingMessage; // HTTP context: the platform's request
  return {
    method: raw.method ?? '',
    url: sentUrl(request),
    headers: headersOf(request),
    connection: raw.socket,
  };
}

/**
 * A request that no parser has read, as adapters of serverless platforms and tests make them, has no
 * lines, and what it says stands in `headers` alone. Where there are lines, only they count.
 */
export function headersOf(request: FrameworkRequest): HeaderLines {
  const { rawHeaders: lines = [], headers = {} } = rawRequest(request) as Partial<IncomingMessage>;
  return lines.length > 0 ? lines : headers;
}

/** Another value in both views, so that all who look see the same request. */
export function replaceHeader(
  { headers, rawHeaders }: IncomingMessage,
  name: string,
  value: string,
): void {
  headers[name] = value;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === name) rawHeaders[at + 1] = value;
  }
}

/** Takes a header out of both views, so that all who look see the same request. */
export function dropHeader({ headers, rawHeaders }: IncomingMessage, name: string): void {
  delete headers[name];
  for (let at = rawHeaders.length - 2; at >= 0; at -= 2) {
    if (rawHeaders[at]?.toLowerCase() === name) rawHeaders.splice(at, 2);
  }
}

/**
 * The HTTP request that a handler of any context runs for. MCP-Nest 2 runs tools in an RPC context
 * whose own context object has Node's request; no other RPC or WebSocket transport is known here.
 */
export function requestOf(
  context: Pick<ExecutionContext, ContextMethods>,
): FrameworkRequest | undefined {
  if (context.getType() === 'http') return httpRequest(context);
  return context.getType() === 'rpc' ? rpcRequest(context) : undefined;
}

/**
 * Who is calling a handler that a guard has let in. In an RPC context the caller is usually known
 * already, from the HTTP handler that the message came through. That one is right: a stateful MCP
 * server may show a later request of the same session.
 */
export function callerOf(context: Pick<ExecutionContext, ContextMethods>): Caller | undefined {
  const known = context.getType() === 'rpc' ? requests.getStore()?.current : undefined;
  const request = requestOf(context);
  return known ?? (request && requestState(request).current);
}

/** What runs for the caller of {@link callerOf}. */
export function holderOf(
  context: Pick<ExecutionContext, ContextMethods>,
): CallerHolder | undefined {
  const running = context.getType() === 'rpc' ? requests.getStore() : undefined;
  if (running?.current !== undefined) return running;
  const request = requestOf(context);
  return request && requestState(request);
}

type ContextMethods = 'getType' | 'switchToHttp' | 'switchToRpc';

function rpcRequest(context: Pick<ExecutionContext, 'switchToRpc'>): FrameworkRequest | undefined {
  const ofTransport: unknown = context.switchToRpc().getContext();
  if (!hasRawRequest(ofTransport)) return undefined;
  const request: unknown = ofTransport.getRawRequest();
  return typeof request === 'object' && request !== null ? request : undefined;
}

function hasRawRequest(context: unknown): context is { getRawRequest(): unknown } {
  return (
    typeof context === 'object' &&
    context !== null &&
    'getRawRequest' in context &&
    typeof context.getRawRequest === 'function'
  );
}

export function httpRequest(context: Pick<ExecutionContext, 'switchToHttp'>): FrameworkRequest {
  return context.switchToHttp().getRequest<FrameworkRequest>();
}

/**
 * Puts the caller where the MCP SDK's transports look for what they hand to tools, on the framework's
 * request and on Node's.
 */
export function publishCaller(request: FrameworkRequest, caller: Caller): void {
  const auth = authInfo(caller);
  for (const target of targetsOf(request)) target.auth = auth;
}

/** Nobody: what stands there is not of ours. */
export function publishNobody(request: FrameworkRequest): void {
  for (const target of targetsOf(request)) target.auth = undefined;
}

/**
 * MCP-Nest reads `user`. Applications keep their own user there, with an id that claims do not have, so
 * it is never replaced.
 */
export function publishUser(request: FrameworkRequest, { claims }: Pick<Caller, 'claims'>): void {
  const targets = targetsOf(request);
  if (targets.some(({ user }) => user !== undefined && user !== null)) return;
  for (const target of targets) target.user = claims;
}

/** Where handlers and libraries look for who is calling. */
interface PublishedCaller {
  auth?: unknown;
  user?: unknown;
}

export function targetsOf(request: FrameworkRequest): PublishedCaller[] {
  const raw = rawRequest(request);
  return raw === request ? [raw] : [request as object, raw];
}

/** The MCP SDK's `AuthInfo`, by shape; its token is for handlers that exchange it. */
function authInfo({ claims, authentication }: Caller) {
  const { sub, issuer: iss, jti, agentId, agentChain, act, clientId, expiresAt } = claims;
  const token = authentication?.token ?? '';
  const scopes = [...claims.scopes];
  const extra = { sub, iss, jti, agentId, agentChain, act };
  return expiresAt === Infinity
    ? { token, clientId, scopes, extra }
    : { token, clientId, scopes, expiresAt, extra };
}
