/**
 * Bounded memory by key, in two generations: when the young one is full it becomes the old one, and
 * what was in that is forgotten; what is used moves back to the young one. Bounded, without the cost
 * of an ordered list.
 */
export class Generations<V> {
  readonly #maxYoung: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  /** @param maxYoung size of one generation; twice as many entries are kept at most. */
  constructor(maxYoung: number) {
    this.#maxYoung = maxYoung;
  }

  /** Entries in memory. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  isYoung(key: string): boolean {
    return this.#young.has(key);
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#maxYoung) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#old.delete(key);
    this.#young.set(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  /** Each entry once, without counting as use. Entries may be deleted meanwhile. */
  *[Symbol.iterator](): IterableIterator<[string, V]> {
    yield* this.#young;
    yield* this.#old;
  }
}
