import { hasProtectingGuard } from '../marks/authplane-protected.js';
import { GATEWAY_TOOL, type ClassLike, handlerPolicy } from '../marks/handler-marks.js';
import {
  type Application,
  type Finding,
  isGuardedItself,
  nameOf,
  type Route,
} from './boot-routes.js';
import { hasOwnScopes, type KnownClass, type KnownMethod } from '../mcp/hosts/mcp-discovery.js';
import { isRoute } from '../http/routes.js';

interface Marked extends KnownMethod {
  readonly type: ClassLike;
}

/** Marks on handlers that no guard enforces, and handlers that a global guard does not reach. */
export function handlerFindings(application: Application, routes: readonly Route[]): Finding[] {
  const scoped = scopedMethods(application);
  return [
    ...unguardedRoutes(routes),
    ...unreachedHandlers(application, scoped),
    ...openGateways(application),
    ...unknownHosts(application, scoped),
    ...idleScopes(application, scoped),
  ];
}

function unguardedRoutes(routes: readonly Route[]): Finding[] {
  return routes
    .filter(({ isPublic, isGuarded }) => !isPublic && !isGuarded)
    .filter(
      ({ controller, handler }) => hasOwnScopes(controller) || hasOwnScopes(controller, handler),
    )
    .map((route) =>
      open(
        `@Scopes on ${nameOf(route)} protects nothing: no AuthplaneGuard guards it, so no caller is ` +
          `known. Add @UseGuards(AuthplaneGuard), or set guard: 'global'; a guard of yours that asks ` +
          `AuthplaneGuard itself carries @AuthplaneProtected()`,
      ),
    );
}

/** Of these Nest calls the guards of the handler and its class; global ones where `isGlobal` says so. */
const CALLED_WITHOUT_ROUTE: readonly {
  readonly key: string;
  readonly what: string;
  readonly isGlobal: (application: Application) => boolean;
}[] = [
  {
    key: 'microservices:pattern',
    what: 'message or event handler',
    isGlobal: ({ isHttp }) => !isHttp, // a hybrid application does not share its guards by default
  },
  { key: 'websockets:message_mapping', what: 'gateway handler', isGlobal: () => false },
  { key: 'graphql:resolver_type', what: 'resolver', isGlobal: () => true },
];

function unreachedHandlers(application: Application, scoped: readonly Marked[]): Finding[] {
  return CALLED_WITHOUT_ROUTE.flatMap(({ key, what, isGlobal }) => {
    const isReached = application.isGuardedGlobally && isGlobal(application);
    return scoped
      .filter(
        ({ handler }) => Reflect.hasMetadata(key, handler) && !isOperation(application, handler),
      )
      .filter(({ type, handler }) => !isReached && !isGuardedItself(type, handler))
      .map(({ type, name }) =>
        open(
          `@Scopes on ${type.name}.${name} protects nothing: no AuthplaneGuard reaches this ${what}` +
            (application.isGuardedGlobally ? ', the global one included' : '') +
            '. Add @UseGuards(AuthplaneGuard) to it or its class',
        ),
      );
  });
}

/** Whoever connects gets the events, and no global guard is asked about the connection. */
function openGateways({ classes, isGuardedGlobally }: Application): Finding[] {
  if (!isGuardedGlobally) return [];
  return classes
    .filter(({ type }) => Reflect.getMetadata('websockets:is_gateway', type) === true)
    .filter((gateway) => !isClosed(gateway))
    .map(({ type }) =>
      open(
        `${type.name} is a WebSocket gateway, which guard: 'global' does not protect: anybody may connect. ` +
          `Add @UseGuards with a guard that knows WebSockets and carries @AuthplaneProtected(), or mark ` +
          `the gateway @Public()`,
      ),
    );
}

