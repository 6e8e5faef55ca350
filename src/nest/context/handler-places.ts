import type { ModulesContainer } from '@nestjs/core';
import { ConfigurationError } from '../../core/errors/configuration-error.js';
import {
  type ClassLike,
  GUARDS,
  type HandlerPlaces,
  hasAuthplaneGuard,
  keysOf,
  markedKeys,
} from '../marks/handler-marks.js';
import { checkGuardedMethodsOf } from './method-check.js';

type Modules = Pick<ModulesContainer, 'values'>;

/** What is used of Nest's `InstanceWrapper`, which is part of no public interface. */
interface Registered {
  readonly metatype: unknown;
  readonly instance: unknown;
}

/**
 * Where the marks of a handler may stand. Nest shows guards `instance[key]` and `instance.constructor`;
 * marks stand on the method of the prototype and on the class that was registered. A constructor may
 * have replaced the one (`this.get = this.get.bind(this)`), a class decorator the other.
 *
 * @throws ConfigurationError when nobody can tell which method it is, and another one of the class is
 * marked: the handler may be that one.
 */
export function placesOf(
  modules: Modules,
  controller: object,
  handler: { readonly name: string },
): HandlerPlaces {
  const registered = registeredAs(modules, controller);
  const classes = [...new Set([controller, ...registered.map(({ metatype }) => metatype)])].filter(
    isClass,
  );
  const inPrototypes = classes.flatMap((type) => keysOf(type, handler));
  const keys =
    inPrototypes.length > 0
      ? inPrototypes
      : registered.flatMap(({ instance }) => keysOnInstance(instance, handler));
  if (keys.length === 0 && classes.some((type) => markedKeys(type).length > 0)) {
    throw new ConfigurationError(unknownHandler(nameOf(controller), handler.name));
  }
  return { handler, classes, keys };
}

/**
 * Before routes are made: gives guards that stand on a method back to the function that Nest will look
 * at, and refuses what nobody could guard.
 *
 * @throws ConfigurationError when the function of a marked method is another one at each look.
 */
export function restoreGuards(modules: Modules): void {
  for (const { controllers } of modules.values()) {
    for (const { metatype, instance } of controllers.values() as Iterable<Registered>) {
      if (typeof instance !== 'object' || instance === null || !isClass(metatype)) continue;
      restoreClassGuards(metatype, instance.constructor);
      for (const key of methodNames(instance)) restoreMethodGuards(instance, key);
      checkGuardedMethodsOf(metatype);
    }
  }
}

function restoreClassGuards(registered: object, shown: object): void {
  if (registered === shown || !hasAuthplaneGuard(registered) || hasAuthplaneGuard(shown)) return;
  copyGuards(registered, shown);
}

function restoreMethodGuards(instance: object, key: string): void {
  const method = memberOf(Object.getPrototypeOf(instance), key);
  const shown = memberOf(instance, key);
  if (method === undefined || shown === undefined || method === shown) return;
  if (markedKeys(instance.constructor).length > 0 && memberOf(instance, key) !== shown) {
    throw new ConfigurationError(unknownHandler(instance.constructor.name, key));
  }
  if (hasAuthplaneGuard(method) && !hasAuthplaneGuard(shown)) copyGuards(method, shown);
}

function copyGuards(from: object, to: object): void {
  const others = (Reflect.getMetadata(GUARDS, to) as unknown[] | undefined) ?? [];
  const guards = Reflect.getMetadata(GUARDS, from) as unknown[];
  Reflect.defineMetadata(GUARDS, [...guards, ...others], to);
}

/** In whatever module, as whatever class. */
function registeredAs(modules: Modules, controller: object): Registered[] {
  return [...modules.values()]
    .flatMap(({ controllers, providers }) => [...controllers.values(), ...providers.values()])
    .filter((wrapper: Registered) => wrapper.metatype === controller || isOf(wrapper, controller));
}

function isOf({ instance }: Registered, controller: object): boolean {
  return (
    typeof instance === 'object' && instance !== null && constructorOf(instance) === controller
  );
}

function constructorOf(instance: object): unknown {
  try {
    return instance.constructor;
  } catch {
    return undefined; // a proxy that objects
  }
}

function keysOnInstance(instance: unknown, handler: unknown): string[] {
  if (typeof instance !== 'object' || instance === null) return [];
  return methodNames(instance).filter((key) => memberOf(instance, key) === handler);
}

function methodNames(instance: object): string[] {
  const names = new Set<string>();
  let prototype: unknown = Object.getPrototypeOf(instance);
  while (typeof prototype === 'object' && prototype !== null && prototype !== Object.prototype) {
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
      if (name !== 'constructor' && typeof descriptor?.value === 'function') names.add(name);
    }
    prototype = Object.getPrototypeOf(prototype);
  }
  return [...names];
}

function memberOf(target: unknown, key: string): object | undefined {
  const value: unknown = Reflect.get(target as object, key);
  return typeof value === 'function' ? value : undefined;
}

function isClass(value: unknown): value is ClassLike & object {
  return typeof value === 'function' && typeof value.prototype === 'object';
}

function nameOf(controller: object): string {
  return (controller as ClassLike).name;
}

function unknownHandler(className: string, method: string): string {
  return (
    `nobody can tell which method of ${className} the handler "${method}" is: its function is none of ` +
    `the class, and other methods there carry @Scopes, @AnyScope, @UseResource or a guard. Do not ` +
    `replace methods in the constructor (bind, a proxy); wrap them with a method decorator or an interceptor`
  );
}
