import { inspect } from 'node:util';
import { AuthplaneError } from '../errors/authplane-error.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { InsufficientScopeError } from '../errors/token-errors.js';
import { OperationRefusedError } from '../errors/request-errors.js';
import type { McpOperation, OperationKind } from './json-rpc.js';
import { scopeListProblem } from '../lib/option-checks.js';
import { NO_SOURCES } from './requirement-sources.js';
import { UriTable } from './uri-table.js';
import { addScopeNeeds, challengeScopes, NO_SCOPES, type ScopeNeeds } from '../lib/scopes.js';
import { UriReader } from './uri-reader.js';
import { type Caller, meetsNeeds } from '../token/caller.js';
import type { VerifiedClaims } from '../token/verified-claims.js';

/** All of these scopes, or all of `all` and one of `any` (the least powerful first). */
export type RequiredScopes =
  | readonly string[]
  | {
      /** Every one of these. Default: none. */
      readonly all?: readonly string[];
      /** One of these, the least powerful first. Default: none. */
      readonly any?: readonly string[];
    };

/** What a {@link ScopeRule} is asked about. */
export interface RuledOperation extends McpOperation {
  /**
   * Of a resource: its URI as the entry of the rule has it, with the variables filled in; normalised
   * (WHATWG URL) and percent-decoded once, so that it can be compared however the client spelt it. `name`
   * is the URI as sent.
   */
  readonly uri: string | undefined;
  /**
   * Of a resource template: what its handler gets, by the names in the template of the rule, as text and
   * percent-decoded once. MCP-Nest decodes, both MCP SDKs hand over the encoded text. The parts of
   * `{path*}` are not divided. Empty for everything else.
   */
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/**
 * Decides from what is asked and who asks: arguments of the call, agent, chain of delegation. `false`
 * refuses, whatever scopes the caller has or could get.
 *
 * It runs before the server has validated anything: `operation.params` may be of any shape and lacks the
 * defaults and transforms of the server. So ask less for what is known to be harmless, never more only
 * for what is known to be bad. Compare `uri` and `variables` of a resource, not `name` and `params`,
 * which have its URI in any spelling. Where servers may read a URI in several ways, the rule is asked for
 * each, and the needs add up. To read `uri` or `variables` of a template that cannot be read for certain
 * (nested braces, quoted names) throws a `ConfigurationError`.
 *
 * What it throws refuses the operation; an `InsufficientScopeError` names the scopes it needs.
 */
export type ScopeRule = (
  operation: RuledOperation,
  claims: VerifiedClaims,
) => RequiredScopes | false;

/** What an operation needs: always the same scopes, or a rule that looks at the call. */
export type ScopeRequirement = RequiredScopes | ScopeRule;

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
    const known =
      operation.kind === 'resource'
        ? this.#resources.find(operation.name)
        : (this.#byName.get(nameKey(operation)) ?? []);
    const told = this.#sources.matching(operation);
    return told.length === 0 ? known : [...known, ...told];
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

export function requirementProblem(value: unknown): string | undefined {
  if (typeof value === 'function') return undefined;
  if (Array.isArray(value)) return emptyProblem(value) ?? scopeListProblem(value);
  if (typeof value !== 'object' || value === null) {
    return 'must be a list of scopes, an object with all or any, or a function';
  }
  const members = Object.entries(value);
  const unknown = members.find(([name]) => name !== 'all' && name !== 'any');
  if (unknown !== undefined) return `${unknown[0]}: unknown; use all and any`;
  return emptyProblem(members) ?? firstProblem(members);
}

function firstProblem(members: readonly (readonly [string, unknown])[]): string | undefined {
  for (const [name, scopes] of members) {
    const problem = scopeListProblem(scopes) ?? emptyProblem(scopes as unknown[]);
    if (problem !== undefined) return `${name}: ${problem}`;
  }
  return undefined;
}

/** An empty requirement would be one that protects nothing. */
function emptyProblem(list: readonly unknown[]): string | undefined {
  return list.length === 0 ? 'names no scope; leave the entry out' : undefined;
}

/** What is needed whoever calls; a rule says nothing before it has a caller. */
export function staticNeeds({
  requirement,
}: Pick<OperationRequirement, 'requirement'>): ScopeNeeds {
  return typeof requirement === 'function' ? NO_SCOPES : scopeNeeds(requirement);
}

/** In one form. */
export function scopeNeeds(requirement: RequiredScopes | ScopeNeeds): ScopeNeeds {
  if (Array.isArray(requirement)) return { all: requirement as readonly string[], anyOf: [] };
  if ('anyOf' in requirement) return requirement;
  const { all, any } = requirement as Exclude<RequiredScopes, readonly string[]>;
  return { all: all ?? [], anyOf: any === undefined ? [] : [any] };
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
