import {
  type OperationRequirement,
  requirementsOf,
  staticNeeds,
} from '../core/operation-scopes.js';
import type { ScopeNeeds } from '../core/scopes.js';
import { cacheWarnings } from './cache-checks.js';
import {
  handlerPolicy,
  hasAuthplaneGuard,
  isMcpEndpoint,
  methodNeeds,
  ownNeeds,
} from './handler-marks.js';
import {
  type DeclaredOperation,
  hasOwnScopes,
  isMcpOperation,
  type KnownClass,
  type KnownMethod,
} from './mcp-discovery.js';
import type { ProtectedResource, ProtectedResources } from './protected-resources.js';
import { isRoute, servesPath } from './routes.js';

export interface Application {
  readonly classes: readonly KnownClass[];
  readonly declared: readonly DeclaredOperation[];
  readonly resources: ProtectedResources;
  /** It may have mounted a transport that is no route of Nest's. */
  readonly usesMcpNest: boolean;
  /** Guards of the whole application: instances, or this module's own. */
  readonly isGuardedGlobally: boolean;
  /** Interceptors of the whole application: instances or classes. */
  readonly globalInterceptors: readonly unknown[];
}

type Named = Pick<OperationRequirement, 'kind' | 'name'>;
type Requirement = Pick<OperationRequirement, 'requirement'>;

interface Route extends KnownMethod {
  readonly controller: KnownClass['type'];
  readonly resource: ProtectedResource;
  readonly isPublic: boolean;
  readonly isEndpoint: boolean;
  readonly isOfMcpNest: boolean;
}

/**
 * Settings that leave something unprotected, or demand what nobody can fulfil. Read from the decorators
 * of all classes, at start.
 *
 * @throws ConfigurationError for `@UseResource` with an unknown name.
 */
export function bootWarnings(application: Application): string[] {
  const routes = routesOf(application);
  return [
    ...unguardedEndpoints(application, routes),
    ...unguardedScopes(application, routes),
    ...misplacedRoutes(application, routes),
    ...unreachableScopes(application),
    ...unadvertisedScopes(application, routes),
    ...doubtfulRequirements(application),
    ...cacheWarnings(
      routes.filter((route) => !route.isPublic && isGuarded(application, route)),
      application.globalInterceptors,
    ),
  ];
}

function routesOf({ classes, resources }: Application): Route[] {
  const controllers = classes.filter(({ isController }) => isController);
  return controllers.flatMap(({ type, methods, isOfMcpNest }) =>
    methods
      .filter(({ handler }) => isRoute(handler))
      .map(({ name, handler }) => {
        const { isPublic, resourceName } = handlerPolicy(type, handler);
        const resource = resources.get(resourceName);
        const isEndpoint = isOfMcpNest || isMcpEndpoint(type) || serves(type, handler, resource);
        return { controller: type, name, handler, resource, isPublic, isEndpoint, isOfMcpNest };
      }),
  );
}

function serves(controller: object, handler: object, { resource }: ProtectedResource): boolean {
  return servesPath(controller, handler, new URL(resource.resource).pathname);
}

function unguardedEndpoints(application: Application, routes: readonly Route[]): string[] {
  const { declared, usesMcpNest, resources } = application;
  const endpoints = routes.filter(({ isEndpoint }) => isEndpoint);
  const guarded = endpoints.filter((route) => isGuarded(application, route));
  const open = endpoints.filter((route) => !route.isPublic && !guarded.includes(route));
  const isDemanding = declared.some(needsSomething);
  return [
    ...open.map(
      (route) =>
        `${nameOf(route)} is an MCP endpoint that no AuthplaneGuard protects: anybody may call it. ` +
        (route.isOfMcpNest
          ? `Add McpModule.forRoot({ guards: [AuthplaneGuard] }), or set guard: 'global'`
          : `Add @UseGuards(AuthplaneGuard), set guard: 'global', or mark it @Public()`),
    ),
    ...(usesMcpNest && endpoints.length === 0 ? [SELF_MOUNTED] : []),
    ...resources.all().flatMap((resource) => {
      const isMain = resource === resources.main;
      const hasRules = requirementsOf(resource.mcp.options).some(needsSomething);
      return hasRules || (isMain && isDemanding)
        ? openOperations(
            resource,
            guarded.filter((route) => route.resource === resource),
          )
        : [];
    }),
  ];
}

/** Marks that nobody enforces. */
function unguardedScopes(application: Application, routes: readonly Route[]): string[] {
  return routes
    .filter((route) => !route.isEndpoint && !route.isPublic && !isGuarded(application, route))
    .filter(
      ({ controller, handler }) => hasOwnScopes(controller) || hasOwnScopes(controller, handler),
    )
    .map(
      (route) =>
        `@Scopes on ${nameOf(route)} protects nothing: no AuthplaneGuard guards it, and anybody may call ` +
        `it. Add @UseGuards(AuthplaneGuard), or set guard: 'global'`,
    );
}

function isGuarded({ isGuardedGlobally }: Application, { controller, handler }: Route): boolean {
  return isGuardedGlobally || hasAuthplaneGuard(controller) || hasAuthplaneGuard(handler);
}

const SELF_MOUNTED =
  'MCP-Nest is in use, and no controller serves the path of the resource or carries @McpEndpoint(): a ' +
  "transport that MCP-Nest mounts by itself has no guard, guard: 'global' included, and anybody may " +
  'call its tools. Add a controller with @UseGuards(AuthplaneGuard) that extends McpHttpControllerFor ' +
  '(MCP-Nest 2), or name the guard in McpModule.forRoot({ guards }) (MCP-Nest 1)';

