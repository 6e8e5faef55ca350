import type { RequiredScopes } from '../../core/mcp/scope-requirement.js';
import { isExpansion } from '../../core/mcp/uri-table.js';
import type { OperationRule, OperationRules } from '../options/upstream-options.js';
import type { TokenStrategy } from '../options/token-strategy.js';

/** What all rules together say about one operation. */
export interface RuleVerdict {
  readonly isOffered: boolean;
  readonly as: string | undefined;
  readonly scopes: readonly RequiredScopes[];
  readonly token: TokenStrategy | undefined;
  readonly timeoutMs: number | undefined;
  readonly description: string | undefined;
}

interface Entry {
  readonly pattern: string;
  /** Between the stars of a glob; a single one: a name. */
  readonly literals: readonly string[];
  readonly rule: OperationRule | false;
}

/** The rules of an upstream for one kind, by its own names. */
export class RuleTable {
  /** The nearest first: names, then globs by how much they say. */
  readonly #entries: readonly Entry[];
  readonly #defaultOffered: boolean;

  constructor(rules: OperationRules, defaultOffered: boolean) {
    this.#defaultOffered = defaultOffered;
    this.#entries = Object.entries(rules)
      .map(([pattern, rule]) => ({ pattern, rule, literals: pattern.split('*') }))
      .sort((one, other) => distance(one) - distance(other) || refusing(one) - refusing(other));
  }

  /** Own names with a name of ours. */
  get renamed(): readonly (readonly [own: string, as: string])[] {
    return this.#entries.flatMap(({ pattern, rule }) =>
      rule === false || rule.as === undefined ? [] : [[pattern, rule.as] as const],
    );
  }

  /** Names and globs that ask for scopes. */
  get demands(): readonly (readonly [pattern: string, scopes: RequiredScopes])[] {
    return this.#entries.flatMap(({ pattern, rule }) =>
      rule === false || rule.scopes === undefined ? [] : [[pattern, rule.scopes] as const],
    );
  }

  /** All rules, for what can be told from them before anything is listed. */
  get all(): readonly OperationRule[] {
    return this.#entries.flatMap(({ rule }) => (rule === false ? [] : [rule]));
  }

  /** Whether it is offered, and each member, is said by the nearest rule that says it; scopes add up. */
  verdictOn(ownName: string): RuleVerdict {
    const fitting = this.#entries.filter(({ literals }) =>
      literals.length === 1 ? literals[0] === ownName : isExpansion(ownName, literals),
    );
    const [nearest] = fitting;
    const rules = fitting.flatMap(({ rule }) => (rule === false ? [] : [rule]));
    const first = <Name extends keyof OperationRule>(name: Name) =>
      rules.find((rule) => rule[name] !== undefined)?.[name];
    return {
      isOffered: nearest === undefined ? this.#defaultOffered : nearest.rule !== false,
      as: first('as'),
      scopes: rules.flatMap(({ scopes }) => (scopes === undefined ? [] : [scopes])),
      token: first('token'),
      timeoutMs: first('timeoutMs'),
      description: first('description'),
    };
  }
}

function distance({ pattern, literals }: Entry): number {
  return literals.length === 1 ? -Number.MAX_SAFE_INTEGER : -(pattern.length - literals.length + 1);
}

/** Of two that are equally near, the one that refuses counts. */
function refusing({ rule }: Entry): number {
  return rule === false ? 0 : 1;
}
