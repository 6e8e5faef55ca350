import type { ScopeNeeds } from '../lib/scopes.js';
import type { McpOperation, OperationKind } from './json-rpc.js';

type Named = Pick<McpOperation, 'kind' | 'name'>;

/**
 * Requirements that are told only when they are asked for, because they follow from names that are made
 * elsewhere and change while the application runs. None of them is a rule.
 */
export interface RequirementSource {
  matching(operation: Named): readonly ToldRequirement[];
}

/** What one of them asks for, and of whom. */
export interface ToldRequirement {
  /** Of the tool or prompt, or URI or URI template of the resource. */
  readonly name: string;
  readonly requirement: ScopeNeeds;
}

/** All sources of one endpoint, and whether what they name is hidden. */
export class RequirementSources {
  readonly #all: readonly RequirementSource[];
  readonly #hidden: boolean;

  constructor(all: readonly RequirementSource[], hidden: boolean) {
    this.#all = all;
    this.#hidden = hidden;
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  get hides(): boolean {
    return this.#hidden && this.#all.length > 0;
  }

  matching(operation: Named): (ToldRequirement & { kind: OperationKind; hidden: boolean })[] {
    const also = { kind: operation.kind, hidden: this.#hidden };
    return this.#all.flatMap((source) =>
      source.matching(operation).map((one) => ({ ...one, ...also })),
    );
  }
}

export const NO_SOURCES = new RequirementSources([], false);
