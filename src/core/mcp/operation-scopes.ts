import { node } from '../platform/node.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { InsufficientScopeError } from '../errors/token-errors.js';
import { OperationRefusedError } from '../errors/request-errors.js';
import { type Eventually, whenAllKnown, whenKnown } from '../lib/deadline.js';
import type { McpOperation, OperationKind } from './json-rpc.js';
import { NO_SOURCES } from './requirement-sources.js';
import { UriTable } from './uri-table.js';
import { addScopeNeeds, challengeScopes, NO_SCOPES, type ScopeNeeds } from '../lib/scopes.js';
import { UriReader } from './uri-reader.js';
import { type Caller, meetsNeeds } from '../token/caller.js';
import { type Demand, demandOf, type Refusal } from './scope-demand.js';
import {
  type RequiredScopes,
  type ScopeRule,
  scopeNeeds,
  type RuledOperation,
} from './scope-requirement.js';

/** One requirement, wherever it was declared. */
export interface OperationRequirement {
  readonly kind: OperationKind;
  /** Name of the tool or prompt, URI or URI template of the resource. */
  readonly name: string;
  readonly requirement: RequiredScopes | ScopeRule | ScopeNeeds;
  readonly hidden: boolean;
}

export type Named = Pick<McpOperation, 'kind' | 'name'>;

/** What is to be done with an operation. */
export interface OperationVerdict {
  /** Everything it needs; empty when it is to be hidden. */
  readonly needs: ScopeNeeds;
  /** The caller may not use it, and it must look as if it did not exist. */
  readonly hidden: boolean;
  /** A rule refuses this caller; no scope helps. */
  readonly refusal?: Refusal;
}

const NOTHING_NEEDED: OperationVerdict = Object.freeze({ needs: NO_SCOPES, hidden: false });
const HIDDEN: OperationVerdict = Object.freeze({ needs: NO_SCOPES, hidden: true });

/** Of a name without a rule: the same for each call, but for whoever must not know of it. */
interface FixedVerdict {
  readonly shown: OperationVerdict;
  /** What whoever has shown no credential is told of it. */
  readonly announced: ScopeNeeds;
  /** What everybody needs who may know of it. */
  readonly toSee: readonly ScopeNeeds[];
}

/** Scope requirements of all tools, resources and prompts of an endpoint. */
export class OperationScopes {
  /** Whether anything is hidden from anybody. */
  readonly hides: boolean;
  /** What is hidden from whoever a rule does not let pass, once each. */
  readonly hiddenByRule: readonly Named[];
  readonly #byName = new Map<string, OperationRequirement[]>();
  readonly #resources: UriTable<OperationRequirement>;
  /** For rules only, by URI or template. */
  readonly #readers = new Map<string, UriReader>();
  readonly #sources: typeof NO_SOURCES;
  /** By kind and name, which are not put together for each call. */
  readonly #fixed = new Map<OperationKind, Map<string, FixedVerdict>>();

  /** @param looseUris see {@link UriTable}; for MCP-Nest. */
  constructor(all: readonly OperationRequirement[], looseUris = false, sources = NO_SOURCES) {
    this.#sources = sources;
    this.hides = sources.hides || all.some(({ hidden }) => hidden);
    const ruled = all.filter(
      ({ hidden, requirement }) => hidden && typeof requirement === 'function',
    );
    this.hiddenByRule = [...new Map(ruled.map((one) => [nameKey(one), one])).values()];
    const ofResources = all.filter(({ kind }) => kind === 'resource');
    this.#resources = new UriTable(
      ofResources.map((requirement) => [requirement.name, requirement] as const),
      looseUris,
    );
    for (const { name, requirement } of ofResources) {
      if (typeof requirement === 'function')
        this.#readers.set(name, new UriReader(name, looseUris));
    }
    for (const requirement of all) {
      const key = nameKey(requirement);
      this.#byName.set(key, [...(this.#byName.get(key) ?? []), requirement]);
    }
    if (!sources.isEmpty) return;
    for (const requirements of this.#byName.values()) this.#fix(requirements);
  }

  #fixedFor({ kind, name }: Named): FixedVerdict | undefined {
    return this.#fixed.get(kind)?.get(name);
  }

  #fix(requirements: readonly OperationRequirement[]): void {
    const [first] = requirements;
    const fixed = fixedVerdict(requirements);
    if (first === undefined || fixed === undefined) return;
    const ofKind = this.#fixed.get(first.kind) ?? new Map<string, FixedVerdict>();
    this.#fixed.set(first.kind, ofKind.set(first.name, fixed));
  }

  /** What a caller without a token is told to ask for. Rules need a caller; the hidden stays unsaid. */
  announcedNeeds(operation: Named): ScopeNeeds {
    const fixed = this.#fixedFor(operation);
    return fixed === undefined ? announced(this.#matching(operation)) : fixed.announced;
  }

  /** What every caller needs who may know of it. */
  staticNeeds(operation: Named): ScopeNeeds {
    return addScopeNeeds(...this.#matching(operation).map(staticNeeds));
  }

  /** Whether anything was declared for it. */
  knows(operation: Named): boolean {
    return this.#matching(operation).length > 0;
  }

  /** Whether what it needs depends on who asks. */
  hasRule(operation: Named): boolean {
    return this.#matching(operation).some(({ requirement }) => typeof requirement === 'function');
  }

  /**
   * A promise where a rule is asynchronous.
   *
   * @throws CallbackError, later, when such a rule fails.
   */
  judge(operation: McpOperation, caller: Caller): Eventually<OperationVerdict> {
    const fixed = this.#fixedFor(operation);
    if (fixed !== undefined) return isShown(fixed, caller) ? fixed.shown : HIDDEN;
    const requirements = this.#matching(operation);
    return requirements.length === 0 ? NOTHING_NEEDED : this.#ask(requirements, operation, caller);
  }

  #ask(
    requirements: readonly OperationRequirement[],
    operation: McpOperation,
    caller: Caller,
  ): Eventually<OperationVerdict> {
    const asked = requirements.flatMap((one) =>
      this.#demandsOf(one, operation, caller).map((demand) => ({ hidden: one.hidden, demand })),
    );
    return whenAllKnown(
      asked.map(({ demand }) => demand),
      (demands) => verdictOf(demands, asked, caller),
    );
  }

  #demandsOf(
    { kind, name, requirement }: OperationRequirement,
    operation: McpOperation,
    caller: Caller,
  ): Eventually<Demand>[] {
    if (typeof requirement !== 'function') return [scopeNeeds(requirement)];
    const reader = kind === 'resource' ? this.#readers.get(name) : undefined;
    const asked = reader === undefined ? [withoutUri(operation)] : readings(operation, reader);
    return asked.length === 0
      ? [{ reason: 'a URI that no server reads as one of this template' }]
      : asked.map((one) => demandOf(requirement, one, caller));
  }

  #matching(operation: Named): readonly OperationRequirement[] {
    const named = this.#byName.get(nameKey(operation));
    const known = operation.kind === 'resource' ? this.#resources.find(operation.name) : named;
    return [...(known ?? []), ...this.#sources.matching(operation)];
  }
}

