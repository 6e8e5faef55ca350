import {
  nameKey,
  type OperationRequirement,
  OperationScopes,
} from '../../core/mcp/operation-scopes.js';
import { type McpOptions, requirementsOf } from '../../core/mcp/settings.js';
import { type RequirementSource, RequirementSources } from '../../core/mcp/requirement-sources.js';
import type { DeclaredOperation } from './hosts/mcp-discovery.js';
import { McpLists } from './answers/lists.js';
import type { Events } from '../../core/events.js';

/** A requirement that a server has made known when it registered the operation. */
export interface LearnedOperation extends Omit<OperationRequirement, 'hidden'> {
  readonly list?: 'show' | 'hide' | undefined;
}

/** Servers are often made per request, with names of their caller: a bound for what they teach. */
const MAX_LEARNED = 10_000;

/** What the operations of one resource need: from options, from decorators, and learned from servers. */
export class OperationTable {
  readonly #events: Events;
  readonly #list: McpOptions['list'];
  readonly #ofOptions: readonly OperationRequirement[];
  readonly #learned = new Map<string, LearnedOperation>();
  readonly #sources: RequirementSource[] = [];
  #declared: readonly DeclaredOperation[] = [];
  #isLibrary = false;
  #isFull = false;
  #built: { readonly scopes: OperationScopes; readonly lists: McpLists } | undefined;

  constructor(options: McpOptions, events: Events) {
    this.#events = events;
    this.#list = options.list;
    this.#ofOptions = requirementsOf(options);
  }

  /** Whether anything is known of any operation. */
  get isEmpty(): boolean {
    const { length } = this.#ofOptions;
    const added = this.#declared.length + this.#learned.size + this.#sources.length;
    return length + added === 0 && !this.#isLibrary;
  }

  get scopes(): OperationScopes {
    return this.#tables().scopes;
  }

  get lists(): McpLists {
    return this.#tables().lists;
  }

  /** @param isLibrary a host library serves them, whose lookup of URIs is loose, and whose lists say what a tool needs. */
  declare(declared: readonly DeclaredOperation[], isLibrary: boolean): void {
    this.#declared = declared;
    this.#isLibrary = isLibrary;
    this.#built = undefined;
  }

  /** Asked anew for each operation; hidden as the option `mcp.list` says. */
  addSource(source: RequirementSource): void {
    this.#sources.push(source);
    this.#built = undefined;
  }

  /** A repeated registration changes nothing; a rule replaces the earlier one of that name. */
  learn(operation: LearnedOperation): void {
    const { kind, name, requirement, list } = operation;
    const isRule = typeof requirement === 'function';
    const key = JSON.stringify([kind, name, list, isRule ? 'rule' : requirement]);
    const known = this.#learned.get(key);
    if (known !== undefined && (!isRule || known.requirement === requirement)) return;
    if (known === undefined && this.#learned.size >= MAX_LEARNED) return this.#refuseMore();
    this.#learned.set(key, operation);
    this.#built = undefined;
  }

  #tables() {
    this.#built ??= this.#build();
    return this.#built;
  }

  /** What a decorator or a registration says about its listing wins over the options. */
  #build() {
    const added = [...this.#declared, ...this.#learned.values()];
    const shown = new Set(added.filter((one) => one.list === 'show').map(nameKey));
    const scopes = new OperationScopes(
      [
        ...this.#ofOptions.map((one) =>
          shown.has(nameKey(one)) ? { ...one, hidden: false } : one,
        ),
        ...added.map((one) => ({ ...one, hidden: (one.list ?? this.#list) === 'hide' })),
      ],
      this.#isLibrary,
      new RequirementSources(this.#sources, this.#list === 'hide'),
    );
    return { scopes, lists: new McpLists(scopes, { namesSchemes: this.#isLibrary }) };
  }

  #refuseMore(): void {
    if (this.#isFull) return;
    this.#isFull = true;
    const text =
      `more than ${MAX_LEARNED} requirements were registered with requires(): the guard learns no more, ` +
      `and further handlers refuse by themselves, without a challenge; register fewer names`;
    this.#events.emit({ type: 'set_up', text, isDoubtful: true });
  }
}
