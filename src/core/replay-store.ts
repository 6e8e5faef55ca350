import { type Clock, systemClock } from './clock.js';
import { within } from './deadline.js';
import {
  AuthplaneError,
  type AuthplaneErrorOptions,
  ConfigurationError,
  DPoPReplayDetectedError,
} from './errors.js';

/**
 * Memory of used proofs (RFC 9449 §11.1). All processes that serve one resource must share it.
 */
export interface DPoPReplayStore {
  /**
   * Whether the key is seen for the first time, and remembers it: one atomic step. `true` on first
   * sight only; a store that cannot tell throws.
   *
   * @param key a hash; says nothing about the proof.
   * @param expiresAtSeconds seconds since 1970; the key must be remembered until then, longer is fine.
   */
  checkAndStore(key: string, expiresAtSeconds: number): Promise<boolean> | boolean;
}

export interface ReplayStoreErrorOptions extends AuthplaneErrorOptions {
  /** When a further attempt makes sense (seconds, at least 1). Default 5. */
  readonly retryAfterSeconds?: number;
}

/** The replay store is away, slow, full or unsure: nobody can tell whether a proof is new. */
export class ReplayStoreError extends AuthplaneError {
  readonly code = 'replay_store_unavailable';
  readonly retryAfterSeconds: number;

  constructor(message: string, options?: ReplayStoreErrorOptions) {
    super(message, options);
    this.retryAfterSeconds = Math.max(1, Math.ceil(options?.retryAfterSeconds ?? 5));
  }
}

/** How long a store may take to answer. */
export const REPLAY_DEADLINE_MS = 250;

export interface ReplayCheckOptions {
  /** How long the store may take. Default 250 ms. */
  readonly deadlineMs?: number;
}

/**
 * Asks the store, and refuses unless it says in time that the proof is new.
 *
 * @throws DPoPReplayDetectedError when the proof was used before.
 * @throws ReplayStoreError when the store fails, takes too long or answers anything but a boolean.
 */
export async function checkReplay(
  store: DPoPReplayStore,
  key: string,
  expiresAtSeconds: number,
  { deadlineMs = REPLAY_DEADLINE_MS }: ReplayCheckOptions = {},
): Promise<void> {
  const first: unknown = await within(
    deadlineMs,
    () => store.checkAndStore(key, expiresAtSeconds),
    () => new ReplayStoreError(`the replay store gave no answer within ${deadlineMs} ms`),
  ).catch((cause: unknown) => {
    if (cause instanceof ReplayStoreError) throw cause;
    throw new ReplayStoreError('the replay store failed', { cause });
  });
  if (first === false) throw new DPoPReplayDetectedError('the DPoP proof was used before');
  if (first !== true) throw new ReplayStoreError('the replay store gave no yes or no');
}

export interface InMemoryDPoPReplayStoreOptions {
  /** Bound on remembered keys. Default 1 000 000, about 110 MB. A full store refuses, see below. */
  readonly maxEntries?: number;
  /** Source of time, for tests. */
  readonly clock?: Clock;
}

/** Keys that expire within the same stretch of time, and are forgotten together. */
interface Generation {
  readonly endsAt: number;
  readonly expiries: Map<string, number>;
  lastExpiry: number;
}

const GENERATION_SECONDS = 120;
/** A flood at a full store must not cost a scan for each request. */
const SWEEP_PAUSE_SECONDS = 1;

/**
 * Replay memory of one process. With several processes a proof could be used once in each: share a
 * store instead (`authplane-nestjs/redis`).
 *
 * Bounded, and never forgets a live entry: when it is full of them it throws {@link ReplayStoreError}.
 * Whole generations are dropped after their last entry has expired; single entries are looked for only
 * when room is needed. When the clock is set back to before an entry that has been dropped, the store
 * cannot tell and throws too.
 */
