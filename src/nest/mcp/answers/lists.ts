import type { McpOperation, OperationKind } from '../../../core/mcp/json-rpc.js';
import { type Named, nameKey, type OperationScopes } from '../../../core/mcp/operation-scopes.js';
import { challengeScopes } from '../../../core/lib/scopes.js';
import type { Caller } from '../../../core/token/caller.js';
import { isJsonObject } from '../../../core/lib/members.js';

interface ListMember {
  readonly member: string;
  readonly kind: OperationKind;
  /** Which member of an entry identifies it. */
  readonly id: string;
}

/** Where the results of the four list methods have their entries. */
const LISTS: readonly ListMember[] = [
  { member: 'tools', kind: 'tool', id: 'name' },
  { member: 'resources', kind: 'resource', id: 'uri' },
  { member: 'resourceTemplates', kind: 'resource', id: 'uriTemplate' },
  { member: 'prompts', kind: 'prompt', id: 'name' },
];

const UPDATED = 'notifications/resources/updated';

interface Recipient {
  readonly caller: Caller;
  readonly listed: ReadonlyMap<string, boolean> | undefined;
}

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

  /**
   * A JSON-RPC message as this caller is to see it; `undefined`: not at all.
   *
   * @param listed what rules have said already, by `nameKey`.
   */
  forCaller(message: unknown, caller: Caller, listed?: ReadonlyMap<string, boolean>): unknown {
    if (!this.changes) return message;
    const recipient = { caller, listed };
    return this.#tellsOfHidden(message, caller) ? undefined : this.#changed(message, recipient);
  }

  /** An update of a resource. Servers send it to every stream, also where nobody has subscribed. */
  #tellsOfHidden(message: unknown, caller: Caller): boolean {
    if (!this.#scopes.hides || !isJsonObject(message) || message['method'] !== UPDATED)
      return false;
    const params = message['params'];
    const uri = isJsonObject(params) ? params['uri'] : undefined;
    if (typeof uri !== 'string') return false;
    const use = useOf({ kind: 'resource', name: uri }, 'resources/subscribe');
    return !isVisible(use, this.#scopes, caller);
  }

  #changed(message: unknown, recipient: Recipient): unknown {
    if (!isJsonObject(message) || !isJsonObject(message['result'])) return message;
    const { result } = message;
    const list = LISTS.find(({ member }) => Array.isArray(result[member]));
    if (list === undefined) return message;
    const entries = result[list.member] as unknown[];
    const kept = this.#entries(entries, list, recipient);
    const isPublic = this.#scopes.hides && result['cacheScope'] === 'public'; // 2026-07-28: for all
    if (kept === entries && !isPublic) return message;
    return {
      ...message,
      result: { ...result, [list.member]: kept, ...(isPublic ? { cacheScope: 'private' } : {}) },
    };
  }

  /** The very same list where nothing is to be changed. */
  #entries(entries: unknown[], list: ListMember, recipient: Recipient): unknown[] {
    const shown = entries.filter((entry) => this.#isShown(entry, list, recipient));
    const named = shown.map((entry) => this.#withSchemes(entry, list));
    const isSame = named.length === entries.length && named.every((one, at) => one === entries[at]);
    return isSame ? entries : named;
  }

  #isShown(entry: unknown, { kind, id }: ListMember, { caller, listed }: Recipient): boolean {
    const name = isJsonObject(entry) ? entry[id] : undefined;
    if (!this.#scopes.hides || typeof name !== 'string') return true;
    const ruled = listed?.get(nameKey({ kind, name }));
    return ruled ?? isVisible(useOf({ kind, name }), this.#scopes, caller);
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

const USES: Readonly<Partial<Record<OperationKind, string>>> = {
  tool: 'tools/call',
  resource: 'resources/read',
  prompt: 'prompts/get',
};

/** What a rule is asked about that is to be listed: its use. One that looks at arguments finds none. */
export function useOf({ kind, name }: Named, method = USES[kind] ?? name): McpOperation {
  const params = { [kind === 'resource' ? 'uri' : 'name']: name, arguments: {} };
  return { kind, name, method, params };
}

/** Whether a caller may know that the operation exists. */
export function isVisible(use: McpOperation, scopes: OperationScopes, caller: Caller): boolean {
  const verdict = scopes.judge(use, caller);
  if (!(verdict instanceof Promise)) return !verdict.hidden;
  verdict.catch(() => undefined); // not known now
  return false;
}
