/** What is kept; the memory itself notes whether it was asked for. */
export interface Kept {
  isUsed: boolean;
  /** What it costs besides its number; never changes. */
  readonly weight: number;
}

/** One insertion looks at no more entries than so: what comes then is forgotten, used or not. */
const MOST_CHANCES = 16;

/**
 * Bounded memory by key. What was put in first is forgotten first, but for what was asked for since: that
 * goes to the end of the queue. So many entries as it may hold can be asked for in turn for ever.
 */
export class SecondChance<V extends Kept> {
  readonly #maxEntries: number;
  readonly #maxWeight: number;
  readonly #entries = new Map<string, V>();
  /** Kept, because a new one would walk over all places that were deleted. */
  #oldest = this.#entries.keys();
  #weight = 0;

  constructor(maxEntries: number, maxWeight = Infinity) {
    this.#maxEntries = maxEntries;
    this.#maxWeight = maxWeight;
  }

  /** Entries in memory. */
  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.isUsed = true;
    return entry;
  }

  set(key: string, entry: V): void {
    this.delete(key);
    if (this.#maxEntries === 0 || entry.weight > this.#maxWeight) return;
    this.#makeRoom(entry.weight);
    this.#entries.set(key, entry);
    this.#weight += entry.weight;
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
  }

  /** Each entry once, without counting as use. Entries may be deleted meanwhile. */
  [Symbol.iterator](): IterableIterator<[string, V]> {
    return this.#entries.entries();
  }

  #makeRoom(weight: number): void {
    let chances = MOST_CHANCES;
    while (this.#entries.size >= this.#maxEntries || this.#weight + weight > this.#maxWeight) {
      const key = this.#nextOldest();
      const entry = this.#entries.get(key);
      this.#entries.delete(key);
      if (entry?.isUsed === true && chances-- > 0) {
        entry.isUsed = false;
        this.#entries.set(key, entry);
      } else {
        this.#weight -= entry?.weight ?? 0;
      }
    }
  }

  /** Of a memory that is not empty. */
  #nextOldest(): string {
    const next = this.#oldest.next();
    if (next.done !== true) return next.value;
    this.#oldest = this.#entries.keys();
    return this.#oldest.next().value ?? '';
  }
}
