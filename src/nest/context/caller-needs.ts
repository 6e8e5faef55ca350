import { LazyModuleLoader, ModuleRef } from '@nestjs/core';
import { isAuthplaneGuard } from '../marks/handler-marks.js';
import { HOST_LIBRARIES } from '../mcp/hosts/mcp-hosts.js';
import type { Modules } from '../mcp/hosts/mcp-discovery.js';
import { Unasked } from './lookups.js';

/** What is used of Nest's `InstanceWrapper`, which is part of no public interface. */
interface Wrapper {
  readonly metatype: unknown;
  readonly inject?: readonly unknown[] | null | undefined;
}

/** Where Nest notes what a class is given; part of no public interface. */
const PARAMETERS = 'design:paramtypes';
const NAMED_PARAMETERS = 'self:paramtypes';
const PROPERTIES = 'self:properties_metadata';

/** Who has one of these can find any provider when the application has started. */
const FINDING: readonly unknown[] = [ModuleRef, LazyModuleLoader];

/** A provider that tells who is calling whatever runs. */
export type Telling = abstract new (...args: never[]) => object;

/**
 * Whether something in the application may ask who is calling without the request in its hands: an
 * `AuthContext` that is injected anywhere, an MCP library, whatever can look providers up by itself. The
 * asynchronous call then has to carry the caller, which costs every promise of the process something.
 *
 * @param telling what tells, and is provided by the module.
 * @param judged controllers whose methods are judged for Nest's router only.
 */
export function asksForCallers(
  modules: Modules,
  telling: readonly Telling[],
  judged: ReadonlySet<unknown>,
): boolean {
  const tokens = new Set<unknown>([...telling, ...FINDING, ...judged]);
  if (HOST_LIBRARIES.some((library) => library.isThere(modules))) return true;
  return wrappersOf(modules).some(
    (wrapper) =>
      extendsOne(wrapper, telling) || dependenciesOf(wrapper).some((token) => tokens.has(token)),
  );
}

/** Whether this middleware is applied or injected somewhere. */
export function isUsed(modules: Modules, middleware: Telling): boolean {
  return (
    [...modules.values()].some(({ middlewares }) =>
      [...middlewares.values()].some(({ metatype }) => metatype === middleware),
    ) ||
    wrappersOf(modules).some(
      (wrapper) =>
        extendsOne(wrapper, [middleware]) || dependenciesOf(wrapper).includes(middleware),
    )
  );
}

/** Whether somebody besides the module itself is given its guard, and may ask it. */
export function isTaken(modules: Modules, guard: Telling): boolean {
  const others = [...modules.values()].filter(({ providers }) => !providers.has(Unasked));
  return wrappersOf({ values: () => others.values() }).some((wrapper) =>
    dependenciesOf(wrapper).includes(guard),
  );
}

function wrappersOf(modules: Modules): Wrapper[] {
  return [...modules.values()].flatMap(({ providers, controllers, injectables, middlewares }) => [
    ...providers.values(),
    ...controllers.values(),
    ...injectables.values(),
    ...middlewares.values(),
  ]);
}

/** A class of the application's own, which it has a reason for. */
function extendsOne({ metatype }: Wrapper, telling: readonly Telling[]): boolean {
  return typeof metatype === 'function' && telling.some((one) => metatype.prototype instanceof one);
}

function dependenciesOf({ metatype, inject }: Wrapper): unknown[] {
  if (inject) return inject.map(tokenOf);
  if (typeof metatype !== 'function') return [];
  const properties = listAt<{ readonly type: unknown }>(PROPERTIES, metatype);
  return [...parametersOf(metatype), ...properties.map(({ type }) => type)].map(tokenOf);
}

/** Those of `AuthplaneGuard` itself are not the application's, which may extend it. */
function parametersOf(metatype: object): unknown[] {
  if (isAuthplaneGuard(metatype) && isNoConstructorOfTheApplication(metatype)) return [];
  const named = listAt<{ readonly param: unknown }>(NAMED_PARAMETERS, metatype);
  return [...listAt(PARAMETERS, metatype), ...named.map(({ param }) => param)];
}

function isNoConstructorOfTheApplication(metatype: object): boolean {
  const parent: unknown = Object.getPrototypeOf(metatype);
  return parent === Function.prototype || !Reflect.hasOwnMetadata(PARAMETERS, metatype);
}

function listAt<Entry = unknown>(key: string, target: object): readonly Entry[] {
  return (Reflect.getMetadata(key, target) as readonly Entry[] | undefined) ?? [];
}

/** `forwardRef(() => token)`, and an optional dependency of a factory. */
function tokenOf(dependency: unknown): unknown {
  if (typeof dependency !== 'object' || dependency === null) return dependency;
  if ('forwardRef' in dependency && typeof dependency.forwardRef === 'function') {
    return (dependency.forwardRef as () => unknown)();
  }
  return 'token' in dependency ? dependency.token : dependency;
}
