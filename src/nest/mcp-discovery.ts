import { MetadataScanner, type ModulesContainer } from '@nestjs/core';
import type { OperationKind } from '../core/json-rpc.js';
import type { OperationRequirement } from '../core/operation-scopes.js';
import { NO_SCOPES } from '../core/scopes.js';
import { type ClassLike, handlerPolicy, methodNeeds, ownNeeds } from './handler-marks.js';

/** A class that Nest knows, as controller or provider. */
export interface KnownClass {
  readonly type: ClassLike;
  readonly isController: boolean;
  /** One that MCP-Nest 1 has made to serve its transports. */
  readonly isOfMcpNest: boolean;
  readonly methods: readonly KnownMethod[];
}

export interface KnownMethod {
  readonly name: string;
  readonly handler: object;
}

/** A method that an MCP library runs as a tool, resource or prompt. */
export interface DeclaredOperation extends Omit<OperationRequirement, 'hidden'> {
  /** What its decorators say, which wins over the options of the resource. */
  readonly list: 'show' | 'hide' | undefined;
  /** `Class.method`, for messages. */
  readonly where: string;
}

/** Where MCP-Nest 1 and 2 note on a method what it is, and which member names it. */
const OPERATION_KEYS: readonly (readonly [key: string, OperationKind, member: string])[] = [
  ['mcp:tool', 'tool', 'name'],
  ['mcp:prompt', 'prompt', 'name'],
  ['mcp:resource', 'resource', 'uri'],
  ['mcp:resource-template', 'resource', 'uriTemplate'],
];

/** Tokens and modules of MCP-Nest, which may have no decorated method: it takes dynamic ones, too. */
const MCP_NEST_NAMES: ReadonlySet<string> = new Set([
  'MCP_HTTP_HANDLER',
  'Symbol(MCP_HTTP_HANDLER)',
  'MCP_STRATEGY',
  'McpModule',
]);

type Modules = Pick<ModulesContainer, 'values'>;

/** What is used of Nest's `InstanceWrapper`, which is part of no public interface. */
interface Wrapper {
  readonly metatype: unknown;
  readonly inject?: unknown;
  readonly instance: unknown;
}

/** All classes of the application. Once, at start: guards look nothing up per request. */
export function knownClasses(modules: Modules): KnownClass[] {
  const found = new Map<ClassLike, Omit<KnownClass, 'type' | 'methods'>>();
  for (const { controllers, providers } of modules.values()) {
    const isOfMcpNest = providers.has('MCP_MODULE_ID');
    for (const type of [...controllers.values()].flatMap(typesOf)) {
      found.set(type, { isController: true, isOfMcpNest });
    }
    for (const type of [...providers.values()].flatMap(typesOf)) {
      if (!found.has(type)) found.set(type, { isController: false, isOfMcpNest: false });
    }
  }
  const scanner = new MetadataScanner();
  return [...found].map(([type, role]) => ({ type, ...role, methods: methodsOf(type, scanner) }));
}

/** What decorators say about tools, resources and prompts; also those that need nothing. */
export function declaredOperations(classes: readonly KnownClass[]): DeclaredOperation[] {
  return classes.flatMap(({ type, methods }) =>
    methods.flatMap(({ name: method, handler }) => {
      const { needs, listing } = handlerPolicy(type, handler);
      return operationsOn(handler, method).map(({ kind, name }) => ({
        kind,
        name,
        requirement: needs,
        list: listing,
        where: `${type.name}.${method}`,
      }));
    }),
  );
}

/** Whether MCP-Nest is in use, which compares resource URIs less strictly than the SDKs. */
export function usesMcpNest(modules: Modules, declared: readonly DeclaredOperation[]): boolean {
  if (declared.length > 0) return true;
  return [...modules.values()].some(
    ({ metatype, providers }) =>
      MCP_NEST_NAMES.has(metatype.name) ||
      [...providers.keys()].some((token) => MCP_NEST_NAMES.has(tokenName(token))),
  );
}

/** MCP-Nest 2: what its `McpHttpControllerFor` returns, and its own controller. */
const MCP_NEST_CONTROLLERS: ReadonlySet<string> = new Set([
  'BoundMcpHttpController',
  'StreamableHttpController',
]);

/** Whether the controller, or a class that it extends, was made by MCP-Nest to serve its transports. */
export function isHostController({ type, isController, isOfMcpNest }: KnownClass): boolean {
  return isController && (isOfMcpNest || extendsHostController(type));
}

function extendsHostController(type: unknown): boolean {
  if (typeof type !== 'function') return false;
  return MCP_NEST_CONTROLLERS.has(type.name) || extendsHostController(Object.getPrototypeOf(type));
}

export function isMcpOperation(handler: object): boolean {
  return OPERATION_KEYS.some(([key]) => Reflect.hasMetadata(key, handler));
}

/** Whether the class, or the method, is marked with scopes, wherever the marks stand. */
export function hasOwnScopes(type: object, handler?: object): boolean {
  if (handler === undefined) return ownNeeds(type) !== NO_SCOPES;
  return methodNeeds(type, handler) !== NO_SCOPES;
}

function operationsOn(handler: object, method: string): { kind: OperationKind; name: string }[] {
  return OPERATION_KEYS.flatMap(([key, kind, member]) => {
    const options: unknown = Reflect.getMetadata(key, handler);
    if (typeof options !== 'object' || options === null) return [];
    const given = (options as Record<string, unknown>)[member];
    const name = typeof given === 'string' && given !== '' ? given : method; // as MCP-Nest does
    return [{ kind, name }];
  });
}

function methodsOf({ prototype }: ClassLike, scanner: MetadataScanner): KnownMethod[] {
  return scanner.getAllMethodNames(prototype).flatMap((name) => {
    const handler: unknown = Reflect.get(prototype, name);
    return typeof handler === 'function' ? [{ name, handler }] : [];
  });
}

/** The class as registered; for `useFactory` and `useValue`, the class of what came out. */
function typesOf({ metatype, inject, instance }: Wrapper): ClassLike[] {
  const types = [inject ? undefined : metatype, constructorOf(instance)];
  return [...new Set(types.filter(isClass))];
}

function constructorOf(instance: unknown): unknown {
  if (typeof instance !== 'object' || instance === null) return undefined;
  try {
    return (Object.getPrototypeOf(instance) as object | null)?.constructor;
  } catch {
    return undefined; // a proxy that objects
  }
}

const BUILT_IN: ReadonlySet<unknown> = new Set([Object, Array, Map, Set, Promise, Function]);

function isClass(value: unknown): value is ClassLike {
  return (
    typeof value === 'function' &&
    typeof value.prototype === 'object' &&
    value.prototype !== null &&
    !BUILT_IN.has(value)
  );
}

function tokenName(token: unknown): string {
  return typeof token === 'function' ? token.name : String(token);
}
