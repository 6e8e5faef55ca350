import type { OperationKind } from '../../../core/mcp/json-rpc.js';
import type { OperationScopes } from '../../../core/mcp/operation-scopes.js';
import { challengeScopes } from '../../../core/lib/scopes.js';
import type { Caller } from '../../../core/token/caller.js';
import { isJsonObject } from '../../../core/lib/members.js';

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

const UPDATED = 'notifications/resources/updated';

interface ListOptions {
  readonly namesSchemes: boolean;
}

/** What the lists of a server say to one caller. */
export class McpLists {
  /** Whether any list is to be changed for anybody. */
  readonly changes: boolean;
  readonly #scopes: OperationScopes;
  readonly #namesSchemes: boolean;

  /** @param options `namesSchemes`: corrects what MCP-Nest says about the scopes of a tool. */
  constructor(scopes: OperationScopes, { namesSchemes }: ListOptions = { namesSchemes: false }) {
    this.#scopes = scopes;
    this.#namesSchemes = namesSchemes;
    this.changes = scopes.hides || namesSchemes;
  }

  /** A JSON-RPC message as this caller is to see it; `undefined`: not at all. */
  forCaller(message: unknown, caller: Caller): unknown {
    if (!this.changes) return message;
    return this.#tellsOfHidden(message, caller) ? undefined : this.#changed(message, caller);
  }

  /** An update of a resource. Servers send it to every stream, also where nobody has subscribed. */
  #tellsOfHidden(message: unknown, caller: Caller): boolean {
    if (!this.#scopes.hides || !isJsonObject(message) || message['method'] !== UPDATED)
      return false;
    const params = message['params'];
    const uri = isJsonObject(params) ? params['uri'] : undefined;
    const resource = { kind: 'resource', method: 'resources/subscribe' } as const;
    return typeof uri === 'string' && !isVisible({ ...resource, name: uri }, this.#scopes, caller);
  }

  #changed(message: unknown, caller: Caller): unknown {
    if (!isJsonObject(message) || !isJsonObject(message['result'])) return message;
    const { result } = message;
    const list = LISTS.find(({ member }) => Array.isArray(result[member]));
    if (list === undefined) return message;
    const entries = result[list.member] as unknown[];
    const kept = this.#entries(entries, list, caller);
    const isPublic = this.#scopes.hides && result['cacheScope'] === 'public'; // 2026-07-28: for all
    if (kept === entries && !isPublic) return message;
    return {
      ...message,
      result: { ...result, [list.member]: kept, ...(isPublic ? { cacheScope: 'private' } : {}) },
    };
  }

  /** The very same list where nothing is to be changed. */
  #entries(entries: unknown[], list: ListMember, caller: Caller): unknown[] {
    const shown = entries.filter((entry) => this.#isShown(entry, list, caller));
    const named = shown.map((entry) => this.#withSchemes(entry, list));
    const isSame = named.length === entries.length && named.every((one, at) => one === entries[at]);
    return isSame ? entries : named;
  }

  #isShown(entry: unknown, { kind, id, method }: ListMember, caller: Caller): boolean {
    const name = isJsonObject(entry) ? entry[id] : undefined;
    if (!this.#scopes.hides || typeof name !== 'string') return true;
    return isVisible({ kind, name, method }, this.#scopes, caller);
  }

  /**
   * MCP-Nest knows of no scopes but its own, and says of a tool that has ours that it needs no login. It
   * enforces its own, without alternatives and hierarchies, so they cannot be set instead.
   */
  #withSchemes(entry: unknown, { kind }: ListMember): unknown {
    if (!this.#namesSchemes || kind !== 'tool' || !isJsonObject(entry)) return entry;
    const { name, _meta: meta } = entry;
    if (typeof name !== 'string' || !isJsonObject(meta) || !('securitySchemes' in meta))
      return entry;
    const scopes = challengeScopes(this.#scopes.staticNeeds({ kind, name }));
    if (scopes.length === 0) return entry;
    const securitySchemes = [{ type: 'oauth2', scopes }];
    return {
      ...entry,
      ...('securitySchemes' in entry ? { securitySchemes } : {}),
      _meta: { ...meta, securitySchemes },
    };
  }
}

/** Whether a caller may know that the operation exists. A rule that looks at arguments finds none. */
export function isVisible(
  { kind, name, method }: { kind: OperationKind; name: string; method: string },
  scopes: OperationScopes,
  caller: Caller,
): boolean {
  const params = { [kind === 'resource' ? 'uri' : 'name']: name, arguments: {} };
  const verdict = scopes.judge({ kind, name, method, params }, caller);
  if (!(verdict instanceof Promise)) return !verdict.hidden;
  verdict.catch(() => undefined); // not known now
  return false;
}
