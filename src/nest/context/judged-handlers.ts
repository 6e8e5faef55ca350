import { types } from 'node:util';
import type { ScopeNeeds } from '../../core/lib/scopes.js';
import { placesOf } from './handler-places.js';
import {
  type ClassLike,
  GUARDS,
  type HandlerPolicy,
  type Method,
  methodsIn,
  policyOf,
} from '../marks/handler-marks.js';
import {
  allCheckedMethods,
  type CheckedMethod,
  checkedMethodOf,
  declaredPolicy,
} from './method-check.js';
import { isRoute } from '../http/routes.js';
import { isMcpOperation } from '../mcp/hosts/mcp-hosts.js';
import type { Modules } from '../mcp/hosts/mcp-discovery.js';

/** What is used of Nest's `InstanceWrapper`, which is part of no public interface. */
export interface RegisteredController {
  readonly metatype: unknown;
  readonly instance: unknown;
  isDependencyTreeStatic(): boolean;
}

interface JudgedHandler {
  readonly instance: object;
  /** As its class has it. */
  readonly handler: Method;
  readonly written: CheckedMethod;
}

/** Handlers as Nest's router gets them, and what stands in their class. */
const standIns = new WeakMap<object, Method>();

/** The function in the class, whose marks count, of a handler that Nest shows. */
export function handlerInClass<Handler extends object>(handler: Handler): Handler | Method {
  return standIns.get(handler) ?? handler;
}

/**
 * Handlers that Nest's router, and nobody else, runs behind a guard that has judged them by all that is
 * written on them. It gets them without the question who calls; everybody else gets what asks.
 *
 * That is a method of the class itself (no property of the object, no proxy, no other decorator's function
 * around it), of an object that is made once, which its own class does not call.
 */
export class JudgedHandlers {
  readonly #found: readonly JudgedHandler[];

  /** @param isOurs whether a guard decides as `AuthplaneGuard`, and nothing else. */
  constructor(
    modules: Modules,
    globalGuards: readonly unknown[],
    isOurs: (guard: unknown) => boolean,
  ) {
    const isGuardedGlobally = globalGuards.some(isOurs);
    this.#found = routesOf(modules).filter(({ instance, handler, written }) => {
      const { constructor: type } = instance;
      const isGuarded =
        isGuardedGlobally || [type, handler].some((target) => guardsOn(target).some(isOurs));
      return isGuarded && isJudged(modules, type, handler, written) && !callsItself(type, written);
    });
  }

  /** Their classes. Whoever is given an object of one of them may call its methods. */
  get types(): ReadonlySet<unknown> {
    return new Set(this.#found.map(({ instance }) => instance.constructor));
  }

  /** Whether every method that asks for its caller is one of them, so that nobody does. */
  get areAll(): boolean {
    const found = new Set(this.#found.map(({ written }) => written));
    return [...allCheckedMethods()].every(
      (written) => found.has(written) || declaredPolicy(written).isPublic,
    );
  }

  /** Before routes are made. @returns takes them back, to be called when they are there. */
  show(): () => void {
    for (const { instance, handler, written } of this.#found) {
      const value = standInFor(handler, written);
      Object.defineProperty(instance, written.key, { configurable: true, writable: true, value });
    }
    return () => {
      for (const { instance, written } of this.#found)
        Reflect.deleteProperty(instance, written.key);
    };
  }
}

/** All that was noted on the handler, then and later, is inherited. */
function standInFor(handler: Method, { method }: CheckedMethod): Method {
  const standIn: Method = function (...args) {
    return Reflect.apply(method, this, args);
  };
  for (const name of ['name', 'length'] as const) {
    Object.defineProperty(standIn, name, { configurable: true, value: handler[name] });
  }
  standIns.set(standIn, handler);
  return Object.setPrototypeOf(standIn, handler) as Method;
}

/** Methods that ask for their caller, where the object has them from its class and Nest makes a route of them. */
function routesOf(modules: Modules): JudgedHandler[] {
  return [...modules.values()]
    .flatMap(({ controllers }) => [...controllers.values()] as RegisteredController[])
    .flatMap((wrapper) => {
      const { instance } = wrapper;
      if (!wrapper.isDependencyTreeStatic() || !isPlain(wrapper)) return [];
      return [...allCheckedMethods()].flatMap((written) => routeOf(instance as object, written));
    });
}

function routeOf(instance: object, written: CheckedMethod): JudgedHandler[] {
  const { prototype, key } = written;
  if (Object.hasOwn(instance, key) || !Object.hasOwn(prototype, key)) return [];
  const handler: unknown = Reflect.get(prototype, key);
  if (typeof handler !== 'function' || Reflect.get(instance, key) !== handler) return [];
  if (checkedMethodOf(handler) !== written || !isCheckedOnce(written)) return [];
  return isRoute(handler) && !isMcpOperation(handler)
    ? [{ instance, handler: handler as Method, written }]
    : [];
}

/** An object of the class that was registered, without anything in between. */
export function isPlain({ metatype, instance }: RegisteredController): boolean {
  if (typeof metatype !== 'function' || typeof instance !== 'object' || instance === null) {
    return false;
  }
  const { prototype } = metatype as unknown as ClassLike;
  return (
    ![instance, prototype].some((one) => types.isProxy(one)) &&
    Object.getPrototypeOf(instance) === prototype &&
    instance.constructor === metatype
  );
}

/** Where another decorator stands between two marks, its function has the one that asks first inside. */
function isCheckedOnce({ prototype, key }: CheckedMethod): boolean {
  return (
    [...allCheckedMethods()].filter((one) => one.prototype === prototype && one.key === key)
      .length === 1
  );
}

/** By all that is written on the method, and perhaps more. */
function isJudged(
  modules: Modules,
  type: ClassLike & object,
  handler: Method,
  written: CheckedMethod,
): boolean {
  const asked = declaredPolicy(written);
  const judged = policyAt(modules, type, handler);
  return (
    !asked.isPublic &&
    judged !== undefined &&
    !judged.isPublic &&
    (asked.resourceName ?? judged.resourceName) === judged.resourceName &&
    includesNeeds(judged.needs, asked.needs)
  );
}

function policyAt(
  modules: Modules,
  type: ClassLike & object,
  handler: Method,
): HandlerPolicy | undefined {
  try {
    return policyOf(placesOf(modules, type, handler));
  } catch {
    return undefined; // nobody can tell, and the guard refuses
  }
}

function includesNeeds(judged: ScopeNeeds, asked: ScopeNeeds): boolean {
  const groups = new Set(judged.anyOf.map((group) => group.join(' ')));
  return (
    asked.all.every((scope) => judged.all.includes(scope)) &&
    asked.anyOf.every((group) => groups.has(group.join(' '))) &&
    (asked.rules ?? []).every((rule) => judged.rules?.includes(rule) === true)
  );
}

/** Whether a method of the class, or of one that it extends, runs it: that is not what the guard has judged. */
function callsItself(type: object, { key }: CheckedMethod): boolean {
  if (typeof key === 'symbol') return true;
  return [type, ...methodsIn(type)]
    .map((one) => Function.prototype.toString.call(checkedMethodOf(one)?.method ?? one))
    .some((source) => mentions(source, `this.${key}`));
}

function mentions(source: string, member: string): boolean {
  const [, ...rests] = source.split(member);
  return rests.some((rest) => !/^[\w$]/.test(rest));
}

function guardsOn(target: object): readonly unknown[] {
  const guards: unknown = Reflect.getMetadata(GUARDS, target);
  return Array.isArray(guards) ? guards : [];
}
