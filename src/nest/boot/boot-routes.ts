import { hasProtectingGuard } from '../marks/authplane-protected.js';
import { type ClassLike, handlerPolicy, isMcpEndpoint } from '../marks/handler-marks.js';
import type { HostLibrary } from '../mcp/hosts/host-library.js';
import type {
  DeclaredOperation,
  KnownClass,
  KnownMethod,
  ServingLibrary,
} from '../mcp/hosts/mcp-discovery.js';
import type { ProtectedResource, ProtectedResources } from '../resources/protected-resources.js';
import { isRoute, servesBelow, servesPath } from '../http/routes.js';

/** What is known of the application at its start. */
export interface Application {
  readonly classes: readonly KnownClass[];
  readonly declared: readonly DeclaredOperation[];
  readonly resources: ProtectedResources;
  /** It may have mounted a transport that is no route of Nest's. */
  readonly usedLibrary: HostLibrary | undefined;
  /** Guards of the whole application: instances, or this module's own. */
  readonly isGuardedGlobally: boolean;
  /** `consumer.apply(AuthplaneMiddleware)` stands somewhere; in front of which paths only requests tell. */
  readonly isMiddlewareApplied: boolean;
  /** Interceptors of the whole application: instances or classes. */
  readonly globalInterceptors: readonly unknown[];
  /** Its microservices are connected to an HTTP application, whose guards they do not inherit. */
  readonly isHttp: boolean;
}

/**
 * Something to be said at the start. `doubtful`: a warning. `open`: something that is not protected, which
 * fails the boot unless `allowUnguarded` is set. `wrong`: always fails the boot.
 */
export interface Finding {
  readonly weight: 'doubtful' | 'open' | 'wrong';
  readonly text: string;
}

export interface Route extends KnownMethod {
  readonly controller: ClassLike;
  readonly resource: ProtectedResource;
  readonly isPublic: boolean;
  readonly isGuarded: boolean;
  readonly isEndpoint: boolean;
  readonly isBelowEndpoint: boolean;
  /** Which has made its controller, or has put its transport there. */
  readonly library: ServingLibrary | undefined;
  readonly module: object;
}

/** @throws ConfigurationError for `@UseResource` with an unknown name. */
export function routesOf({ classes, resources, isGuardedGlobally }: Application): Route[] {
  const controllers = classes.filter(({ isController }) => isController);
  return controllers.flatMap(({ type: controller, methods, library, module }) =>
    methods
      .filter(({ handler }) => isRoute(handler))
      .map(({ name, handler }) => {
        const { isPublic, resourceName } = handlerPolicy(controller, handler);
        const resource = resources.get(resourceName);
        const serves = resource.isMcp && servesResource(controller, handler, resource);
        return {
          controller,
          name,
          handler,
          resource,
          isPublic,
          isGuarded: isGuardedGlobally || isGuardedItself(controller, handler),
          isEndpoint: library !== undefined || isMcpEndpoint(controller) || serves,
          isBelowEndpoint: resource.isMcp && servesBelow(controller, handler, resource.path),
          library,
          module,
        };
      }),
  );
}

export function servesResource(
  controller: object,
  handler: object,
  resource: ProtectedResource,
): boolean {
  return servesPath(controller, handler, resource.path);
}

/** By a guard on the handler or its class. */
export function isGuardedItself(type: object, handler: object): boolean {
  return hasProtectingGuard(type) || hasProtectingGuard(handler);
}

export function nameOf({ controller, name }: Pick<Route, 'controller' | 'name'>): string {
  return `${controller.name}.${name}`;
}
