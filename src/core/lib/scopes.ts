import { InsufficientScopeError } from '../errors/token-errors.js';

/**
 * Which granted scopes imply others: a table (`{ 'mcp:admin': ['mcp:read'] }`, followed
 * transitively) or a function that says whether one granted scope covers a required one: only `true` is yes.
 */
export type ScopeHierarchy =
  Readonly<Record<string, readonly string[]>> | ((granted: string, required: string) => boolean);

/** What an operation needs: every scope of `all`, and one scope of each group in `anyOf`. */
export interface ScopeNeeds {
  /** Every one of these. */
  readonly all: readonly string[];
  /** One of each group. */
  readonly anyOf: readonly (readonly string[])[];
  /** @internal What is asked besides scopes (`@Allow`); not there where nothing is. */
  readonly rules?: readonly AccessRule[];
}

/** @internal A function of the application; who asks it knows with what. */
export type AccessRule = (...asked: never[]) => unknown;

export const NO_SCOPES: ScopeNeeds = Object.freeze({ all: [], anyOf: [] });

/** Does what was granted cover one required scope? */
export type ScopeCoverage = (granted: readonly string[], required: string) => boolean;

export const exactScopes: ScopeCoverage = (granted, required) => granted.includes(required);

export function scopeCoverage(hierarchy: ScopeHierarchy | undefined): ScopeCoverage {
  if (hierarchy === undefined) return exactScopes;
  const implies = typeof hierarchy === 'function' ? hierarchy : tableLookup(hierarchy);
  return (granted, required) =>
    granted.includes(required) || granted.some((scope) => implies(scope, required) === true);
}

/** Requirements add up: class and handler, module and tool. */
export function addScopeNeeds(...needs: readonly ScopeNeeds[]): ScopeNeeds {
  const rules = needs.some((need) => need.rules !== undefined)
    ? { rules: [...new Set(needs.flatMap((need) => need.rules ?? []))] }
    : undefined;
  return {
    all: [...new Set(needs.flatMap((need) => need.all))],
    anyOf: needs.flatMap((need) => need.anyOf),
    ...rules,
  };
}

/** The same of many, most of which ask for the same: one of them, where there is no other. */
export function sumOfAll(needs: Iterable<ScopeNeeds>): ScopeNeeds {
  const [first = NO_SCOPES, ...others] = new Set(needs);
  return others.length === 0 ? first : addScopeNeeds(first, ...others);
}

const sums = new WeakMap<ScopeNeeds, WeakMap<ScopeNeeds, ScopeNeeds>>();

/** The same of two; of those that are kept for good, as of a handler and a tool, once. */
export function sumOfNeeds(first: ScopeNeeds, second: ScopeNeeds): ScopeNeeds {
  if (!Object.isFrozen(second)) return addScopeNeeds(first, second);
  const known = sums.get(second) ?? new WeakMap<ScopeNeeds, ScopeNeeds>();
  const sum = known.get(first);
  if (sum !== undefined) return sum;
  const made = Object.freeze(addScopeNeeds(first, second));
  sums.set(second, known.set(first, made));
  return made;
}

/**
 * The scopes to ask for in a challenge: everything in `all`, and of each group the first one, so
 * list alternatives from the least to the most powerful. A client that asks for exactly these
 * passes (RFC 6750 §3.1).
 */
export function challengeScopes(needs: ScopeNeeds): string[] {
  const chosen = [...needs.all];
  for (const group of needs.anyOf) {
    const first = group[0];
    if (first !== undefined && !group.some((scope) => chosen.includes(scope))) chosen.push(first);
  }
  return chosen;
}

/** @throws InsufficientScopeError naming all scopes of the operation, not only the missing ones. */
export function requireScopeNeeds(
  granted: readonly string[],
  needs: ScopeNeeds,
  covers: ScopeCoverage,
): void {
  if (areNeedsMet(needs, (scope) => covers(granted, scope))) return;
  throw new InsufficientScopeError(challengeScopes(needs), { grantedScopes: granted });
}

export function areNeedsMet(
  { all, anyOf }: ScopeNeeds,
  isGranted: (scope: string) => boolean,
): boolean {
  return all.every(isGranted) && anyOf.every((group) => group.some(isGranted));
}

/** One scope token of RFC 6749 §3.3: printable ASCII without blank, quote and backslash. */
export function isScopeToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(value);
}

function tableLookup(table: Readonly<Record<string, readonly string[]>>) {
  const implied = new Map(Object.keys(table).map((scope) => [scope, closure(table, scope)]));
  return (granted: string, required: string) => implied.get(granted)?.has(required) ?? false;
}

function closure(table: Readonly<Record<string, readonly string[]>>, from: string): Set<string> {
  const found = new Set<string>();
  const open = [from];
  for (let scope = open.pop(); scope !== undefined; scope = open.pop()) {
    const next = Object.hasOwn(table, scope) ? (table[scope] ?? []) : [];
    for (const implied of next) {
      if (found.has(implied)) continue;
      found.add(implied);
      open.push(implied);
    }
  }
  return found;
}
