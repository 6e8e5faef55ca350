import type { OperationKind } from '../core/json-rpc.js';
import type { OperationScopes } from '../core/operation-scopes.js';
import type { VerifiedClaims } from '../core/verified-claims.js';

interface ListMember {
  readonly member: string;
  readonly kind: OperationKind;
  /** Which member of an entry identifies it. */
  readonly id: string;
  /** What its use would be. */
  readonly method: string;
}

/** Where the results of the four list methods have their entries. */
const LISTS: readonly ListMember[] = [
  { member: 'tools', kind: 'tool', id: 'name', method: 'tools/call' },
  { member: 'resources', kind: 'resource', id: 'uri', method: 'resources/read' },
  { member: 'resourceTemplates', kind: 'resource', id: 'uriTemplate', method: 'resources/read' },
  { member: 'prompts', kind: 'prompt', id: 'name', method: 'prompts/get' },
];

type Json = Readonly<Record<string, unknown>>;

/** A JSON-RPC message, or batch, without list entries that the caller must not know of. */
export function withoutHidden(
  json: string,
  scopes: OperationScopes,
  claims: VerifiedClaims,
): string {
  const message = parsed(json);
  const filtered = Array.isArray(message)
    ? message.map((one: unknown) => filteredMessage(one, scopes, claims))
    : filteredMessage(message, scopes, claims);
  const isSame = Array.isArray(message)
    ? message.every((one, index) => one === (filtered as unknown[])[index])
    : filtered === message;
  return isSame ? json : JSON.stringify(filtered);
}

/** Whether a caller may know that it exists. Rules that look at arguments get none. */
export function isVisible(
  { kind, name, method }: { kind: OperationKind; name: string; method: string },
  scopes: OperationScopes,
  claims: VerifiedClaims,
): boolean {
  const params = { [kind === 'resource' ? 'uri' : 'name']: name, arguments: {} };
  return !scopes.judge({ kind, name, method, params }, claims).hidden;
}

function filteredMessage(
  message: unknown,
  scopes: OperationScopes,
  claims: VerifiedClaims,
): unknown {
  if (!isJson(message) || !isJson(message['result'])) return message;
  const { result } = message;
  const list = LISTS.find(({ member }) => Array.isArray(result[member]));
  if (list === undefined) return message;
  const entries = result[list.member] as unknown[];
  const kept = entries.filter((entry) => {
    const name = isJson(entry) ? entry[list.id] : undefined;
    return typeof name !== 'string' || isVisible({ ...list, name }, scopes, claims);
  });
  const isPublic = result['cacheScope'] === 'public'; // 2026-07-28: for all callers
  if (kept.length === entries.length && !isPublic) return message;
  return {
    ...message,
    result: { ...result, [list.member]: kept, ...(isPublic ? { cacheScope: 'private' } : {}) },
  };
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined; // an empty body, or another protocol's
  }
}
