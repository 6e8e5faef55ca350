import { isObject } from '../../../core/lib/members.js';
import type { OperationKind } from '../../../core/mcp/json-rpc.js';
import type { ClassLike } from '../../marks/handler-marks.js';
import type { Registration } from './host-library.js';
import {
  type DeclaredOperation,
  type Handler,
  type KnownClass,
  type ModuleOf,
  type Modules,
  typesOf,
  type Wrapper,
} from './mcp-discovery.js';

/** Where MCP-Nest 1 and 2 note on a method what it is, and which member names it. Others do, too. */
export const OPERATION_KEYS: readonly (readonly [key: string, OperationKind, member: string])[] = [
  ['mcp:tool', 'tool', 'name'],
  ['mcp:prompt', 'prompt', 'name'],
  ['mcp:resource', 'resource', 'uri'],
  ['mcp:resource-template', 'resource', 'uriTemplate'],
];

export const MCP_NEST_1 = 'MCP-Nest 1';
/** The token by which a module of MCP-Nest 1 knows itself, from 1.6 on. */
const MODULE_ID = 'MCP_MODULE_ID';
/** The one of its options, which earlier ones have, too. */
const MODULE_OPTIONS = 'MCP_OPTIONS';
/** The class of its registry, from 1.5 to the last 1.9. */
const REGISTRIES: ReadonlySet<string> = new Set([
  'McpRegistryService',
  'McpRegistryDiscoveryService',
]);
/** Tokens of MCP-Nest 2, for an application that has no decorated method. */
export const MCP_STRATEGY = 'MCP_STRATEGY';
/** In the registry of global symbols, for the server without a name and before the names of others. */
const TRANSPORT = '@rekog/mcp-nest:transport';
/** The class that `McpHttpControllerFor` makes for the controller of the application to extend. */
const BOUND_CONTROLLER = 'BoundMcpHttpController';
const TRANSPORT_CONTROLLERS = [BOUND_CONTROLLER, 'StreamableHttpController'];

/** What the registry of MCP-Nest 1 has for each method, and its lists of them. */
interface Entry {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly providerClass: unknown;
  readonly methodName: string;
}

const LISTS: readonly (readonly [list: string, OperationKind, member: string])[] = [
  ['getTools', 'tool', 'name'],
  ['getPrompts', 'prompt', 'name'],
  ['getResources', 'resource', 'uri'],
  ['getResourceTemplates', 'resource', 'uriTemplate'],
];

export function isMcpNest1Module({ providers }: Pick<ModuleOf, 'providers'>): boolean {
  if (providers.has(MODULE_ID)) return true;
  return providers.has(MODULE_OPTIONS) && registryOf({ providers }) !== undefined;
}

/** All that the servers of MCP-Nest 1 have registered. */
export function registeredInMcpNest1(modules: Modules): Registration[] {
  return [...modules.values()].flatMap((module) => {
    const registry = isMcpNest1Module(module) ? registryOf(module) : undefined;
    const id: unknown = module.providers.get(MODULE_ID)?.instance ?? '';
    if (typeof id !== 'string' || registry === undefined) return [];
    return LISTS.flatMap(([list, kind, member]) =>
      entriesOf(registry, list, id).map((entry) => ({
        server: id,
        kind,
        name: String(entry.metadata[member]),
        key: `${list} ${String(entry.metadata['name'])}`,
        ...runBy(entry, modules),
      })),
    );
  });
}

function registryOf({ providers }: Pick<ModuleOf, 'providers'>): object | undefined {
  for (const [token, { instance }] of providers) {
    const isRegistry = typeof token === 'function' && REGISTRIES.has(token.name);
    if (isRegistry && typeof instance === 'object') return instance as object;
  }
  return undefined;
}

function entriesOf(registry: object, list: string, id: string): Entry[] {
  const method: unknown = Reflect.get(registry, list);
  const entries: unknown =
    typeof method === 'function' ? Reflect.apply(method, registry, [id]) : [];
  return Array.isArray(entries) ? (entries as Entry[]) : [];
}

/** It keeps the token of the provider, and asks all modules for it. */
function runBy({ providerClass, methodName }: Entry, modules: Modules) {
  const wrappers: Wrapper[] = [...modules.values()].flatMap(({ providers, controllers }) =>
    [providers, controllers].flatMap((found) => found.get(providerClass as never) ?? []),
  );
  const handlers = wrappers.flatMap(({ instance }) => memberOf(instance, methodName));
  return {
    method: methodName,
    types: [...new Set(wrappers.flatMap(typesOf))],
    handlers: [...new Set(handlers)],
  };
}

function memberOf(instance: unknown, method: string): Handler[] {
  if (typeof instance !== 'object' || instance === null) return [];
  const member: unknown = Reflect.get(instance, method);
  return typeof member === 'function' ? [member as Handler] : [];
}

type Named = Pick<Registration, 'kind' | 'name'>;

/** What the strategies of MCP-Nest 2 have besides decorated methods, those that the application provides. */
export function dynamicInMcpNest2(modules: Modules): Named[] {
  return strategiesIn(modules).flatMap(listedBy);
}

/**
 * Methods that no strategy serves which the application provides for their server. A strategy that nothing is
 * connected to yet shows nothing.
 *
 * @param declared for MCP-Nest 2.
 */
