/** What entries cost besides their number. The weight of a value never changes. */
export interface Weights<V> {
  readonly of: (value: V) => number;
  readonly max: number;
}

const WEIGHTLESS: Weights<unknown> = { of: () => 0, max: 0 };

/**
 * Bounded memory by key, in two generations: when the young one is full it becomes the old one, and
 * what was in that is forgotten; what is used moves back to the young one. Bounded, without the cost
 * of an ordered list.
 */
export class Generations<V> {
  readonly #maxYoung: number;
  readonly #weights: Weights<V>;
  #young = new Map<string, V>();
  #youngWeight = 0;
  #old = new Map<string, V>();

  /**
   * @param maxYoung size of one generation; twice as many entries are kept at most.
   * @param weights bounds what the entries of one generation weigh together, too.
   */
  constructor(maxYoung: number, weights: Weights<V> = WEIGHTLESS) {
    this.#maxYoung = maxYoung;
    this.#weights = weights;
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
    const weight = this.#weights.of(value);
    if (this.#young.size >= this.#maxYoung || this.#youngWeight + weight > this.#weights.max) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngWeight = 0;
    }
    this.delete(key);
    this.#young.set(key, value);
    this.#youngWeight += weight;
  }

  delete(key: string): void {
    const young = this.#young.get(key);
    if (young !== undefined) this.#youngWeight -= this.#weights.of(young);
    this.#young.delete(key);
    this.#old.delete(key);
  }

  /** Each entry once, without counting as use. Entries may be deleted meanwhile. */
  *[Symbol.iterator](): IterableIterator<[string, V]> {
    yield* this.#young;
    yield* this.#old;
  }
}