/** Requirements of tools count only where a guard reads the body. */
function openOperations({ resource }: ProtectedResource, guarded: readonly Route[]): string[] {
  if (guarded.length === 0) {
    return [
      `tools, resources or prompts need scopes, and no guarded controller serves the path of ` +
        `${resource.resource} or carries @McpEndpoint(): their scopes are not checked. Guard the ` +
        `controller of the MCP endpoint; one that a library mounts by itself has no guards`,
    ];
  }
  return guarded
    .filter(({ isPublic }) => isPublic)
    .map((route) => `${nameOf(route)} is @Public(): the scopes of its tools are not checked`);
}

/** A route at the path of one resource that takes tokens of another is a mix-up. */
function misplacedRoutes({ resources }: Application, routes: readonly Route[]): string[] {
  const named = resources.all().filter(({ name }) => name !== undefined);
  return routes.flatMap((route) => {
    if (serves(route.controller, route.handler, route.resource)) return [];
    const other = named.find((one) => serves(route.controller, route.handler, one));
    return other === undefined || other === route.resource
      ? []
      : [
          `${nameOf(route)} serves the path of the resource "${other.name}" with tokens of another: ` +
            `add @UseResource("${other.name}")`,
        ];
  });
}

/** Handlers of routes, MCP libraries, microservices, gateways and resolvers are called; others not. */
const CALLED_BY = [
  'microservices:pattern',
  'microservices:handler_type',
  'websockets:message_mapping',
  'graphql:resolver_type',
];

function unreachableScopes({ classes }: Application): string[] {
  return classes.flatMap(({ type, methods }) => {
    const unreachable = methods
      .filter(({ handler }) => hasOwnScopes(type, handler) && !isCalled(handler))
      .map(({ name }) => `${type.name}.${name}`);
    const isIdleClass = hasOwnScopes(type) && !methods.some(({ handler }) => isCalled(handler));
    return [...(isIdleClass ? [type.name] : []), ...unreachable].map(
      (where) =>
        `@Scopes on ${where} protects nothing: it is no route handler and no MCP tool, resource or ` +
        `prompt. For tools that are registered by hand, name them in the option mcp`,
    );
  });
}

function isCalled(handler: object): boolean {
  return (
    isRoute(handler) ||
    isMcpOperation(handler) ||
    CALLED_BY.some((key) => Reflect.hasMetadata(key, handler))
  );
}

function unadvertisedScopes(application: Application, routes: readonly Route[]): string[] {
  const { declared, resources } = application;
  return resources.all().flatMap((one) => {
    const ofRoutes = routes
      .filter(({ resource, isPublic }) => resource === one && !isPublic)
      .flatMap(({ controller, handler }) => [
        ownNeeds(controller),
        methodNeeds(controller, handler),
      ]);
    // Whose tools these are is known at the call; with several resources, ask of the first.
    const ofTools = one === resources.main ? declared.map(staticNeeds) : [];
    const ofOptions = requirementsOf(one.mcp.options).map(staticNeeds);
    const required = new Set([...ofRoutes, ...ofTools, ...ofOptions].flatMap(scopesIn));
    const missing = [...required].filter((scope) => !one.resource.scopes.includes(scope));
    return missing.length === 0
      ? []
      : [
          `required but not in the option scopes of ${one.resource.resource}: ${missing.join(' ')}. ` +
            `Clients learn of them only from a refusal, and the authorization server may not know them`,
        ];
  });
}

function doubtfulRequirements(application: Application): string[] {
  const { declared } = application;
  const options = optionsOf(application);
  return [
    ...options.flatMap((one) => {
      const same = declared.find((other) => isSame(one, other) && needsSomething(other));
      return same === undefined
        ? []
        : [`mcp: ${one.kind} "${one.name}" also has scopes at ${same.where}; both are required`];
    }),
    ...options
      .filter((one) => isUnknown(one, declared))
      .map(
        ({ kind, name }) =>
          `mcp: no decorated method is the ${kind} "${name}"; unless you register it by hand, the entry ` +
          `protects nothing`,
      ),
    ...duplicates(declared),
  ];
}

/** Only where some are decorated; with a server that is wired by hand nobody knows the names. */
function isUnknown(one: OperationRequirement, declared: readonly DeclaredOperation[]): boolean {
  return (
    declared.some(({ kind }) => kind === one.kind) && !declared.some((other) => isSame(one, other))
  );
}

function duplicates(declared: readonly DeclaredOperation[]): string[] {
  return declared.flatMap((one, index) => {
    const earlier = declared.slice(0, index).find((other) => isSame(one, other));
    return earlier === undefined || (!needsSomething(one) && !needsSomething(earlier))
      ? []
      : [
          `the ${one.kind} "${one.name}" is declared by ${earlier.where} and ${one.where}: calls need ` +
            `the scopes of both`,
        ];
  });
}

function optionsOf({ resources }: Application): OperationRequirement[] {
  return resources.all().flatMap(({ mcp }) => requirementsOf(mcp.options));
}

function isSame(one: Named, other: Named): boolean {
  return one.kind === other.kind && one.name === other.name;
}

function needsSomething(one: Requirement): boolean {
  return typeof one.requirement === 'function' || scopesIn(staticNeeds(one)).length > 0;
}

function scopesIn({ all, anyOf }: ScopeNeeds): string[] {
  return [...all, ...anyOf.flat()];
}

function nameOf({ controller, name }: Route): string {
  return `${controller.name}.${name}`;
}
