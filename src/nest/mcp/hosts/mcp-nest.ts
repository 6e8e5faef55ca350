import type { OperationKind } from '../../../core/mcp/json-rpc.js';
import type { ClassLike } from '../../marks/handler-marks.js';
import type {
  DeclaredOperation,
  DiscoveredHost,
  HostedOperation,
  KnownClass,
  KnownMethod,
  ModuleOf,
  Modules,
} from './mcp-discovery.js';

/** Where MCP-Nest 1 and 2 note on a method what it is, and which member names it. Others do, too. */
const OPERATION_KEYS: readonly (readonly [key: string, OperationKind, member: string])[] = [
  ['mcp:tool', 'tool', 'name'],
  ['mcp:prompt', 'prompt', 'name'],
  ['mcp:resource', 'resource', 'uri'],
  ['mcp:resource-template', 'resource', 'uriTemplate'],
];

/** Whether it is marked as one, by whichever library: a key does not tell. */
export function isMcpOperation(method: object): boolean {
  return OPERATION_KEYS.some(([key]) => Reflect.hasMetadata(key, method));
}

/** Whether one is the other, or what a decorator has put in its place, with its marks. */
export function isSameOperation(one: object, other: object): boolean {
  if (one === other) return true;
  return OPERATION_KEYS.some(([key]) => {
    const mark: unknown = Reflect.getMetadata(key, one);
    return mark !== undefined && mark === Reflect.getMetadata(key, other);
  });
}

export const MCP_NEST_1 = 'MCP-Nest 1';
/** The token by which a module of MCP-Nest 1 knows itself. */
export const MODULE_ID = 'MCP_MODULE_ID';
/** In the registry of global symbols, for the server without a name and before the names of others. */
const TRANSPORT = '@rekog/mcp-nest:transport';
/** The class that `McpHttpControllerFor` makes for the controller of the application to extend. */
const BOUND_CONTROLLER = 'BoundMcpHttpController';
const TRANSPORT_CONTROLLERS = [BOUND_CONTROLLER, 'StreamableHttpController'];
/** Tokens of MCP-Nest 2, for an application that has no decorated method. */
export const MCP_STRATEGY = 'MCP_STRATEGY';
const MCP_NEST_2_TOKENS: ReadonlySet<unknown> = new Set([MCP_STRATEGY, 'MCP_HTTP_HANDLER']);

/** Tokens of libraries that use the same keys as MCP-Nest and make other names of them. */
const LOOK_ALIKES: ReadonlySet<unknown> = new Set(['MCP_MODULE_OPTIONS', 'MCP_INIT']);
const MCP_MODULES: ReadonlySet<string> = new Set(['McpModule', 'McpAdapterModule']);

/** MCP-Nest 1, if it is in the application, and no other library that would run the same methods. */
export function mcpNest1(modules: Modules): DiscoveredHost[] {
  const all = [...modules.values()];
  const hasLookAlike = all.some(({ providers }) => [...providers.keys()].some(isLookAlike));
  if (hasLookAlike || !all.some(isMcpNest1Module)) return [];
  return [{ name: MCP_NEST_1, operationsOn }];
}

function isLookAlike(token: unknown): boolean {
  return LOOK_ALIKES.has(plainToken(token));
}

/** MCP-Nest 2. It has no module; its decorators note the transport, whose symbol is its own. */
export const mcpNest2: DiscoveredHost = {
  name: 'MCP-Nest 2',
  operationsOn(method) {
    const server = serverOf(method);
    return server === undefined ? [] : operationsOn(method).map((one) => ({ ...one, server }));
  },
};

/** Whether MCP-Nest is in use, which may have mounted a transport that is no route. */
export function usesMcpNest(modules: Modules, declared: readonly DeclaredOperation[]): boolean {
  const all = [...modules.values()];
  return (
    declared.some(({ host }) => host === mcpNest2) ||
    all.some(isMcpNest1Module) ||
    all.some(({ providers }) =>
      [...providers.keys()].some((token) => MCP_NEST_2_TOKENS.has(plainToken(token))),
    )
  );
}

/** Whether there is a library at all that serves MCP, as far as modules tell. */
export function hasMcpModule(modules: Modules): boolean {
  return [...modules.values()].some(
    ({ metatype, providers }) =>
      MCP_MODULES.has(metatype.name) || [...providers.keys()].some(isLookAlike),
  );
}

export function isMcpNestController(type: ClassLike, module: ModuleOf): boolean {
  return isMcpNest1Module(module) || isBoundController(type);
}

/** Made by `McpHttpControllerFor`: it serves what a strategy of MCP-Nest 2 has, wherever that is. */
export function isBoundController(type: ClassLike): boolean {
  return extendsOneOf(type, [BOUND_CONTROLLER]);
}

/** The transport of Nest that MCP-Nest 2 brings, which holds what it serves. */
export function isStrategy(type: ClassLike): boolean {
  return extendsOneOf(type, ['McpStrategy']);
}

/** Whether the controller, or a class that it extends, was made by a library to serve its transports. */
export function isHostController({ type, isController, isOfMcpNest }: KnownClass): boolean {
  return isController && (isOfMcpNest || extendsOneOf(type, TRANSPORT_CONTROLLERS));
}

function extendsOneOf(type: unknown, names: readonly string[]): boolean {
  if (typeof type !== 'function') return false;
  return names.includes(type.name) || extendsOneOf(Object.getPrototypeOf(type), names);
}

function isMcpNest1Module({ providers }: Pick<ModuleOf, 'providers'>): boolean {
  return providers.has(MODULE_ID);
}

function operationsOn({ handler, name: method }: KnownMethod): HostedOperation[] {
  return OPERATION_KEYS.flatMap(([key, kind, member]) => {
    const options: unknown = Reflect.getMetadata(key, handler);
    if (!isObject(options)) return [];
    const given: unknown = Reflect.get(options, member);
    const name = typeof given === 'string' && given !== '' ? given : method; // as MCP-Nest does
    return [{ kind, name }];
  });
}

/** The name of the server, which may be empty. */
function serverOf({ handler }: KnownMethod): string | undefined {
  const transport: unknown = Reflect.getMetadata('microservices:transport', handler);
  const key = typeof transport === 'symbol' ? Symbol.keyFor(transport) : undefined;
  if (key === TRANSPORT) return '';
  return key?.startsWith(`${TRANSPORT}:`) ? key.slice(TRANSPORT.length + 1) : undefined;
}

function plainToken(token: unknown): unknown {
  return typeof token === 'symbol' ? token.description : token;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