/**
 * The second look at one requirement, where the operation runs.
 *
 * @throws InsufficientScopeError, OperationRefusedError; CallbackError where an asynchronous rule fails
 */
export function requireOperation(
  requirement: OperationRequirement['requirement'],
  operation: RuledOperation,
  caller: Caller,
): Eventually<void> {
  return whenKnown(demandOf(requirement, operation, caller), (demand) => {
    if (isRefusal(demand)) {
      throw new OperationRefusedError(demand.reason, { cause: demand.fault });
    }
    if (!isMet(demand, caller)) throw new InsufficientScopeError(challengeScopes(demand));
  });
}

function isShown({ toSee }: FixedVerdict, caller: Caller): boolean {
  return toSee.every((needs) => meetsNeeds(caller, needs));
}

function verdictOf(
  demands: readonly Demand[],
  requirements: readonly Pick<OperationRequirement, 'hidden'>[],
  caller: Caller,
): OperationVerdict {
  if (demands.some((demand, at) => requirements[at]?.hidden === true && !isMet(demand, caller))) {
    return HIDDEN;
  }
  return shownVerdict(demands);
}

function shownVerdict(demands: readonly Demand[]): OperationVerdict {
  const refusal = demands.find(isRefusal);
  const needs = demands.map((demand) => (isRefusal(demand) ? NO_SCOPES : demand));
  return {
    needs: addScopeNeeds(...needs),
    hidden: false,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

/** Of resources none is made: which requirements fit a URI is another question. */
function fixedVerdict(requirements: readonly OperationRequirement[]): FixedVerdict | undefined {
  const isFixed = ({ kind, requirement }: OperationRequirement) =>
    kind !== 'resource' && typeof requirement !== 'function';
  if (!requirements.every(isFixed)) return undefined;
  const { needs, ...verdict } = shownVerdict(requirements.map(staticNeeds));
  const hidden = requirements.filter((one) => one.hidden);
  return {
    shown: Object.freeze({ ...verdict, needs: Object.freeze(needs) }),
    announced: Object.freeze(announced(requirements)),
    toSee: hidden.map(staticNeeds),
  };
}

/** Of what is not hidden from anybody. */
function announced(requirements: readonly OperationRequirement[]): ScopeNeeds {
  const shown = requirements.filter(({ hidden }) => !hidden);
  return shown.length === 0 ? NO_SCOPES : addScopeNeeds(...shown.map(staticNeeds));
}

/** What is needed whoever calls; a rule says nothing before it has a caller. */
export function staticNeeds({
  requirement,
}: Pick<OperationRequirement, 'requirement'>): ScopeNeeds {
  return typeof requirement === 'function' ? NO_SCOPES : scopeNeeds(requirement);
}

/** The operation once for each way to read its URI. */
function readings(operation: McpOperation, reader: UriReader): RuledOperation[] {
  const { kind, method, name, params } = operation;
  if (!reader.isCertain) return [new UnreadableUri(kind, method, name, params, reader.template)];
  return reader.read(name).map((reading) => ({ kind, method, name, params, ...reading }));
}

function withoutUri({ kind, method, name, params }: McpOperation): RuledOperation {
  return { kind, method, name, params, uri: undefined, variables: {} };
}

/** A rule that asks for what nobody can tell must not go on as if it were nothing. */
class UnreadableUri implements RuledOperation {
  constructor(
    readonly kind: OperationKind,
    readonly method: string,
    readonly name: string,
    readonly params: unknown,
    readonly template: string,
  ) {}

  get uri(): never {
    throw uncertain(this.template);
  }

  get variables(): never {
    throw uncertain(this.template);
  }
}

function uncertain(template: string): ConfigurationError {
  return new ConfigurationError(
    `the variables of ${node.util.inspect(template)} cannot be told for certain, so a rule cannot read uri ` +
      `and variables: declare a template without nested braces, optional groups and quoted names`,
  );
}

function isRefusal(demand: Demand): demand is Refusal {
  return 'reason' in demand;
}

function isMet(demand: Demand, caller: Caller): boolean {
  return !isRefusal(demand) && meetsNeeds(caller, demand);
}

/** One for each operation of an endpoint; of resources for each URI as it is written. */
export function nameKey({ kind, name }: Named): string {
  return `${kind} ${name}`;
}
