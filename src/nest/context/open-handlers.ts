import type { ApplicationConfig } from '@nestjs/core';
import { NO_SCOPES } from '../../core/lib/scopes.js';
import { isRoute } from '../http/routes.js';
import { GUARDS, handlerPolicy, type Method, methodsIn } from '../marks/handler-marks.js';
import type { Modules } from '../mcp/hosts/mcp-discovery.js';
import { isMcpOperation } from '../mcp/hosts/mcp-hosts.js';
import { isPlain, type RegisteredController } from './judged-handlers.js';
import { checkedMethodOf } from './method-check.js';

type GlobalGuards = Pick<ApplicationConfig, 'getGlobalGuards' | 'getGlobalRequestGuards'>;

/** The classes that have a handler. */
type Owners = readonly object[];

/**
 * Handlers that Nest's router runs without any guard: one of the application's own might ask ours. The router makes a
 * function of its own for each, with all that is noted on the handler; by a note of this it is known again.
 *
 * That is a method of objects that are made once, with nothing in between, on which nothing of ours is
 * written. What guards there are is read when its route is made, as Nest does; later ones guard no route that stands.
 */
export class OpenHandlers {
  readonly #note = Symbol('authplane-nestjs:open');
  readonly #config: GlobalGuards;
  readonly #found: ReadonlyMap<Method, Owners>;

  constructor(modules: Modules, config: GlobalGuards) {
    this.#config = config;
    this.#found = foundIn(modules);
  }

  /** Before routes are made. @returns takes the notes back, to be called when they are there. */
  show(): () => void {
    for (const [handler, owners] of this.#found) {
      Reflect.defineMetadata(this.#note, owners, handler);
    }
    return () => {
      for (const handler of this.#found.keys()) Reflect.deleteMetadata(this.#note, handler);
    };
  }

  /** Of a function that Nest's router has made, when it hands it to the platform. */
  isOpen(route: object): boolean {
    const owners = Reflect.getOwnMetadata(this.#note, route) as Owners | undefined;
    if (owners === undefined || [route, ...owners].some(hasGuards)) return false;
    const config = this.#config;
    return config.getGlobalGuards().length + config.getGlobalRequestGuards().length === 0;
  }
}

/** A handler of several classes, by inheritance, is open where it is in all of them. */
function foundIn(modules: Modules): ReadonlyMap<Method, Owners> {
  const found = new Map<Method, Owners>();
  const others = new Set<Method>();
  const controllers = [...modules.values()].flatMap(
    (module) => [...module.controllers.values()] as RegisteredController[],
  );
  for (const wrapper of controllers) {
    const isSingle = wrapper.isDependencyTreeStatic() && isPlain(wrapper);
    for (const type of classesOf(wrapper)) {
      for (const handler of methodsIn(type).filter(isRoute)) {
        found.set(handler, [...(found.get(handler) ?? []), type]);
        if (!isSingle || !isUnmarked(type, handler)) others.add(handler);
      }
    }
  }
  for (const handler of others) found.delete(handler);
  return found;
}

/** As it was registered, and as Nest shows it to guards. */
function classesOf({ metatype, instance }: RegisteredController): Set<object> {
  const shown: unknown = (instance as object | null | undefined)?.constructor;
  return new Set([metatype, shown].filter((one): one is Method => typeof one === 'function'));
}

function isUnmarked(type: object, handler: Method): boolean {
  const { needs, resourceName, isMcpEndpoint } = handlerPolicy(type, handler);
  const isMarked = needs !== NO_SCOPES || resourceName !== undefined || isMcpEndpoint;
  return !isMarked && checkedMethodOf(handler) === undefined && !isMcpOperation(handler);
}

function hasGuards(target: object): boolean {
  const guards: unknown = Reflect.getMetadata(GUARDS, target);
  return guards !== undefined && !(Array.isArray(guards) && guards.length === 0);
}
