import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { RpcError } from './gateway-errors.js';
import { textOfHeader } from './header-text.js';
import { INVALID_PARAMS, INVALID_REQUEST, type RequestId } from './json-rpc-answer.js';

/** The revision that is stateless, and says in every request what it is. */
export const MODERN = '2026-07-28';

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const HEADER_MISMATCH = -32020;
const UNSUPPORTED_VERSION = -32022;

/** Which member of `params` the header `Mcp-Name` repeats. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/** A request of MCP 2026-07-28. */
export interface ModernRequest {
  readonly id: RequestId;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Whether a message says itself that it is of 2026-07-28 or later, in its body or its header. */
export function isModern(body: unknown, headers: IncomingHttpHeaders): boolean {
  if (isJsonObject(body) && versionIn(body) !== undefined) return true;
  const version = headers['mcp-protocol-version'];
  return typeof version === 'string' && version >= MODERN;
}

/**
 * The request in a body that {@link isModern}; `undefined` for a notification, which asks for nothing.
 * Decides by the body, and refuses headers that say otherwise (MCP 2026-07-28, Transports).
 *
 * @throws RpcError
 */
export function modernRequest(
  body: unknown,
  headers: IncomingHttpHeaders,
): ModernRequest | undefined {
  if (!isJsonObject(body) || member(body, 'jsonrpc') !== '2.0') throw invalidRequest();
  const method = member(body, 'method');
  const id = member(body, 'id');
  if (typeof method !== 'string') throw invalidRequest();
  if (!Object.hasOwn(body, 'id')) return undefined;
  if (typeof id !== 'string' && !Number.isSafeInteger(id)) throw invalidRequest();
  const params = member(body, 'params');
  const version = versionIn(body);
  if (!isJsonObject(params) || typeof version !== 'string') throw noEnvelope();
  if (version !== MODERN) throw unsupportedVersion(version);
  if (!isJsonObject(memberOf(memberOf(params, '_meta'), CAPABILITIES))) throw noEnvelope();
  requireSame(headers, 'mcp-protocol-version', version);
  requireSame(headers, 'mcp-method', method);
  requireName(headers, method, params);
  return { id: id as RequestId, method, params }; // checked above
}

/** What a client of the 2025 revisions hears where only 2026-07-28 is served. */
function unsupportedVersion(requested: string | undefined): RpcError {
  return new RpcError(400, {
    code: UNSUPPORTED_VERSION,
    message: 'Unsupported protocol version',
    data: { supported: [MODERN], ...(requested === undefined ? {} : { requested }) },
  });
}

function versionIn(body: object): unknown {
  return memberOf(memberOf(memberOf(body, 'params'), '_meta'), VERSION);
}

function invalidRequest(): RpcError {
  return new RpcError(400, { code: INVALID_REQUEST, message: 'Invalid Request' });
}

function noEnvelope(): RpcError {
  return new RpcError(400, {
    code: INVALID_PARAMS,
    message: `Invalid params: _meta must have ${VERSION} and ${CAPABILITIES}`,
  });
}

function requireSame(headers: IncomingHttpHeaders, name: string, expected: string): void {
  const given = headers[name];
  if (typeof given === 'string' && given.trim() === expected) return;
  throw mismatch(name, given === undefined ? 'is missing' : 'differs from the body');
}

function requireName(headers: IncomingHttpHeaders, method: string, params: object): void {
  const field = NAMES.get(method);
  const expected = field === undefined ? undefined : memberOf(params, field);
  if (typeof expected !== 'string') return;
  const given = headers['mcp-name'];
  if (typeof given === 'string' && textOfHeader(given) === expected) return;
  throw mismatch('mcp-name', given === undefined ? 'is missing' : 'differs from the body');
}

/** What the transport has to be told of headers that say something else than the body. */
export function mismatch(header: string, problem: string): RpcError {
  return new RpcError(400, {
    code: HEADER_MISMATCH,
    message: `Bad Request: the header ${header} ${problem}`,
  });
}