export class InMemoryDPoPReplayStore implements DPoPReplayStore {
  readonly #maxEntries: number;
  readonly #clock: Clock;
  readonly #generations = new Map<number, Generation>();
  #size = 0;
  /** Latest expiry among the entries dropped so far. */
  #forgottenUntil = Number.NEGATIVE_INFINITY;
  #sweptAt = Number.NEGATIVE_INFINITY;
  /** When an entry may expire next. */
  #nextExpiry = Infinity;

  constructor({
    maxEntries = 1_000_000,
    clock = systemClock,
  }: InMemoryDPoPReplayStoreOptions = {}) {
    if (!Number.isInteger(maxEntries) || maxEntries < 1) {
      throw new ConfigurationError('maxEntries of the replay store must be a whole number above 0');
    }
    this.#maxEntries = maxEntries;
    this.#clock = clock;
  }

  /** Keys in memory that have not expired. */
  get size(): number {
    this.#sweep(this.#clock.now());
    return this.#size;
  }

  /** @throws ReplayStoreError when the store is full, or the clock was set back too far. */
  async checkAndStore(key: string, expiresAtSeconds: number): Promise<boolean> {
    if (!Number.isFinite(expiresAtSeconds)) {
      throw new ReplayStoreError('a replay entry needs a finite expiry');
    }
    const now = this.#clock.now();
    this.#dropExpired(now);
    if (this.#holds(key, now)) return false;
    if (expiresAtSeconds < now) {
      // Nothing to remember, unless the clock is set back to before that time.
      this.#forgot(expiresAtSeconds);
      return true;
    }
    if (expiresAtSeconds <= this.#forgottenUntil) {
      throw new ReplayStoreError('the clock was set back to before entries that were dropped');
    }
    this.#requireRoom(now);
    this.#put(key, expiresAtSeconds);
    return true;
  }

  #requireRoom(now: number): void {
    if (this.#size < this.#maxEntries) return;
    if (Math.abs(now - this.#sweptAt) >= SWEEP_PAUSE_SECONDS) this.#sweep(now);
    if (this.#size < this.#maxEntries) return;
    throw new ReplayStoreError('the replay store is full; raise maxEntries or share a store', {
      retryAfterSeconds: this.#nextExpiry - now,
    });
  }

  #holds(key: string, now: number): boolean {
    for (const { expiries } of this.#generations.values()) {
      const expiry = expiries.get(key);
      if (expiry !== undefined && expiry >= now) return true;
    }
    return false;
  }

  #put(key: string, expiry: number): void {
    const index = Math.floor(expiry / GENERATION_SECONDS);
    const generation = this.#generations.get(index) ?? {
      endsAt: (index + 1) * GENERATION_SECONDS,
      expiries: new Map<string, number>(),
      lastExpiry: expiry,
    };
    this.#generations.set(index, generation);
    if (!generation.expiries.has(key)) this.#size++;
    generation.expiries.set(key, expiry);
    generation.lastExpiry = Math.max(generation.lastExpiry, expiry);
    this.#nextExpiry = Math.min(this.#nextExpiry, expiry);
  }

  #dropExpired(now: number): void {
    for (const [index, { endsAt, expiries, lastExpiry }] of this.#generations) {
      if (endsAt > now) continue;
      this.#generations.delete(index);
      this.#size -= expiries.size;
      this.#forgot(lastExpiry);
    }
  }

  /** Looks at the earliest generation only: entries of a later one are alive. */
  #sweep(now: number): void {
    this.#dropExpired(now);
    this.#sweptAt = now;
    this.#nextExpiry = Infinity;
    const first = Math.min(...this.#generations.keys());
    const expiries = this.#generations.get(first)?.expiries ?? new Map<string, number>();
    for (const [key, expiry] of expiries) {
      if (expiry >= now) {
        this.#nextExpiry = Math.min(this.#nextExpiry, expiry);
      } else {
        expiries.delete(key);
        this.#size--;
        this.#forgot(expiry);
      }
    }
    if (expiries.size === 0) this.#generations.delete(first);
  }

  #forgot(expiry: number): void {
    this.#forgottenUntil = Math.max(this.#forgottenUntil, expiry);
  }
}