function isClosed({ type, methods }: KnownClass): boolean {
  const handlers = methods.filter(({ handler }) =>
    Reflect.hasMetadata('websockets:message_mapping', handler),
  );
  const isLeftAlone = ({ handler }: KnownMethod): boolean =>
    isGuardedItself(type, handler) || handlerPolicy(type, handler).isPublic;
  return handlers.length > 0
    ? handlers.every(isLeftAlone)
    : isGuardedItself(type, type) || handlerPolicy(type, type).isPublic;
}

/** A host that nobody knows runs the method, under a name that nobody can tell. */
function unknownHosts(application: Application, scoped: readonly Marked[]): Finding[] {
  return scoped.flatMap(({ type, name, handler }) => {
    if (isOperation(application, handler)) return [];
    const mark = hostMark(type, { name, handler });
    return mark === undefined
      ? []
      : [
          wrong(
            `@Scopes on ${type.name}.${name}: no MCP host that is known here runs this method (its decorator ` +
              `left "${mark}", a key that several libraries use), so nobody can tell what it is called, and ` +
              `its scopes would not be checked. Take @Scopes off and name what the server lists in the ` +
              `option mcp.tools (resources, prompts), or describe the library in mcp.hosts`,
          ),
        ];
  });
}

/** A key of metadata that speaks of MCP, on the function or on prototype and member. */
function hostMark({ prototype }: ClassLike, { name, handler }: KnownMethod): string | undefined {
  const ofHandler: unknown[] = Reflect.getMetadataKeys(handler);
  const ofMember: unknown[] = Reflect.getMetadataKeys(prototype, name);
  const keys = [...ofHandler, ...ofMember];
  return keys
    .map((key) => (typeof key === 'symbol' ? (key.description ?? '') : String(key)))
    .find((key) => /mcp/i.test(key) && !key.startsWith('authplane-nestjs:'));
}

/**
 * Nothing that Nest or a host calls: a method asks for its scopes when it runs, and no guard does before. The
 * marks of a class of which nothing is called are not asked for at all, unless a guard stands on it, which a
 * library that calls methods as Nest does asks.
 */
function idleScopes(application: Application, scoped: readonly Marked[]): Finding[] {
  return application.classes.flatMap(({ type, methods }) => {
    const isCalled = (method: KnownMethod): boolean =>
      isCalledByNest(method) ||
      Reflect.hasMetadata(GATEWAY_TOOL, type.prototype, method.name) ||
      isOperation(application, method.handler) ||
      hostMark(type, method) !== undefined;
    const idle = scoped.filter(
      (one) => one.type === type && hasOwnScopes(type, one.handler) && !isCalled(one),
    );
    const isIdleClass = hasOwnScopes(type) && !methods.some(isCalled);
    return [
      ...(isIdleClass
        ? [idleFinding(type.name, hasProtectingGuard(type) ? 'doubtful' : 'open')]
        : []),
      ...idle.map(({ name }) => idleFinding(`${type.name}.${name}`, 'doubtful')),
    ];
  });
}

function idleFinding(where: string, weight: Finding['weight']): Finding {
  return {
    weight,
    text:
      `@Scopes on ${where} protects nothing: it is no route handler and no MCP tool, resource or ` +
      `prompt` +
      (weight === 'open' ? '' : ', and only the method asks, when it is called for a caller') +
      `. For tools that are registered by hand, name them in the option mcp`,
  };
}

function isCalledByNest({ handler }: KnownMethod): boolean {
  return (
    isRoute(handler) || CALLED_WITHOUT_ROUTE.some(({ key }) => Reflect.hasMetadata(key, handler))
  );
}

function isOperation({ declared }: Application, handler: object): boolean {
  return declared.some(({ method }) => method.handler === handler);
}

/** Methods that have scopes, their own or those of their class. */
function scopedMethods({ classes }: Application): Marked[] {
  return classes.flatMap(({ type, methods }) =>
    methods
      .filter(({ handler }) => hasOwnScopes(type) || hasOwnScopes(type, handler))
      .map((method) => ({ ...method, type })),
  );
}

function open(text: string): Finding {
  return { weight: 'open', text };
}

function wrong(text: string): Finding {
  return { weight: 'wrong', text };
}
