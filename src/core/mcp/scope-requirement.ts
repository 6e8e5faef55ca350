import type { McpOperation } from './json-rpc.js';
import type { Eventually } from '../lib/deadline.js';
import { scopeListProblem } from '../lib/option-checks.js';
import type { ScopeNeeds } from '../lib/scopes.js';
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
 * Each call gets a copy of its own, and what the rule changes in it runs nowhere.
 *
 * What it throws refuses the operation; an `InsufficientScopeError` names the scopes it needs, as far as the caller
 * lacks one of them.
 *
 * It may be asynchronous. Then it has 5 seconds, and what it rejects with, other than an
 * `InsufficientScopeError`, is a 503: nobody can tell what is needed.
 */
export type ScopeRule = (
  operation: RuledOperation,
  claims: VerifiedClaims,
) => Eventually<RequiredScopes | false>;

/** What an operation needs: always the same scopes, or a rule that looks at the call. */
export type ScopeRequirement = RequiredScopes | ScopeRule;

export function requirementProblem(value: unknown): string | undefined {
  if (typeof value === 'function') return undefined;
  if (Array.isArray(value)) return emptyProblem(value) ?? scopeListProblem(value);
  if (typeof value !== 'object' || value === null) {
    return 'must be a list of scopes, an object with all or any, or a function';
  }
  const members = Object.entries(value);
  const unknown = members.find(([name]) => name !== 'all' && name !== 'any');
  if (unknown !== undefined) return `${unknown[0]}: unknown; use all and any`;
  return emptyProblem(members) ?? memberProblem(members);
}

function memberProblem(members: readonly (readonly [string, unknown])[]): string | undefined {
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

/** In one form. */
export function scopeNeeds(requirement: RequiredScopes | ScopeNeeds): ScopeNeeds {
  if (Array.isArray(requirement)) return { all: requirement as readonly string[], anyOf: [] };
  if ('anyOf' in requirement) return requirement;
  const { all, any } = requirement as Exclude<RequiredScopes, readonly string[]>;
  return { all: all ?? [], anyOf: any === undefined ? [] : [any] };
}
