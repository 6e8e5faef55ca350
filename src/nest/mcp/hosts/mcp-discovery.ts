import { type DiscoveryService, MetadataScanner, type ModulesContainer } from '@nestjs/core';
import type { OperationKind } from '../../../core/mcp/json-rpc.js';
import type { OperationRequirement } from '../../../core/mcp/operation-scopes.js';
import { NO_SCOPES } from '../../../core/lib/scopes.js';
import { type ClassLike, handlerPolicy, methodNeeds, ownNeeds } from '../../marks/handler-marks.js';

/** What is used of Nest's `Module` and `InstanceWrapper`, which are part of no public interface. */
export type Modules = Pick<ModulesContainer, 'values'>;

export interface Wrapper {
  readonly metatype: unknown;
  readonly inject?: unknown;
  readonly instance: unknown;
}

/** What the owner of a controller is told of the library that has made it. */
export interface ServingLibrary {
  readonly name: string;
  /** How its controllers get a guard. */
  readonly guardAdvice: string;
}

/** A class that Nest knows, as controller or provider. */
export interface KnownClass {
  readonly type: ClassLike;
  readonly isController: boolean;
  /** Which has made the controller, or has put its transport there. */
  readonly library: ServingLibrary | undefined;
  /** It runs operations for bodies that are no JSON-RPC. */
  readonly runsElsewhere: boolean;
  /** That has registered it. */
  readonly module: object;
  readonly methods: readonly KnownMethod[];
}

export interface KnownMethod {
  readonly name: string;
  readonly handler: Handler;
}

export type Handler = (...parameters: never[]) => unknown;

/** What a host makes of a method. */
export interface HostedOperation {
  readonly kind: OperationKind;
  /** Of a tool or prompt; URI or URI template of a resource. */
  readonly name: string;
  /** Where the host keeps several tables of names, the one it belongs to. */
  readonly server?: string;
}

/** A library that runs methods of classes, and that is there in this application. */
export interface DiscoveredHost {
  readonly name: string;
  operationsOn(method: KnownMethod, type: ClassLike): readonly HostedOperation[];
}

/** A method that an MCP host runs as a tool, resource or prompt. */
export interface DeclaredOperation
  extends Omit<OperationRequirement, 'hidden'>, Pick<HostedOperation, 'server'> {
  /** What its decorators say, which wins over the options of the resource. */
  readonly list: 'show' | 'hide' | undefined;
  /** `Class.method`, for messages. */
  readonly where: string;
  readonly host: DiscoveredHost;
  readonly type: ClassLike;
  readonly method: KnownMethod;
}

const PROVIDER = { isController: false, library: undefined, runsElsewhere: false } as const;

/** All classes of the application. Once, at start: guards look nothing up per request. */
export function knownClasses(
  discovery: DiscoveryService,
  known: {
    readonly libraryOf: (type: ClassLike, module: ModuleOf) => ServingLibrary | undefined;
    readonly runsElsewhere: (type: ClassLike, module: ModuleOf) => boolean;
  },
): KnownClass[] {
  const found = new Map<ClassLike, Omit<KnownClass, 'methods'>>();
  for (const { type, module } of discovery.getControllers().flatMap(registrations)) {
    found.set(type, {
      type,
      module,
      isController: true,
      library: known.libraryOf(type, module),
      runsElsewhere: known.runsElsewhere(type, module),
    });
  }
  for (const one of discovery.getProviders().flatMap(registrations)) {
    if (!found.has(one.type)) found.set(one.type, { ...one, ...PROVIDER });
  }
  const scanner = new MetadataScanner();
  return [...found.values()].map((one) => ({ ...one, methods: methodsOf(one.type, scanner) }));
}

type DiscoveredWrapper = ReturnType<DiscoveryService['getProviders']>[number];

function registrations(wrapper: DiscoveredWrapper): { type: ClassLike; module: ModuleOf }[] {
  const { host: module } = wrapper;
  return module === undefined ? [] : typesOf(wrapper).map((type) => ({ type, module }));
}

export type ModuleOf = ReturnType<Modules['values']> extends Iterator<infer One> ? One : never;

/** What decorators say about tools, resources and prompts; also those that need nothing. */
export function declaredOperations(
  classes: readonly KnownClass[],
  hosts: readonly DiscoveredHost[],
): DeclaredOperation[] {
  return classes.flatMap(({ type, methods }) =>
    methods.flatMap((method) =>
      hosts.flatMap((host) =>
        host.operationsOn(method, type).map((operation) => {
          const { needs, listing } = handlerPolicy(type, method.handler);
          return {
            ...operation,
            requirement: needs,
            list: listing,
            where: `${type.name}.${method.name}`,
            host,
            type,
            method,
          };
        }),
      ),
    ),
  );
}

/** Whether the class, or the method, is marked with scopes, wherever the marks stand. */
export function hasOwnScopes(type: object, handler?: object): boolean {
  if (handler === undefined) return ownNeeds(type) !== NO_SCOPES;
  return methodNeeds(type, handler) !== NO_SCOPES;
}

function methodsOf({ prototype }: ClassLike, scanner: MetadataScanner): KnownMethod[] {
  return scanner.getAllMethodNames(prototype).flatMap((name) => {
    const handler: unknown = Reflect.get(prototype, name);
    return typeof handler === 'function' ? [{ name, handler: handler as Handler }] : [];
  });
}

/** The class as registered; for `useFactory` and `useValue`, the class of what came out. */
export function typesOf({ metatype, inject, instance }: Wrapper): ClassLike[] {
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
