import { requirementsOf } from '../../core/mcp/settings.js';
import {
  type Application,
  type Finding,
  nameOf,
  type Route,
  routesOf,
  servesResource,
} from './boot-routes.js';
import { cacheWarnings } from './cache-checks.js';
import { handlerFindings } from './handler-boot-checks.js';
import type { HostLibrary } from '../mcp/hosts/host-library.js';
import type { ProtectedResource } from '../resources/protected-resources.js';
import { plainResourceFindings } from './plain-resource-checks.js';
import { sideRouteFindings, strayRouteFindings } from './side-route-checks.js';
import { needsSomething, requirementFindings } from './requirement-boot-checks.js';

export interface BootReport {
  readonly findings: readonly Finding[];
  readonly routes: readonly Route[];
  /** Resources with an MCP endpoint that anybody may call. */
  readonly unprotected: ReadonlySet<ProtectedResource>;
}

/**
 * Settings that leave something unprotected, or demand what nobody can fulfil. Read from the decorators
 * of all classes, at start.
 *
 * @throws ConfigurationError for `@UseResource` with an unknown name.
 */
export function bootReport(application: Application): BootReport {
  const routes = routesOf(application);
  const library = selfMountedLibrary(application, routes);
  const open = routes
    .filter(isOpenEndpoint)
    .filter(({ resource }) => resource.isMcp)
    .filter((route) => !isLeftToMiddleware(application, route));
  return {
    findings: [
      ...(library === undefined ? [] : [selfMounted(application, library)]),
      ...open.map((route) => openEndpoint(application, route)),
      ...application.resources.all().flatMap((one) => openOperations(application, routes, one)),
      ...handlerFindings(application, routes),
      ...misplacedRoutes(application, routes),
      ...requirementFindings(application, routes),
      ...cacheFindings(application, routes),
      ...plainResourceFindings(application, routes),
      ...sideRouteFindings(application),
      ...strayRouteFindings(routes),
    ],
    routes,
    unprotected: new Set([
      ...open.map(({ resource }) => resource),
      ...(library === undefined ? [] : [application.resources.mcpMain]),
    ]),
  };
}

function cacheFindings({ globalInterceptors }: Application, routes: readonly Route[]): Finding[] {
  const guarded = routes.filter(({ isPublic, isGuarded }) => !isPublic && isGuarded);
  return cacheWarnings(guarded, globalInterceptors).map((text) => ({ weight: 'doubtful', text }));
}

function isOpenEndpoint({ isEndpoint, isPublic, isGuarded }: Route): boolean {
  return isEndpoint && !isPublic && !isGuarded;
}

/** Nobody can see from here where a middleware stands; the self-check asks. */
function isLeftToMiddleware({ isMiddlewareApplied, resources }: Application, { resource }: Route) {
  return isMiddlewareApplied && resource === resources.main;
}

/** Whoever asks for scopes, or for a guard in front of everything, does not mean an open endpoint. */
function openEndpoint(application: Application, route: Route): Finding {
  const isMeant = !asksForScopes(application, route.resource);
  return {
    weight: isMeant ? 'doubtful' : 'open',
    text:
      `${nameOf(route)} is an MCP endpoint that no AuthplaneGuard protects: anybody may call it. ` +
      (route.library?.guardAdvice ??
        `Add @UseGuards(AuthplaneGuard), set guard: 'global', or mark it @Public(); a guard of yours ` +
          `that asks AuthplaneGuard itself carries @AuthplaneProtected()`),
  };
}

/** No endpoint is a route, so the library must have mounted one itself. */
function selfMountedLibrary(
  { usedLibrary, resources }: Application,
  routes: readonly Route[],
): HostLibrary | undefined {
  const isServed = routes.some(({ isEndpoint, isBelowEndpoint }) => isEndpoint || isBelowEndpoint);
  return isServed || resources.mounted.has(resources.mcpMain) ? undefined : usedLibrary;
}

function selfMounted(application: Application, library: HostLibrary): Finding {
  const { isGuardedGlobally, resources } = application;
  const isMeant = !isGuardedGlobally && !asksForScopes(application, resources.mcpMain);
  return { weight: isMeant ? 'doubtful' : 'open', text: library.selfMountedText };
}

/** Requirements of tools count only where a guard reads the body. */
function openOperations(
  application: Application,
  routes: readonly Route[],
  one: ProtectedResource,
): Finding[] {
  if (!one.isMcp || !asksForScopes(application, one)) return [];
  const guarded = routes.filter(
    (route) =>
      route.resource === one &&
      (route.isGuarded || isLeftToMiddleware(application, route)) &&
      (route.isEndpoint || route.isBelowEndpoint),
  );
  if (guarded.length === 0 && !application.resources.mounted.has(one)) {
    return [unservedOperations(routes, one)];
  }
  return guarded
    .filter(({ isPublic, isGuarded }) => isPublic && isGuarded)
    .map((route) => ({
      weight: 'open',
      text: `${nameOf(route)} is @Public(): the scopes of its tools are not checked`,
    }));
}

/** Nobody can see from here whether there is an endpoint outside Nest's router. */
function unservedOperations(routes: readonly Route[], one: ProtectedResource): Finding {
  const isJudgedElsewhere = routes.some(({ resource, isGuarded, isPublic }) => {
    return resource === one && isGuarded && !isPublic;
  });
  return {
    weight: 'doubtful',
    text:
      `tools, resources or prompts need scopes, and no guarded controller serves the path of ` +
      `${one.description} or carries @McpEndpoint(): their scopes are ` +
      (isJudgedElsewhere
        ? 'checked only where JSON-RPC reaches another guarded route'
        : 'not checked') +
      `. Guard the controller of the MCP endpoint; one that a library mounts by itself has no guards: put ` +
      `AuthplaneMiddleware in front of it`,
  };
}

function asksForScopes({ declared, resources }: Application, one: ProtectedResource): boolean {
  const ofOptions = requirementsOf(one.mcp.options).some(needsSomething);
  return ofOptions || (one === resources.mcpMain && declared.some(needsSomething));
}

/** A route at the path of one resource that takes tokens of another is a mix-up. */
function misplacedRoutes({ resources }: Application, routes: readonly Route[]): Finding[] {
  const named = resources.all().filter(({ name }) => name !== undefined);
  return routes.flatMap((route) => {
    if (servesResource(route.controller, route.handler, route.resource)) return [];
    const other = named.find((one) => servesResource(route.controller, route.handler, one));
    return other === undefined || other === route.resource
      ? []
      : [
          {
            weight: 'doubtful',
            text:
              `${nameOf(route)} serves the path of the resource "${other.name}" with tokens of another: ` +
              `add @UseResource("${other.name}")`,
          },
        ];
  });
}
