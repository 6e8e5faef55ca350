import { node } from '../platform/node.js';
import { sha256 } from '../lib/digest.js';

/** A table of a million entries stands still for a tenth of a second when it grows; one of a thousand does not. */
const SHARDS = 1024;
const FIRST_SLOTS = 8;
/** A table with more entries for each slot is made twice as large. */
const FULLEST = 0.75;

/** 256 bits, in numbers of 32. */
const WORDS = 8;
const HASH_TEXT = /^[\w-]{42}[AEIMQUYcgkosw048]$/;

/** So that nobody can make keys that stand in each other's way. */
let seed: number | undefined;
const SPREAD = 0x9e3779b1; // Fibonacci hashing

const bytes = Buffer.alloc(WORDS * 4);
const words = new Uint32Array(bytes.buffer, bytes.byteOffset, WORDS);

/** What has been forgotten, and what may be next. */
export interface Forgotten {
  readonly count: number;
  /** Latest expiry among those forgotten; `-Infinity` without any. */
  readonly latest: number;
  /** Earliest of those that are left; `Infinity` without any. */
  readonly next: number;
}

/**
 * When keys expire, in seconds since 1970. Keys are SHA-256 in base64url, and kept as bytes outside of the heap: millions
 * of texts would keep the collector busy, and whoever waits for it. Any other text is hashed first.
 */
export class Expiries {
  readonly #tables: (Table | undefined)[] = Array.from({ length: SHARDS });
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): number | undefined {
    const place = placeOf(key);
    return this.#tables[place % SHARDS]?.get(place);
  }

  set(key: string, expiry: number): void {
    const place = placeOf(key);
    const table = (this.#tables[place % SHARDS] ??= new Table());
    if (table.set(place, expiry)) this.#size++;
  }

  /** All that expire before. */
  forgetBefore(seconds: number): Forgotten {
    let [count, latest, next] = [0, -Infinity, Infinity];
    for (const table of this.#tables) {
      if (table === undefined) continue;
      const forgotten = table.forgetBefore(seconds);
      count += forgotten.count;
      latest = Math.max(latest, forgotten.latest);
      next = Math.min(next, forgotten.next);
    }
    this.#size -= count;
    return { count, latest, next };
  }
}

/** Puts the key into `words`, until the next call, and says where to look for it first. */
function placeOf(key: string): number {
  bytes.write(HASH_TEXT.test(key) ? key : sha256(key), 'base64url');
  return spread(words[0] ?? 0, words[1] ?? 0);
}

function spread(first: number, second: number): number {
  seed ??= node.crypto.randomBytes(4).readUInt32LE();
  return Math.imul(Math.imul(first ^ seed, SPREAD) ^ second, SPREAD) >>> 0;
}

/** Open addressing: a key stands in the first free slot from its place on. */
class Table {
  #keys = new Uint32Array(FIRST_SLOTS * WORDS);
  /** `NaN` where the slot is free. */
  #expiries = new Float64Array(FIRST_SLOTS).fill(NaN);
  #size = 0;

  /** Of the key in `words`. */
  get(place: number): number | undefined {
    const expiry = this.#expiries[this.#slotOf(words, 0, place)] ?? NaN;
    return Number.isNaN(expiry) ? undefined : expiry;
  }

  /** For the key in `words`. @returns whether it is a new one. */
  set(place: number, expiry: number): boolean {
    const slot = this.#slotOf(words, 0, place);
    const isNew = Number.isNaN(this.#expiries[slot]);
    this.#keys.set(words, slot * WORDS);
    this.#expiries[slot] = expiry;
    if (!isNew) return false;
    this.#size++;
    if (this.#size > this.#expiries.length * FULLEST) this.#rebuild(2 * this.#expiries.length);
    return true;
  }

  forgetBefore(seconds: number): Forgotten {
    let [count, latest, next] = [0, -Infinity, Infinity];
    for (let slot = 0; slot < this.#expiries.length; slot++) {
      const expiry = this.#expiries[slot] ?? NaN;
      if (expiry >= seconds) next = Math.min(next, expiry);
      if (!(expiry < seconds)) continue;
      this.#expiries[slot] = NaN;
      latest = Math.max(latest, expiry);
      count++;
    }
    // Those that are left may stand behind a gap now.
    if (count > 0) this.#rebuild(this.#expiries.length);
    return { count, latest, next };
  }

  /** Where the key is that stands in `keys` from `at` on, or where it has to go. */
  #slotOf(keys: Uint32Array, at: number, place: number): number {
    const last = this.#expiries.length - 1;
    let slot = Math.floor(place / SHARDS) & last;
    while (!Number.isNaN(this.#expiries[slot]) && !this.#isAt(slot, keys, at)) {
      slot = (slot + 1) & last;
    }
    return slot;
  }

  #isAt(slot: number, keys: Uint32Array, at: number): boolean {
    const own = slot * WORDS;
    for (let i = 0; i < WORDS; i++) if (this.#keys[own + i] !== keys[at + i]) return false;
    return true;
  }

  #rebuild(slots: number): void {
    const [keys, expiries] = [this.#keys, this.#expiries];
    this.#keys = new Uint32Array(slots * WORDS);
    this.#expiries = new Float64Array(slots).fill(NaN);
    this.#size = 0;
    for (let old = 0; old < expiries.length; old++) {
      const expiry = expiries[old] ?? NaN;
      if (Number.isNaN(expiry)) continue;
      const at = old * WORDS;
      const slot = this.#slotOf(keys, at, spread(keys[at] ?? 0, keys[at + 1] ?? 0));
      for (let i = 0; i < WORDS; i++) this.#keys[slot * WORDS + i] = keys[at + i] ?? 0;
      this.#expiries[slot] = expiry;
      this.#size++;
    }
  }
}
