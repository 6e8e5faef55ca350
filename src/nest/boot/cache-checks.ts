import type { KnownClass, KnownMethod } from '../mcp/hosts/mcp-discovery.js';

/** Where Nest notes `@UseInterceptors`; part of no public interface. */
const INTERCEPTORS = '__interceptors__';
const CACHE_INTERCEPTOR = 'CacheInterceptor';

/** A handler that a guard of ours lets callers in to. */
export interface GuardedRoute extends KnownMethod {
  readonly controller: KnownClass['type'];
}

/**
 * Warns of guarded routes behind `CacheInterceptor` of `@nestjs/cache-manager`. It remembers answers by the
 * URL alone, behind the guard: whoever comes next gets what was made for the caller before. A subclass that
 * has a `trackBy` of its own is taken to know better.
 *
 * @param ofApplication the global interceptors: instances or classes.
 */
export function cacheWarnings(
  routes: readonly GuardedRoute[],
  ofApplication: readonly unknown[],
): string[] {
  const isEverywhere = ofApplication.some(cachesByUrl);
  return routes
    .filter((route) => isEverywhere || cachesOn(route.controller) || cachesOn(route.handler))
    .map(
      ({ controller, name }) =>
        `${controller.name}.${name} is guarded, and ${CACHE_INTERCEPTOR} gives the answer for one caller to ` +
        `all others: extend it with a trackBy that has the caller in its key, or leave it out there`,
    );
}

function cachesOn(target: object): boolean {
  const interceptors: unknown = Reflect.getMetadata(INTERCEPTORS, target);
  return Array.isArray(interceptors) && interceptors.some(cachesByUrl);
}

function cachesByUrl(interceptor: unknown): boolean {
  let prototype = prototypeOf(interceptor);
  while (prototype !== null) {
    if (prototype.constructor.name === CACHE_INTERCEPTOR) return true;
    if (Object.hasOwn(prototype, 'trackBy')) return false;
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
  return false;
}

function prototypeOf(interceptor: unknown): object | null {
  if (typeof interceptor === 'function')
    return (interceptor.prototype as object | undefined) ?? null;
  return typeof interceptor === 'object' && interceptor !== null
    ? (Object.getPrototypeOf(interceptor) as object | null)
    : null;
}
