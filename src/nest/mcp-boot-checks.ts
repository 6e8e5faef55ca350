import {
  type OperationRequirement,
  requirementsOf,
  staticNeeds,
} from '../core/operation-scopes.js';
import type { ScopeNeeds } from '../core/scopes.js';
import { handlerPolicy, isMcpEndpoint, ownNeeds } from './authplane.decorators.js';
import { AuthplaneGuard } from './authplane.guard.js';
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
  /** Guards of the whole application: instances, or this module's own. */
  readonly isGuardedGlobally: boolean;
}

interface Route extends KnownMethod {
  readonly controller: KnownClass['type'];
  readonly resource: ProtectedResource;
  readonly isPublic: boolean;
  readonly isEndpoint: boolean;
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
    ...misplacedRoutes(application, routes),
    ...unreachableScopes(application),
    ...unadvertisedScopes(application),
    ...doubtfulRequirements(application),
  ];
}

function routesOf({ classes, resources }: Application): Route[] {
  const controllers = classes.filter(({ isController }) => isController);
  return controllers.flatMap(({ type, methods }) =>
    methods
      .filter(({ handler }) => isRoute(handler))
      .map(({ name, handler }) => {
        const { isPublic, resourceName } = handlerPolicy(type, handler);
        const resource = resources.get(resourceName);
        const isEndpoint = isMcpEndpoint(type) || serves(type, handler, resource);
        return { controller: type, name, handler, resource, isPublic, isEndpoint };
      }),
  );
}

function serves(controller: object, handler: object, { resource }: ProtectedResource): boolean {
  return servesPath(controller, handler, new URL(resource.resource).pathname);
}

function unguardedEndpoints(application: Application, routes: readonly Route[]): string[] {
  const { isGuardedGlobally, declared } = application;
  const endpoints = routes.filter(({ isEndpoint }) => isEndpoint);
  const isGuarded = (route: Route) =>
    isGuardedGlobally || hasGuard(route.controller) || hasGuard(route.handler);
  const open = endpoints.filter((route) => !route.isPublic && !isGuarded(route));
  const operations = [...declared, ...optionsOf(application)].filter(needsSomething);
  return [
    ...open.map(
      (route) =>
        `${nameOf(route)} is an MCP endpoint that no AuthplaneGuard protects: anybody may call it. Add ` +
        `@UseGuards(AuthplaneGuard), set guard: 'global', or mark it @Public()`,
    ),
    ...(operations.length === 0 ? [] : openOperations(endpoints.filter(isGuarded))),
  ];
}

/** Requirements of tools count only where a guard reads the body. */
function openOperations(guarded: readonly Route[]): string[] {
  if (guarded.length === 0) {
    return [
      'tools, resources or prompts need scopes, and no guarded controller serves the path of the ' +
        'resource or carries @McpEndpoint(): their scopes are not checked. Guard the controller of the ' +
        'MCP endpoint; one that a library mounts by itself has no guards',
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
  return classes.flatMap(({ type, methods }) =>
    methods
      .filter(({ handler }) => hasOwnScopes(handler) && !isCalled(handler))
      .map(
        ({ name }) =>
          `@Scopes on ${type.name}.${name} protects nothing: it is no route handler and no MCP tool, ` +
          `resource or prompt. For tools that are registered by hand, name them in the option mcp`,
      ),
  );
}

function isCalled(handler: object): boolean {
  return (
    isRoute(handler) ||
    isMcpOperation(handler) ||
    CALLED_BY.some((key) => Reflect.hasMetadata(key, handler))
  );
}

function unadvertisedScopes(application: Application): string[] {
  const { classes, resources } = application;
  const required = [
    ...classes.flatMap(({ type, methods }) => [
      ownNeeds(type),
      ...methods.map(({ handler }) => ownNeeds(handler)),
    ]),
    ...optionsOf(application).map(staticNeeds),
  ].flatMap(scopesIn);
  const advertised = new Set(resources.all().flatMap(({ resource }) => resource.scopes));
  const missing = [...new Set(required)].filter((scope) => !advertised.has(scope));
  return missing.length === 0
    ? []
    : [
        `required but not in the option scopes: ${missing.join(' ')}. Clients learn of them only from a ` +
          `refusal, and the authorization server may not know them`,
      ];
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

function isSame(one: OperationRequirement, other: OperationRequirement): boolean {
  return one.kind === other.kind && one.name === other.name;
}

function needsSomething(one: OperationRequirement): boolean {
  return typeof one.requirement === 'function' || scopesIn(staticNeeds(one)).length > 0;
}

function scopesIn({ all, anyOf }: ScopeNeeds): string[] {
  return [...all, ...anyOf.flat()];
}

function hasGuard(target: object): boolean {
  const guards: unknown = Reflect.getMetadata('__guards__', target); // of @UseGuards
  return Array.isArray(guards) && guards.some(isAuthplaneGuard);
}

/** The class, a subclass, or an instance. */
export function isAuthplaneGuard(guard: unknown): boolean {
  if (guard instanceof AuthplaneGuard || guard === AuthplaneGuard) return true;
  return typeof guard === 'function' && guard.prototype instanceof AuthplaneGuard;
}

function nameOf({ controller, name }: Route): string {
  return `${controller.name}.${name}`;
}
