import type { RequiredScopes } from '../../core/mcp/scope-requirement.js';
import type { GatewayCaller } from '../options/gateway-caller.js';
import type { TokenStrategy } from '../options/token-strategy.js';
import type { Upstream } from './upstream.js';

interface Refused {
  readonly upstream: Pick<Upstream, 'options' | 'names'>;
  /** Where the token came from that was refused. */
  readonly strategy: TokenStrategy;
  readonly caller: GatewayCaller;
}

const SCOPE = /\bscope="([^"]{0,4096})"/;

/**
 * What the caller needs at the gateway so that the upstream gets the scope it misses.
 *
 * @param challenge `WWW-Authenticate` of a 403
 * @returns `undefined`: it is about no scope. Empty: about one that no scope of the gateway stands for,
 * or that the caller's scopes stand for already.
 */
export function mappedScopes(
  challenge: string | undefined,
  { upstream, strategy, caller }: Refused,
): readonly string[] | undefined {
  if (challenge?.includes('insufficient_scope') !== true) return undefined;
  const asked = new Set(strategyScopes(strategy));
  const needed = SCOPE.exec(challenge)?.[1]?.split(' ') ?? [];
  const missing = needed.filter((scope) => scope !== '' && !asked.has(scope));
  const map = scopeMapOf(upstream);
  const mapped = missing.map((scope) =>
    [...map].find(([own, stands]) => stands.has(scope) && !caller.claims.hasScope(own)),
  );
  return mapped.some((found) => found === undefined)
    ? []
    : [...new Set(mapped.flatMap((found) => found?.[0] ?? []))];
}

/** Scopes of the gateway, and those of the upstream that each stands for. */
function scopeMapOf({
  options,
  names,
}: Refused['upstream']): ReadonlyMap<string, ReadonlySet<string>> {
  const map = new Map<string, Set<string>>();
  for (const { scopes, token } of [...names.tools.rules.all, ...names.prompts.rules.all]) {
    if (scopes === undefined || token === undefined) continue;
    for (const own of allOf(scopes)) {
      if (own in options.scopeMap) continue;
      const known = map.get(own) ?? new Set();
      map.set(own, new Set([...known, ...strategyScopes(token)]));
    }
  }
  for (const [own, stands] of Object.entries(options.scopeMap)) map.set(own, new Set(stands));
  return map;
}

function allOf(scopes: RequiredScopes): readonly string[] {
  return 'all' in scopes || 'any' in scopes ? (scopes.all ?? []) : (scopes as readonly string[]);
}

function strategyScopes(strategy: TokenStrategy): readonly string[] {
  return typeof strategy === 'object' && strategy.kind === 'exchange'
    ? strategy.scope.split(' ')
    : [];
}
