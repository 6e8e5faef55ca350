import { addScopeNeeds, NO_SCOPES, type ScopeNeeds } from '../../core/lib/scopes.js';

/** A function as a target or as a method: what matters here is which one it is. */
export type Method = (this: unknown, ...args: unknown[]) => unknown;

export interface ClassLike {
  readonly name: string;
  readonly prototype: object;
}

/** Where Nest notes the guards of `@UseGuards`; part of no public interface. */
export const GUARDS = '__guards__';

const NEEDS = Symbol.for('authplane-nestjs:scopes');
const PUBLIC = Symbol.for('authplane-nestjs:public');
const LISTING = Symbol.for('authplane-nestjs:list');
const RESOURCE = Symbol.for('authplane-nestjs:resource');
const MCP_ENDPOINT = Symbol.for('authplane-nestjs:mcp-endpoint');

/** Of `@GatewayTool`, under prototype and key: a gateway calls the method, after the guard has asked for its scopes. */
export const GATEWAY_TOOL = Symbol.for('authplane-nestjs:gateway-tool');

/** On the prototype of `AuthplaneGuard`, so that a mark can be told from here without a cycle. */
export const IS_AUTHPLANE_GUARD = Symbol.for('authplane-nestjs:is-guard');

/**
 * A class or a method that a decorator stands on. Marks of a method are kept twice: on the function,
 * and under prototype and key, where they are found when another decorator, or a constructor, has
 * replaced the function.
 */
export interface MarkedTarget {
  readonly target: object;
  readonly key?: string | symbol | undefined;
  readonly method?: object | undefined;
}

export type ListingMark = 'show' | 'hide';

/** To what stands there already: decorators are stacked, composed and inherited, and none may be lost. */
export function markNeeds(marked: MarkedTarget, needs: ScopeNeeds): void {
  const { target, key, method = target } = marked;
  Reflect.defineMetadata(NEEDS, addScopeNeeds(needs, ownNeeds(method)), method);
  if (key === undefined) return;
  Reflect.defineMetadata(NEEDS, addScopeNeeds(needs, needsUnder(target, key)), target, key);
}

export function markPublic(marked: MarkedTarget): void {
  define(PUBLIC, marked, true);
}

export function markListing(marked: MarkedTarget, listing: ListingMark): void {
  define(LISTING, marked, listing);
}

export function markResource(marked: MarkedTarget, name: string): void {
  define(RESOURCE, marked, name);
}

export function markMcpEndpoint(target: object): void {
  Reflect.defineMetadata(MCP_ENDPOINT, true, target);
}

function define(mark: symbol, { target, key, method }: MarkedTarget, value: unknown): void {
  Reflect.defineMetadata(mark, value, method ?? target);
  if (key !== undefined) Reflect.defineMetadata(mark, value, target, key);
}

export function isMcpEndpoint(controller: object): boolean {
  return Reflect.getMetadata(MCP_ENDPOINT, controller) === true;
}

/** Requirements that stand on the class and its base classes, or on the function. */
export function ownNeeds(target: object): ScopeNeeds {
  return (Reflect.getMetadata(NEEDS, target) as ScopeNeeds | undefined) ?? NO_SCOPES;
}

/** What the guard does with a handler. */
export interface HandlerPolicy {
  readonly isPublic: boolean;
  readonly needs: ScopeNeeds;
  /** As given to `@UseResource`; `undefined`: the resource of the module. */
  readonly resourceName: string | undefined;
  /** Its class carries `@McpEndpoint()`. */
  readonly isMcpEndpoint: boolean;
  /** How its decorator says that the operation is listed. */
  readonly listing: ListingMark | undefined;
}

/** Where marks of one handler may stand. */
export interface HandlerPlaces {
  /** What runs. */
  readonly handler: object;
  /** The class that Nest names, and those that were registered for it. */
  readonly classes: readonly object[];
  /** The names of the method. */
  readonly keys: readonly (string | symbol)[];
}

/**
 * Requirements of the class and of the handler, added up, wherever they stand: on what runs, on the
 * methods of that name along the prototype chain (an override keeps what the base asks for), on the
 * class and its base classes. Openness is the contrary: it counts only right where it stands.
 */
export function policyOf({ handler, classes, keys }: HandlerPlaces): HandlerPolicy {
  const methods = classes.flatMap((type) => methodsNamed(type, keys));
  const functions = functionsOf(handler, methods);
  const ofClasses = uniteNeeds(...classes.map(ownNeeds));
  const ofMethod = needsOfMethod(functions, methods);
  const isOpenMethod = isOwnPublic(handler) || methods.some(isNearestPublic);
  const isOpenClass = classes.some(isOwnPublic) && isNothing(ofClasses);
  return {
    isPublic:
      isNothing(ofMethod) && (isOpenMethod || (isOpenClass && !functions.some(hasAuthplaneGuard))),
    needs: uniteNeeds(ofClasses, ofMethod),
    resourceName: firstMark<string>(RESOURCE, functions, methods, classes),
    isMcpEndpoint: classes.some(isMcpEndpoint),
    listing: firstMark<ListingMark>(LISTING, functions, methods, classes),
  };
}

/** For a handler that stands in its class as it was written. */
export function handlerPolicy(controller: object, handler: object): HandlerPolicy {
  return policyOf({ handler, classes: [controller], keys: keysOf(controller, handler) });
}

