import {
  consentResponses,
  type ConsentResponses,
  hasUrlElicitation,
  type ProtocolEra,
  protocolEra,
  requestsUrlElicitation,
} from './consent.js';
import { memberOf } from '../../core/lib/members.js';
import { requestIdIn } from '../../core/mcp/json-rpc.js';

/** What the answer to a failed MCP operation depends on, whichever library runs it. */
export interface McpCall {
  /** JSON-RPC method, such as `tools/call`. */
  readonly method: string;
  readonly requestId: string | number | undefined;
  readonly era: ProtocolEra;
  /** `undefined`: not known. */
  readonly urlElicitation: boolean | undefined;
  readonly responses: ConsentResponses;
  /** `undefined`: the request came through no guard. */
  readonly caller: { readonly subject: string; readonly clientId: string } | undefined;
  readonly signal: AbortSignal | undefined;
}

export interface McpCallSource {
  /** What the SDK hands to a handler: v1 `extra`, v2 `ctx`. */
  readonly sdkContext: unknown;
  /** For v1, whose `extra` does not say it. */
  readonly method?: string | undefined;
  /** As declared in `initialize`; `undefined` without a session. */
  readonly sessionCapabilities: unknown;
}

/** The first revision with URL elicitation. */
const URL_ELICITATION_REVISION = '2025-11-25';
const REVISION_HEADER = 'mcp-protocol-version';

/** `undefined` when this is not a context of an MCP SDK. */
export function mcpCall(source: McpCallSource): McpCall | undefined {
  return memberOf(source.sdkContext, 'mcpReq') === undefined ? callV1(source) : callV2(source);
}

/** SDK v1 knows sessions and no later revision than 2025-11-25. */
function callV1({ sdkContext, method, sessionCapabilities }: McpCallSource): McpCall | undefined {
  const requestId = requestIdIn(sdkContext, 'requestId');
  if (requestId === undefined) return undefined;
  const call = legacyCall({
    method: method ?? '',
    headers: memberOf(memberOf(sdkContext, 'requestInfo'), 'headers'),
    authInfo: memberOf(sdkContext, 'authInfo'),
    sessionCapabilities,
  });
  return { ...call, requestId, signal: signalOf(memberOf(sdkContext, 'signal')) };
}

export interface LegacyCallSource {
  readonly method: string;
  /** Of the HTTP request; `undefined`: it came another way. */
  readonly headers: unknown;
  /** What the guard put on the request for the SDK. */
  readonly authInfo: unknown;
  /** As declared in `initialize`; `undefined` without a session. */
  readonly sessionCapabilities: unknown;
}

/** A call of the 2025 era, as far as it is known without a context of the SDK. */
export function legacyCall(source: LegacyCallSource): McpCall {
  const { method, headers, authInfo, sessionCapabilities } = source;
  return {
    method,
    requestId: undefined,
    era: '2025-11-25',
    urlElicitation: legacyElicitation(sessionCapabilities, headers),
    responses: consentResponses(undefined),
    caller: callerOf(authInfo),
    signal: undefined,
  };
}

/** SDK v2 takes the per-request `_meta` and the `inputResponses` out of the params. */
function callV2({ sdkContext, method, sessionCapabilities }: McpCallSource): McpCall {
  const request = memberOf(sdkContext, 'mcpReq');
  const params = { _meta: memberOf(request, 'envelope') };
  const era = protocolEra(params);
  const ownMethod = memberOf(request, 'method');
  const http = memberOf(sdkContext, 'http');
  return {
    method: typeof ownMethod === 'string' ? ownMethod : (method ?? ''),
    requestId: requestIdIn(request),
    era,
    urlElicitation:
      era === '2026-07-28'
        ? requestsUrlElicitation(params)
        : legacyElicitation(sessionCapabilities, headersOf(memberOf(http, 'req'))),
    responses: consentResponses(memberOf(request, 'inputResponses')),
    caller: callerOf(memberOf(http, 'authInfo')),
    signal: signalOf(memberOf(request, 'signal')),
  };
}

/**
 * Whether a client of the 2025 era can open URLs. Without a session its revision is all that is
 * known, and only where a request came over HTTP.
 */
function legacyElicitation(capabilities: unknown, headers: unknown): boolean | undefined {
  if (capabilities !== undefined) return hasUrlElicitation(capabilities);
  return headers === undefined || knowsUrlElicitation(headers) ? undefined : false;
}

/** A client that does not say its revision is of 2025-03-26 (2025-11-25, transports). */
function knowsUrlElicitation(headers: unknown): boolean {
  const revision =
    headers instanceof Headers ? headers.get(REVISION_HEADER) : memberOf(headers, REVISION_HEADER);
  return typeof revision === 'string' && revision >= URL_ELICITATION_REVISION;
}

/** Of a web `Request`, of the platform or of a server that imitates it. */
function headersOf(request: unknown): unknown {
  return typeof request === 'object' && request !== null && 'headers' in request
    ? request.headers
    : undefined;
}

/** From the `AuthInfo` that the guard put on the request. */
function callerOf(authInfo: unknown): McpCall['caller'] {
  const subject = memberOf(memberOf(authInfo, 'extra'), 'sub');
  const clientId = memberOf(authInfo, 'clientId');
  return typeof subject === 'string' && typeof clientId === 'string'
    ? { subject, clientId }
    : undefined;
}

function signalOf(signal: unknown): AbortSignal | undefined {
  return signal instanceof AbortSignal ? signal : undefined;
}
