import type { Parameter } from '../calls/call.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { type Check, problemsOf, scopeListProblem, textListProblem } from '../lib/option-checks.js';

/** What callers without types get wrong: what is misspelt would otherwise silently not be asked for. */
export function requireRequest(
  name: string,
  request: object,
  checks: Readonly<Record<string, Check>>,
): void {
  const problems = problemsOf(request, checks, false);
  if (problems.length === 0) return;
  throw new ConfigurationError(problems.map((problem) => `${name}: ${problem}`));
}

export function requireToken(token: unknown, name: string): void {
  if (typeof token === 'string' && isPresent(token)) return;
  throw new ConfigurationError(`${name} is required`);
}

/** By what is used of it: `instanceof` knows no signal of another realm. */
export const signalProblem: Check = (value) => {
  const signal = value as Partial<AbortSignal> | null; // any type compares
  const used = [signal?.throwIfAborted, signal?.addEventListener, signal?.removeEventListener];
  return used.every((method) => typeof method === 'function')
    ? undefined
    : 'must be an AbortSignal';
};

export const scopeProblem: Check = (value) => {
  if (typeof value !== 'string') return 'must be a string of scopes separated by blanks';
  return scopeListProblem(value.split(' ').filter(isPresent));
};

export const scopesProblem: Check = (value) =>
  textListProblem(value) ?? scopeListProblem((value as string[]).filter(isPresent));

/** RFC 8707 §2: a resource has no fragment. AuthPlane takes slugs, so it need not be a URI. */
export const resourcesProblem: Check = (value) => {
  const problem = textListProblem(value);
  if (problem !== undefined) return problem;
  return (value as string[]).some((resource) => resource.includes('#'))
    ? 'a resource must have no fragment (RFC 8707 §2)'
    : undefined;
};

/** Blank values are left out. */
export function present(parameters: readonly Parameter[]): readonly Parameter[] {
  return parameters.filter(([, value]) => isPresent(value));
}

export function isPresent(text: string): boolean {
  return text.trim() !== '';
}
