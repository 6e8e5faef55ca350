import { requirementsOf } from '../../core/mcp/settings.js';
import { challengeScopes } from '../../core/lib/scopes.js';
import type { Route } from './boot-routes.js';
import type { DeclaredOperation } from '../mcp/hosts/mcp-discovery.js';
import type { ProtectedResource } from '../resources/protected-resources.js';
import { fixedPathsOf, isEventStream } from '../http/routes.js';
import type { KnownOperation } from './self-check.js';

const METHODS = { tool: 'tools/call', prompt: 'prompts/get' } as const;

export function endpointsOf(one: ProtectedResource, routes: readonly Route[]): Route[] {
  return routes.filter(({ resource, isEndpoint }) => resource === one && isEndpoint);
}

/** A tool or prompt whose scopes a request without a token is told; hidden ones stay unsaid. */
export function knownOperation(
  { mcp }: ProtectedResource,
  declared: readonly DeclaredOperation[],
): KnownOperation | undefined {
  for (const { kind, name } of [...requirementsOf(mcp.options), ...declared]) {
    if (kind !== 'tool' && kind !== 'prompt') continue;
    const scopes = challengeScopes(mcp.scopes.announcedNeeds({ kind, name }));
    if (scopes.length > 0) return { method: METHODS[kind], params: { name }, scopes };
  }
  return undefined;
}

/** Beside a guarded endpoint, in its module or below its path. */
export function unguardedStreams(
  one: ProtectedResource,
  routes: readonly Route[],
  prefix: string,
): string[] {
  const modules = new Set(
    endpointsOf(one, routes)
      .filter(({ isGuarded }) => isGuarded)
      .map(({ module }) => module),
  );
  return routes
    .filter(({ isPublic, isGuarded }) => !isPublic && !isGuarded)
    .filter(({ module, isBelowEndpoint }) => isBelowEndpoint || modules.has(module))
    .filter(({ handler }) => isEventStream(handler))
    .flatMap(({ controller, handler }) => fixedPathsOf(controller, handler, prefix));
}