export function unservedInMcpNest2(
  modules: Modules,
  declared: readonly DeclaredOperation[],
): DeclaredOperation[] {
  const strategies = strategiesIn(modules).filter(
    (strategy) => isListening(strategy) || messageMethods(strategy).length > 0,
  );
  return declared.filter((one) => {
    const own = strategies.filter(
      (strategy) => serverNamedBy(Reflect.get(strategy, 'transportId')) === one.server,
    );
    return own.length > 0 && !own.some((strategy) => serves(strategy, one));
  });
}

/** Its lists are made when it starts to listen, of the methods that it was handed before. */
function serves(strategy: object, { kind, name, method }: DeclaredOperation): boolean {
  return isListening(strategy)
    ? listedBy(strategy).some((other) => other.kind === kind && other.name === name)
    : messageMethods(strategy).some((other) => isSameOperation(other, method.handler));
}

function isListening(strategy: object): boolean {
  return Reflect.get(strategy, 'built') === true;
}

function listedBy(strategy: object): Named[] {
  return LISTS.flatMap(([list, kind, member]) => {
    const method: unknown = Reflect.get(
      strategy,
      list === 'getResourceTemplates' ? 'getTemplates' : list,
    );
    const found: unknown = typeof method === 'function' ? Reflect.apply(method, strategy, []) : [];
    return (found as Pick<Entry, 'metadata'>[]).map(({ metadata }) => ({
      kind,
      name: String(metadata[member]),
    }));
  });
}

/** The name, which may be empty, of the server of MCP-Nest 2 that a transport of Nest's stands for. */
export function serverNamedBy(transport: unknown): string | undefined {
  const key = typeof transport === 'symbol' ? Symbol.keyFor(transport) : undefined;
  if (key === TRANSPORT) return '';
  return key?.startsWith(`${TRANSPORT}:`) ? key.slice(TRANSPORT.length + 1) : undefined;
}

/**
 * A transport that is served here, and whose tools belong to a strategy that is connected elsewhere. Of a
 * strategy that no provider holds nothing can be read; the methods that it runs ask for their caller
 * themselves.
 */
export function strayTransports(
  modules: Modules,
  classes: readonly KnownClass[],
  { hasTools }: { readonly hasTools: boolean },
): string[] {
  const strategies = strategiesIn(modules);
  const handlers = classes.flatMap(({ methods }) => methods.map((one) => one.handler));
  const strays = strategies
    .flatMap(messageMethods)
    .filter((method) => !handlers.some((handler) => isSameOperation(handler, method)));
  if (strays.length > 0)
    return strays.map((method) => strayText(`${nameOf(method)} is run by MCP-Nest`));
  const isKnown = strategies.length > 0 || hasTools;
  return classes
    .filter(({ type }) => !isKnown && isBoundController(type))
    .map(({ type }) => strayText(`${type.name} serves a transport of MCP-Nest`));
}

function strayText(what: string): string {
  return (
    `${what}, and no module of this application has its tools, so that their scopes are unknown here: ` +
    `import the modules of the tools, and connect the strategy to this application. If all of them are ` +
    `registered by hand, add { provide: MCP_STRATEGY, useValue: strategy } to the providers`
  );
}

/** The decorated methods that Nest has handed to the strategy. */
function messageMethods(strategy: object): Handler[] {
  const handlers: unknown = Reflect.get(strategy, 'messageHandlers');
  if (!(handlers instanceof Map)) return [];
  return [
    ...(handlers.values() as Iterable<{ readonly extras?: { readonly mcpMethodRef?: unknown } }>),
  ]
    .map(({ extras }) => extras?.mcpMethodRef)
    .filter((method): method is Handler => typeof method === 'function');
}

/** By the token of the documentation, or by their class under any other. */
function strategiesIn(modules: Modules): object[] {
  const wrappers = [...modules.values()].flatMap(({ providers }) => [...providers]);
  const instances = wrappers
    .filter(([token, wrapper]) => token === MCP_STRATEGY || typesOf(wrapper).some(isStrategy))
    .map(([, { instance }]): unknown => instance)
    .filter(isObject);
  return [...new Set(instances)];
}

function nameOf(method: Handler): string {
  return `the method "${method.name}"`;
}

/** Whether one is the other, or what a decorator has put in its place, with its marks. */
function isSameOperation(one: object, other: object): boolean {
  if (one === other) return true;
  return OPERATION_KEYS.some(([key]) => {
    const mark: unknown = Reflect.getMetadata(key, one);
    return mark !== undefined && mark === Reflect.getMetadata(key, other);
  });
}

/** Made by `McpHttpControllerFor`: it serves what a strategy of MCP-Nest 2 has, wherever that is. */
export function isBoundController(type: ClassLike): boolean {
  return extendsOneOf(type, [BOUND_CONTROLLER]);
}

/** Whether the class, or one that it extends, was made by a library to serve its transports. */
export function isTransportController(type: ClassLike): boolean {
  return extendsOneOf(type, TRANSPORT_CONTROLLERS);
}

/** The transport of Nest that MCP-Nest 2 brings, which holds what it serves. */
function isStrategy(type: ClassLike): boolean {
  return extendsOneOf(type, ['McpStrategy']);
}

function extendsOneOf(type: unknown, names: readonly string[]): boolean {
  if (typeof type !== 'function') return false;
  return names.includes(type.name) || extendsOneOf(Object.getPrototypeOf(type), names);
}
