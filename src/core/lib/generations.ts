/** What entries can be found by besides their key, such as what they were made of. */
export type TagsOf<V> = (value: V) => readonly string[];

interface GenerationOptions<V> {
  /** Bounds what the entries of one generation weigh together, too. */
  readonly weights?: Weights<V>;
  /** The tags of a value never change. */
  readonly tags?: TagsOf<V>;
}

/** What entries cost besides their number. The weight of a value never changes. */
export interface Weights<V> {
  readonly of: (value: V) => number;
  readonly max: number;
}

const WEIGHTLESS: Weights<unknown> = { of: () => 0, max: 0 };
const UNTAGGED: TagsOf<unknown> = () => [];

/** Tag to keys, for one generation: nearly always one, which needs no set. */
class TagIndex {
  readonly #keys = new Map<string, string | Set<string>>();

  add(key: string, tags: readonly string[]): void {
    for (const tag of tags) {
      const keys = this.#keys.get(tag);
      if (keys === undefined) this.#keys.set(tag, key);
      else if (typeof keys === 'string') this.#keys.set(tag, new Set([keys, key]));
      else keys.add(key);
    }
  }

  remove(key: string, tags: readonly string[]): void {
    for (const tag of tags) {
      const keys = this.#keys.get(tag);
      if (typeof keys !== 'string') keys?.delete(key);
      if (keys === key || (typeof keys !== 'string' && keys?.size === 0)) this.#keys.delete(tag);
    }
  }

  keysOf(tag: string): Iterable<string> {
    const keys = this.#keys.get(tag) ?? [];
    return typeof keys === 'string' ? [keys] : keys;
  }
}

/**
 * Bounded memory by key, in two generations: when the young one is full it becomes the old one, and
 * what was in that is forgotten; what is used moves back to the young one. Bounded, without the cost
 * of an ordered list.
 */
export class Generations<V> {
  readonly #maxYoung: number;
  readonly #weights: Weights<V>;
  readonly #tags: TagsOf<V>;
  #young = new Map<string, V>();
  #youngWeight = 0;
  #youngTags = new TagIndex();
  #old = new Map<string, V>();
  #oldTags = new TagIndex();

  /** @param maxYoung size of one generation; twice as many entries are kept at most. */
  constructor(
    maxYoung: number,
    { weights = WEIGHTLESS, tags = UNTAGGED }: GenerationOptions<V> = {},
  ) {
    this.#maxYoung = maxYoung;
    this.#weights = weights;
    this.#tags = tags;
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
      this.#oldTags = this.#youngTags;
      this.#youngTags = new TagIndex();
    }
    this.delete(key);
    this.#young.set(key, value);
    this.#youngWeight += weight;
    this.#youngTags.add(key, this.#tags(value));
  }

  delete(key: string): void {
    const young = this.#young.get(key);
    if (young !== undefined) {
      this.#youngWeight -= this.#weights.of(young);
      this.#young.delete(key);
      this.#youngTags.remove(key, this.#tags(young));
    }
    const old = this.#old.get(key);
    if (old === undefined) return;
    this.#old.delete(key);
    this.#oldTags.remove(key, this.#tags(old));
  }

  /** Keys of all entries with this tag, without counting as use. */
  tagged(tag: string): string[] {
    return [...this.#youngTags.keysOf(tag), ...this.#oldTags.keysOf(tag)];
  }

  /** An entry, without counting as use. */
  peek(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** Each entry once, without counting as use. Entries may be deleted meanwhile. */
  *[Symbol.iterator](): IterableIterator<[string, V]> {
    yield* this.#young;
    yield* this.#old;
  }
}
