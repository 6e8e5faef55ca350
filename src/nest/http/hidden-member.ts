/** Makes of its argument what `this` is in a class that extends it. */
const Given = function (target: object) {
  return target;
} as unknown as new (target: object) => object;

/** A member of objects that are not ours, which nobody else sees: in no listing, copy or print of them. */
export interface HiddenMember<Value> {
  get(target: object): Value | undefined;
  set(target: object, value: Value): void;
}

/**
 * For what is set on each request and lives as long: unlike an entry of a `WeakMap` it costs the garbage
 * collector nothing.
 */
export function hiddenMember<Value>(): HiddenMember<Value> {
  return class Hidden extends Given {
    #value: Value;

    private constructor(target: object, value: Value) {
      super(target);
      this.#value = value;
    }

    static get(target: object): Value | undefined {
      return #value in target ? target.#value : undefined;
    }

    static set(target: object, value: Value): void {
      if (#value in target) target.#value = value;
      else new Hidden(target, value);
    }
  };
}