/** Those of the method alone, without its class. */
export function methodNeeds(controller: object, handler: object): ScopeNeeds {
  const methods = methodsNamed(controller, keysOf(controller, handler));
  return needsOfMethod(functionsOf(handler, methods), methods);
}

function functionsOf(handler: object, methods: readonly NamedMethod[]): object[] {
  return [...new Set([handler, ...methods.map(({ method }) => method)])];
}

function needsOfMethod(functions: readonly object[], methods: readonly NamedMethod[]): ScopeNeeds {
  return uniteNeeds(
    ...functions.map(ownNeeds),
    ...methods.map(({ prototype, key }) => needsUnder(prototype, key)),
  );
}

/** The names under which the prototype chain of the class has this function. */
export function keysOf(controller: object, handler: unknown): (string | symbol)[] {
  return prototypesOf(controller).flatMap((prototype) =>
    Reflect.ownKeys(prototype).filter((key) => methodAt(prototype, key) === handler),
  );
}

/** Methods that carry a mark, or a guard of ours: their policy is not the one of their class. */
export function markedKeys(controller: object): (string | symbol)[] {
  return prototypesOf(controller).flatMap((prototype) =>
    Reflect.ownKeys(prototype).filter((key) => isMarked(prototype, key)),
  );
}

function isMarked(prototype: object, key: string | symbol): boolean {
  const method = methodAt(prototype, key);
  if (method === undefined) return false;
  return (
    [NEEDS, RESOURCE].some(
      (mark) => Reflect.hasOwnMetadata(mark, prototype, key) || Reflect.hasMetadata(mark, method),
    ) || hasAuthplaneGuard(method)
  );
}

/** A guard of ours, a subclass, or an instance, in `@UseGuards` on exactly this target. */
export function hasAuthplaneGuard(target: object): boolean {
  const guards: unknown = Reflect.getMetadata(GUARDS, target);
  return Array.isArray(guards) && guards.some(isAuthplaneGuard);
}

/** The class, a subclass, or an instance. */
export function isAuthplaneGuard(guard: unknown): boolean {
  const carrier: unknown = typeof guard === 'function' ? guard.prototype : guard;
  return typeof carrier === 'object' && carrier !== null && IS_AUTHPLANE_GUARD in carrier;
}

/** All methods of the class and of those that it extends. */
export function methodsIn(type: object): Method[] {
  return prototypesOf(type).flatMap((prototype) =>
    Reflect.ownKeys(prototype).flatMap((key) => methodAt(prototype, key) ?? []),
  );
}

interface NamedMethod {
  readonly prototype: object;
  readonly key: string | symbol;
  readonly method: Method;
  /** No class between has one of the same name. */
  readonly isNearest: boolean;
}

function methodsNamed(controller: object, keys: readonly (string | symbol)[]): NamedMethod[] {
  return keys.flatMap((key) =>
    prototypesOf(controller)
      .flatMap((prototype) => {
        const method = methodAt(prototype, key);
        return method === undefined ? [] : [{ prototype, key, method }];
      })
      .map((one, index) => ({ ...one, isNearest: index === 0 })),
  );
}

function prototypesOf(controller: object): object[] {
  const found: object[] = [];
  let prototype: unknown = (controller as Partial<ClassLike>).prototype;
  while (typeof prototype === 'object' && prototype !== null && prototype !== Object.prototype) {
    found.push(prototype);
    prototype = Object.getPrototypeOf(prototype);
  }
  return found;
}

function methodAt(prototype: object, key: string | symbol): Method | undefined {
  if (key === 'constructor') return undefined;
  const value: unknown = Reflect.getOwnPropertyDescriptor(prototype, key)?.value;
  return typeof value === 'function' ? (value as Method) : undefined;
}

function needsUnder(prototype: object, key: string | symbol): ScopeNeeds {
  return (Reflect.getOwnMetadata(NEEDS, prototype, key) as ScopeNeeds | undefined) ?? NO_SCOPES;
}

function isOwnPublic(target: object): boolean {
  return Reflect.getOwnMetadata(PUBLIC, target) === true;
}

function isNearestPublic({ prototype, key, isNearest }: NamedMethod): boolean {
  return isNearest && Reflect.getOwnMetadata(PUBLIC, prototype, key) === true;
}

function firstMark<Mark>(
  mark: symbol,
  functions: readonly object[],
  methods: readonly NamedMethod[],
  classes: readonly object[],
): Mark | undefined {
  const marks: unknown[] = [
    ...functions.map((method): unknown => Reflect.getMetadata(mark, method)),
    ...methods.map(({ prototype, key }): unknown => Reflect.getOwnMetadata(mark, prototype, key)),
    ...classes.map((type): unknown => Reflect.getMetadata(mark, type)),
  ];
  return marks.find((one) => one !== undefined) as Mark | undefined;
}

/** Each requirement once, however many places repeat it. */
function uniteNeeds(...needs: readonly ScopeNeeds[]): ScopeNeeds {
  const { all, anyOf, ...rules } = addScopeNeeds(...needs);
  const groups = new Map(anyOf.map((group) => [group.join(' '), group]));
  return all.length === 0 && groups.size === 0 && rules.rules === undefined
    ? NO_SCOPES
    : { all, anyOf: [...groups.values()], ...rules };
}

function isNothing(needs: ScopeNeeds): boolean {
  return needs === NO_SCOPES;
}
