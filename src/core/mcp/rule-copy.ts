import { node } from '../platform/node.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { InvalidRequestError } from '../errors/request-errors.js';

/** Objects in objects: far more than arguments have, far less than the stack holds. */
const MAX_DEPTH = 500;

/**
 * What a function of the application is asked about: a copy, so that what runs is what was judged, whatever
 * the function does with it, and however much later.
 *
 * Objects, lists, dates, maps, sets, bytes and URLs are copied. An instance of another class gets a copy of
 * the same class whose members are copied when they are read, because they may lead anywhere; what it keeps
 * outside of them (`#members`, internal slots) is not there, and its methods that need it throw. Functions
 * among the values may know what they belong to; those that stand for them throw.
 *
 * @throws InvalidRequestError for what is nested too deeply, or cannot be read.
 */
export function copyForRule<T>(value: T): T {
  try {
    return new Copies().of(value) as T;
  } catch (cause) {
    if (cause instanceof InvalidRequestError) throw cause;
    throw new InvalidRequestError('arguments that cannot be copied for a rule', { cause });
  }
}

class Copies {
  /** By what they are copies of, which may stand in several places, itself included. */
  readonly #known = new Map<object, object>();

  of(value: unknown, depth = 0): unknown {
    if (typeof value === 'function') return notForRules;
    if (typeof value !== 'object' || value === null) return value;
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    if (depth > MAX_DEPTH) {
      throw new InvalidRequestError('arguments that are nested too deeply for a rule to look at');
    }
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === Array.prototype) return this.#list(value as unknown[], depth);
    if (prototype === Object.prototype || prototype === null) {
      return this.#plain(value, prototype, depth);
    }
    return this.#instance(value, prototype, depth);
  }

  #list(value: readonly unknown[], depth: number): unknown[] {
    const copy: unknown[] = [];
    this.#known.set(value, copy);
    for (const entry of value) copy.push(this.of(entry, depth + 1));
    return copy;
  }

  #plain(value: object, prototype: object | null, depth: number): object {
    const copy = Object.create(prototype) as Record<string | symbol, unknown>;
    this.#known.set(value, copy);
    for (const key of Reflect.ownKeys(value)) {
      const member = this.of(Reflect.get(value, key), depth + 1);
      if (key === '__proto__') Object.defineProperty(copy, key, ownMember(member));
      else copy[key] = member;
    }
    return copy;
  }

  #instance(value: object, prototype: object, depth: number): object {
    const isOfClass = prototypeOf(Reflect.get(value, 'constructor')) === prototype;
    const copy = this.#content(value, depth) ?? (Object.create(prototype) as object);
    this.#known.set(value, copy);
    const own = isOfClass ? prototype : (this.of(prototype, depth + 1) as object);
    if (Object.getPrototypeOf(copy) !== own) Object.setPrototypeOf(copy, own);
    if (node.util.types.isTypedArray(value)) return copy;
    for (const key of Reflect.ownKeys(value)) {
      if (Object.hasOwn(copy, key)) continue;
      const isItsClass = key === 'constructor' && isOfClass;
      if (isItsClass) Object.defineProperty(copy, key, ownMember(value.constructor));
      else this.#copyOnceRead(value, key, copy);
    }
    return copy;
  }

  /** What has something in it besides members. */
  #content(value: object, depth: number): object | undefined {
    if (Array.isArray(value)) return this.#list(value, depth);
    if (node.util.types.isMap(value)) return this.#map(value, depth);
    if (node.util.types.isSet(value)) return this.#set(value, depth);
    if (node.util.types.isDate(value)) return new Date(value.getTime());
    if (node.util.types.isRegExp(value)) return structuredClone(value);
    if (node.util.types.isTypedArray(value)) return bytesOf.call(value);
    if (node.util.types.isAnyArrayBuffer(value)) return value.slice(0);
    if (value instanceof URL) return new URL(value);
    if (value instanceof URLSearchParams) return new URLSearchParams(value);
    return undefined;
  }

  #map(value: ReadonlyMap<unknown, unknown>, depth: number): Map<unknown, unknown> {
    const copy = new Map<unknown, unknown>();
    this.#known.set(value, copy);
    for (const [key, entry] of value) copy.set(this.of(key, depth + 1), this.of(entry, depth + 1));
    return copy;
  }

  #set(value: ReadonlySet<unknown>, depth: number): Set<unknown> {
    const copy = new Set<unknown>();
    this.#known.set(value, copy);
    for (const entry of value) copy.add(this.of(entry, depth + 1));
    return copy;
  }

  #copyOnceRead(value: object, key: string | symbol, copy: object): void {
    Object.defineProperty(copy, key, {
      get: () => this.of(Reflect.get(value, key)),
      set: (member: unknown) => Object.defineProperty(copy, key, ownMember(member)),
      enumerable: Object.prototype.propertyIsEnumerable.call(value, key),
      configurable: true,
    });
  }
}

/** A copy; `slice` of a `Buffer` would be none. */
const { slice: bytesOf } = Object.getPrototypeOf(Uint8Array.prototype) as {
  slice: (this: ArrayBufferView) => ArrayBufferView;
};

/** Of a class. A prototype that is none of a class is an object like any other. */
function prototypeOf(type: unknown): unknown {
  return typeof type === 'function' ? type.prototype : undefined;
}

function ownMember(value: unknown): PropertyDescriptor {
  return { value, writable: true, enumerable: true, configurable: true };
}

const notForRules = Object.freeze((): never => {
  throw new ConfigurationError(
    'a scope rule called a function that stands among the arguments, which could change them: have the ' +
      'schema give values, or methods of a class',
  );
});
