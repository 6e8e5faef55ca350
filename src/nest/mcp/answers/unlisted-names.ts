import type { OperationKind } from '../../../core/mcp/json-rpc.js';
import type { OperationRequirement } from '../../../core/mcp/operation-scopes.js';
import { isJsonObject } from '../../../core/lib/members.js';
import type { Json } from './json-messages.js';

type Named = Pick<OperationRequirement, 'kind' | 'name'>;

const LISTS: readonly (readonly [member: string, kind: OperationKind])[] = [
  ['tools', 'tool'],
  ['prompts', 'prompt'],
];

/**
 * Compares the names in the options with the first complete list of a server, for servers whose tools and
 * prompts are registered by hand. A misspelt name protects nothing, and nothing else tells.
 */
export class UnlistedNames {
  readonly #wanted = new Map<OperationKind, Set<string>>();

  constructor(requirements: readonly Named[]) {
    for (const [, kind] of LISTS) {
      const names = requirements.filter((one) => one.kind === kind).map(({ name }) => name);
      if (names.length > 0) this.#wanted.set(kind, new Set(names));
    }
  }

  /** Whether a list is still awaited. */
  get isWatching(): boolean {
    return this.#wanted.size > 0;
  }

  /** Whether the text may have such a list, before anybody has read it. */
  isIn(text: Pick<string, 'includes'> | Pick<Buffer, 'includes'>): boolean {
    return this.isWatching && LISTS.some(([member]) => text.includes(`"${member}"`));
  }

  /** @returns what the list lacks whose last page this message is. */
  see(message: unknown): Named[] {
    if (!this.isWatching) return [];
    if (!isJsonObject(message) || !isJsonObject(message['result'])) return [];
    const { result } = message;
    return LISTS.flatMap(([member, kind]) => this.#compare(result, member, kind));
  }

  #compare(result: Json, member: string, kind: OperationKind): Named[] {
    const entries = result[member];
    const wanted = this.#wanted.get(kind);
    if (wanted === undefined || !Array.isArray(entries)) return [];
    for (const entry of entries as unknown[]) wanted.delete(nameOf(entry));
    if (result['nextCursor'] !== undefined) return []; // more pages
    this.#wanted.delete(kind);
    return [...wanted].map((name) => ({ kind, name }));
  }
}

function nameOf(entry: unknown): string {
  const name: unknown = typeof entry === 'object' && entry !== null && Reflect.get(entry, 'name');
  return typeof name === 'string' ? name : '';
}
