import { OAuthProblem } from '../http/oauth-problem.js';

/** `scope-token` of RFC 6749 §3.3. */
const SCOPE_TOKEN = /^[\x21\x23-\x5B\x5D-\x7E]+$/;

/** The distinct scopes of a `scope` parameter in the order sent. */
export function parseScope(value: string | undefined): readonly string[] {
  const scopes = new Set((value ?? '').split(' ').filter((scope) => scope !== ''));
  if (![...scopes].every((scope) => SCOPE_TOKEN.test(scope))) {
    throw new OAuthProblem('invalid_scope', 'the scope parameter is malformed');
  }
  return [...scopes];
}

/** @throws OAuthProblem `invalid_scope` when something is requested that one of the bounds lacks. */
export function refuseBeyond(
  requested: readonly string[],
  bounds: readonly (readonly string[])[],
): void {
  if (!requested.every((scope) => bounds.every((bound) => bound.includes(scope)))) {
    throw new OAuthProblem('invalid_scope');
  }
}

/** The scopes that all bounds have. Without a bound there is nothing to name. */
export function intersection(bounds: readonly (readonly string[])[]): readonly string[] {
  const [first = [], ...others] = bounds;
  return first.filter((scope) => others.every((other) => other.includes(scope)));
}
