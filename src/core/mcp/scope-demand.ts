import { node } from '../platform/node.js';
import { AuthplaneError } from '../errors/authplane-error.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { CallbackError } from '../errors/request-errors.js';
import { InsufficientScopeError } from '../errors/token-errors.js';
import { within } from '../lib/deadline.js';
import type { Eventually } from '../lib/deadline.js';
import { NO_SCOPES, type ScopeNeeds } from '../lib/scopes.js';
import type { Caller } from '../token/caller.js';
import type { VerifiedClaims } from '../token/verified-claims.js';
import { copyForRule } from './rule-copy.js';
import {
  type RequiredScopes,
  requirementProblem,
  type RuledOperation,
  scopeNeeds,
  type ScopeRule,
} from './scope-requirement.js';

const DEADLINE_MS = 5000;

export interface Refusal {
  readonly reason: string;
  /** What a rule threw or wrongly returned. */
  readonly fault?: unknown;
}

/** What a requirement asks of one caller: scopes, or that it is not them. */
export type Demand = ScopeNeeds | Refusal;

/**
 * What a requirement, or its rule, asks for this operation. Each call of a rule gets a copy of its own.
 *
 * @throws InvalidRequestError for arguments that no rule can look at
 */
export function demandOf(
  requirement: RequiredScopes | ScopeRule | ScopeNeeds,
  operation: RuledOperation,
  { claims, isAnonymous }: Pick<Caller, 'claims' | 'isAnonymous'>,
): Eventually<Demand> {
  if (typeof requirement !== 'function') return scopeNeeds(requirement);
  if (isAnonymous === true) return { reason: 'its rule needs a caller' };
  const asked = copyForRule(operation);
  try {
    const answer: unknown = requirement(asked, claims);
    return isThenable(answer) ? laterDemand(answer, claims) : answerOf(answer);
  } catch (error) {
    if (error instanceof InsufficientScopeError) return lackedBy(claims, error);
    const reason = error instanceof AuthplaneError ? error.code : 'its rule failed';
    return { reason, fault: error };
  }
}

/** What is thrown refuses, also where nothing is lacked of what it names. */
function lackedBy(claims: Pick<VerifiedClaims, 'hasScope'>, error: InsufficientScopeError): Demand {
  const { requiredScopes } = error;
  return requiredScopes.every((scope) => claims.hasScope(scope))
    ? { reason: 'its rule throws for want of scopes that this caller has', fault: error }
    : { all: requiredScopes, anyOf: [] };
}

/** @throws CallbackError when it is not known in time what is needed. */
async function laterDemand(answer: PromiseLike<unknown>, claims: VerifiedClaims): Promise<Demand> {
  const timeoutError = () =>
    new CallbackError(`a scope rule gave no answer within ${DEADLINE_MS} ms`);
  try {
    return answerOf(await within(DEADLINE_MS, () => Promise.resolve(answer), timeoutError));
  } catch (error) {
    if (error instanceof InsufficientScopeError) return lackedBy(claims, error);
    throw error instanceof CallbackError
      ? error
      : new CallbackError('a scope rule failed', { cause: error });
  }
}

/**
 * A function of the application may return anything. Where it has nothing to ask
 * for it may say so in any shape; only an empty `any` asks for one of nothing.
 */
function answerOf(answer: unknown): Demand {
  if (answer === false) return { reason: 'its rule refuses this caller' };
  const asked = withoutEmptyParts(answer);
  if (isEmptyList(asked)) return NO_SCOPES;
  const problem = typeof asked === 'function' ? 'a function' : requirementProblem(asked);
  if (problem === undefined) return scopeNeeds(asked as RequiredScopes);
  return {
    reason: 'its rule is broken',
    fault: new ConfigurationError(
      `a scope rule returned ${node.util.inspect(answer, { depth: 0 })}: ${problem}`,
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
