import { inspect } from 'node:util';
import { AuthplaneError } from '../errors/authplane-error.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { InsufficientScopeError } from '../errors/token-errors.js';
import { OperationRefusedError } from '../errors/request-errors.js';
import type { McpOperation, OperationKind } from './json-rpc.js';
import { NO_SOURCES } from './requirement-sources.js';
import { UriTable } from './uri-table.js';
import { addScopeNeeds, challengeScopes, NO_SCOPES, type ScopeNeeds } from '../lib/scopes.js';
import { UriReader } from './uri-reader.js';
import { type Caller, meetsNeeds } from '../token/caller.js';
import {
  type RequiredScopes,
  type ScopeRule,
  scopeNeeds,
  type RuledOperation,
  requirementProblem,
} from './scope-requirement.js';

/** One requirement, wherever it was declared. */
export interface OperationRequirement {
  readonly kind: OperationKind;
  /** Name of the tool or prompt, URI or URI template of the resource. */
  readonly name: string;
  readonly requirement: RequiredScopes | ScopeRule | ScopeNeeds;
  readonly hidden: boolean;
}

/** What is to be done with an operation. */
export interface OperationVerdict {
  /** Everything it needs; empty when it is to be hidden. */
  readonly needs: ScopeNeeds;
  /** The caller may not use it, and it must look as if it did not exist. */
  readonly hidden: boolean;
  /** A rule refuses this caller; no scope helps. */
  readonly refusal?: Refusal;
}

export interface Refusal {
  readonly reason: string;
  /** What a rule threw or wrongly returned. */
  readonly fault?: unknown;
}

const NOTHING_NEEDED: OperationVerdict = Object.freeze({ needs: NO_SCOPES, hidden: false });

/** Scope requirements of all tools, resources and prompts of an endpoint. */
export class OperationScopes {
  /** Whether anything is hidden from anybody. */
  readonly hides: boolean;
  readonly #byName = new Map<string, OperationRequirement[]>();
  readonly #resources: UriTable<OperationRequirement>;
  /** For rules only, by URI or template. */
  readonly #readers = new Map<string, UriReader>();
  readonly #sources: typeof NO_SOURCES;

  /** @param looseUris see {@link UriTable}; for MCP-Nest. */
  constructor(all: readonly OperationRequirement[], looseUris = false, sources = NO_SOURCES) {
    this.#sources = sources;
    this.hides = sources.hides || all.some(({ hidden }) => hidden);
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
  }

  /** What a caller without a token is told to ask for. Rules need a caller; the hidden stays unsaid. */
  announcedNeeds(operation: Pick<McpOperation, 'kind' | 'name'>): ScopeNeeds {
    const announced = this.#matching(operation).filter(({ hidden }) => !hidden);
    return addScopeNeeds(...announced.map(staticNeeds));
  }

  /** What every caller needs who may know of it. */
  staticNeeds(operation: Pick<McpOperation, 'kind' | 'name'>): ScopeNeeds {
    return addScopeNeeds(...this.#matching(operation).map(staticNeeds));
  }

  /** Whether anything was declared for it. */
  knows(operation: Pick<McpOperation, 'kind' | 'name'>): boolean {
    return this.#matching(operation).length > 0;
  }

  /** Whether what it needs depends on who asks. */
  hasRule(operation: Pick<McpOperation, 'kind' | 'name'>): boolean {
    return this.#matching(operation).some(({ requirement }) => typeof requirement === 'function');
  }

  judge(operation: McpOperation, caller: Caller): OperationVerdict {
    const requirements = this.#matching(operation);
    if (requirements.length === 0) return NOTHING_NEEDED;
    const demands = requirements.flatMap((one) =>
      this.#demandsOf(one, operation, caller).map((demand) => ({ hidden: one.hidden, demand })),
    );
    if (demands.some(({ hidden, demand }) => hidden && !isMet(demand, caller))) {
      return { needs: NO_SCOPES, hidden: true };
    }
    const refusal = demands.map(({ demand }) => demand).find(isRefusal);
    const needs = demands.map(({ demand }) => (isRefusal(demand) ? NO_SCOPES : demand));
    return {
      needs: addScopeNeeds(...needs),
      hidden: false,
      ...(refusal === undefined ? {} : { refusal }),
    };
  }

  #demandsOf(
    { kind, name, requirement }: OperationRequirement,
    operation: McpOperation,
    caller: Caller,
  ): (ScopeNeeds | Refusal)[] {
    if (typeof requirement !== 'function') return [scopeNeeds(requirement)];
    const reader = kind === 'resource' ? this.#readers.get(name) : undefined;
    const asked = reader === undefined ? [withoutUri(operation)] : readings(operation, reader);
    return asked.length === 0
      ? [{ reason: 'a URI that no server reads as one of this template' }]
      : asked.map((one) => demandOf(requirement, one, caller));
  }

