/** Members of objects from outside: own ones only, whatever a prototype has. */

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return isObject(value) && !Array.isArray(value);
}

/** The own member of that name. An absent one is `undefined`, also for names like `constructor`. */
export function member(object: object, name: string | number): unknown {
  const value = (object as Record<string, unknown>)[name];
  return value === undefined || Object.hasOwn(object, name) ? value : undefined; // most are not there
}

/**
 * What `target.name = (…) => …` does. That would put the function among what lives for long, where V8 looks
 * rarely, and with it all that it sees: the whole request that it was made for.
 */
export function putMember<Target extends object, Name extends keyof Target>(
  target: Target,
  name: Name,
  value: Target[Name],
): void {
  target[name] = value;
}

/** {@link member} of what may be no object at all. */
export function memberOf(value: unknown, name: string): unknown {
  return isObject(value) ? member(value, name) : undefined;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
