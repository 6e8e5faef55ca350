/** A `Map` of a million entries stands still for a tenth of a second when it grows; one of some thousand does not. */
const SHARDS = 64;

/** When keys expire, in seconds since 1970. The keys are hashes, whose last characters are evenly spread. */
export class Expiries {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<string, number>());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): number | undefined {
    return this.#shardOf(key)?.get(key);
  }

  set(key: string, expiry: number): void {
    const shard = this.#shardOf(key);
    if (shard?.has(key) === false) this.#size++;
    shard?.set(key, expiry);
  }

  delete(key: string): void {
    if (this.#shardOf(key)?.delete(key) === true) this.#size--;
  }

  /** Each key once. Keys may be deleted meanwhile. */
  *[Symbol.iterator](): IterableIterator<[string, number]> {
    for (const shard of this.#shards) yield* shard;
  }

  #shardOf(key: string): Map<string, number> | undefined {
    const at = key.length - 1;
    return this.#shards[(key.charCodeAt(at) + 7 * key.charCodeAt(at - 1)) % SHARDS || 0];
  }
}