  #matching(operation: Pick<McpOperation, 'kind' | 'name'>): readonly OperationRequirement[] {
    const named = this.#byName.get(nameKey(operation));
    const known = operation.kind === 'resource' ? this.#resources.find(operation.name) : named;
    return [...(known ?? []), ...this.#sources.matching(operation)];
  }
}

/**
 * The second look at one requirement, where the operation runs.
 *
 * @throws InsufficientScopeError, OperationRefusedError
 */
export function requireOperation(
  requirement: OperationRequirement['requirement'],
  operation: RuledOperation,
  caller: Caller,
): void {
  const demand = demandOf(requirement, operation, caller);
  if (isRefusal(demand)) {
    throw new OperationRefusedError(demand.reason, { cause: demand.fault });
  }
  if (!isMet(demand, caller)) throw new InsufficientScopeError(challengeScopes(demand));
}

/** What is needed whoever calls; a rule says nothing before it has a caller. */
export function staticNeeds({
  requirement,
}: Pick<OperationRequirement, 'requirement'>): ScopeNeeds {
  return typeof requirement === 'function' ? NO_SCOPES : scopeNeeds(requirement);
}

/** The operation once for each way to read its URI. */
function readings(
  { kind, method, name, params }: McpOperation,
  reader: UriReader,
): RuledOperation[] {
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
    throw this.#problem;
  }

  get variables(): never {
    throw this.#problem;
  }

  get #problem(): ConfigurationError {
    return new ConfigurationError(
      `the variables of ${inspect(this.template)} cannot be told for certain, so a rule cannot read uri ` +
        `and variables: declare a template without nested braces, optional groups and quoted names`,
    );
  }
}

function demandOf(
  requirement: OperationRequirement['requirement'],
  operation: RuledOperation,
  caller: Caller,
): ScopeNeeds | Refusal {
  if (typeof requirement !== 'function') return scopeNeeds(requirement);
  try {
    return answerOf(requirement(operation, caller.claims));
  } catch (error) {
    if (error instanceof InsufficientScopeError) return { all: error.requiredScopes, anyOf: [] };
    const reason = error instanceof AuthplaneError ? error.code : 'its rule failed';
    return { reason, fault: error };
  }
}

/**
 * A function of the application may return anything, a promise for example. Where it has nothing to ask
 * for it may say so in any shape; only an empty `any` asks for one of nothing.
 */
function answerOf(answer: unknown): ScopeNeeds | Refusal {
  if (answer === false) return { reason: 'its rule refuses this caller' };
  const asked = withoutEmptyParts(answer);
  if (isEmptyList(asked)) return NO_SCOPES;
  const problem = typeof asked === 'function' ? 'a function' : requirementProblem(asked);
  if (problem === undefined) return scopeNeeds(asked as RequiredScopes);
  if (isThenable(answer)) Promise.resolve(answer).catch(() => undefined); // must not end the process
  return {
    reason: 'its rule is broken',
    fault: new ConfigurationError(
      `a scope rule returned ${inspect(answer, { depth: 0 })}: ${problem}`,
    ),
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}

/** An empty list where nothing is left. */
function withoutEmptyParts(answer: unknown): unknown {
  if (!isPlainObject(answer)) return answer;
  const parts = Object.entries(answer).filter(
    ([name, scopes]) => scopes !== undefined && !(name === 'all' && isEmptyList(scopes)),
  );
  return parts.length === 0 ? [] : Object.fromEntries(parts);
}

/** Of an instance of a class the own members may not be all there is. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function isRefusal(demand: ScopeNeeds | Refusal): demand is Refusal {
  return 'reason' in demand;
}

function isMet(demand: ScopeNeeds | Refusal, caller: Caller): boolean {
  return !isRefusal(demand) && meetsNeeds(caller, demand);
}

/** One for each operation of an endpoint; of resources for each URI as it is written. */
export function nameKey({ kind, name }: Pick<McpOperation, 'kind' | 'name'>): string {
  return `${kind} ${name}`;
}
