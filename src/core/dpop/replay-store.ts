import { Expiries } from './expiries.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { type Eventually, within } from '../lib/deadline.js';
import { AuthplaneError, type AuthplaneErrorOptions } from '../errors/authplane-error.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { DPoPReplayDetectedError } from '../errors/dpop-errors.js';

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
   * A store that finds it past already cannot remember it, and throws.
   * @param proofKey thumbprint of the key that signed the proof, always the same for one `key`. For
   * stores that bound what one caller may fill; others leave it out.
   */
  checkAndStore(
    key: string,
    expiresAtSeconds: number,
    proofKey?: string,
  ): Promise<boolean> | boolean;
}

/** Options of {@link ReplayStoreError}. */
export interface ReplayStoreErrorOptions extends AuthplaneErrorOptions {
  /** When a further attempt makes sense (seconds, at least 1). Default 5. */
  readonly retryAfterSeconds?: number;
}

/** The replay store is away, slow, full or unsure: nobody can tell whether a proof is new. */
export class ReplayStoreError extends AuthplaneError {
  readonly code = 'replay_store_unavailable';
  /** When a further attempt makes sense: whole seconds, at least 1. Becomes `Retry-After`. */
  readonly retryAfterSeconds: number;

  /** For stores of your own. The message is for operators and must not quote a key. */
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
  /** See {@link DPoPReplayStore.checkAndStore}. */
  readonly proofKey?: string;
}

/**
 * Asks the store, and refuses unless it says in time that the proof is new.
 *
 * @throws DPoPReplayDetectedError when the proof was used before.
 * @throws ReplayStoreError when the store fails, takes too long or answers anything but a boolean.
 */
export function checkReplay(
  store: DPoPReplayStore,
  key: string,
  expiresAtSeconds: number,
  { deadlineMs = REPLAY_DEADLINE_MS, proofKey }: ReplayCheckOptions = {},
): Eventually<void> {
  const answer = answerOf(store, key, expiresAtSeconds, proofKey);
  if (typeof answer === 'boolean') return requireFirst(answer);
  return within(
    deadlineMs,
    () => answer,
    () => new ReplayStoreError(`the replay store gave no answer within ${deadlineMs} ms`),
  ).then(requireFirst, (cause: unknown) => {
    throw failureOf(cause);
  });
}

function answerOf(
  store: DPoPReplayStore,
  ...asked: Parameters<DPoPReplayStore['checkAndStore']>
): Eventually<unknown> {
  try {
    return answersAtOnce(store) ? store.checkAndStoreNow(...asked) : store.checkAndStore(...asked);
  } catch (cause) {
    throw failureOf(cause);
  }
}

/** The memory of this package, unless somebody has put something in front of it. */
function answersAtOnce(store: DPoPReplayStore): store is InMemoryDPoPReplayStore {
  return (
    store instanceof InMemoryDPoPReplayStore &&
    store.checkAndStore === InMemoryDPoPReplayStore.prototype.checkAndStore
  );
}

function failureOf(cause: unknown): ReplayStoreError {
  if (cause instanceof ReplayStoreError) return cause;
  return new ReplayStoreError('the replay store failed', { cause });
}

function requireFirst(first: unknown): void {
  if (first === false) throw new DPoPReplayDetectedError('the DPoP proof was used before');
  if (first !== true) throw new ReplayStoreError('the replay store gave no yes or no');
}

/** Options of {@link InMemoryDPoPReplayStore}. */
export interface InMemoryDPoPReplayStoreOptions {
  /**
   * Bound on remembered proofs. Default 1 000 000, about 85 MB. A full store refuses, see below, and
   * one proof key gets a fifth of it.
   */
  readonly maxEntries?: number;
  /** Source of time, for tests. Default: the system's. */
  readonly clock?: Clock;
}

/** Keys that expire within the same stretch of time, and are forgotten together. */
interface Generation {
  readonly endsAt: number;
  readonly expiries: Expiries;
  /** How many proofs of a proof key came in, those looked for and forgotten singly included. */
  readonly proofsOf: Map<string, number>;
  lastExpiry: number;
}

const GENERATION_SECONDS = 120;
/**
 * One proof key may hold so many times the free room: a fifth of an empty store, less as it fills. So
 * it takes dozens of keys to leave no room for the next one.
 */
const SHARE_OF_FREE_ROOM = 1 / 4;
/** A flood at a full store must not cost a scan for each request. */
const SWEEP_PAUSE_SECONDS = 1;

/**
 * Replay memory of one process. With several processes a proof could be used once in each: share a
 * store instead (`authplane-nestjs/redis`).
 *
 * Bounded, and never forgets a live entry: when it is full of them it throws {@link ReplayStoreError},
 * and to a proof key that has used up its share somewhat earlier, so that one caller cannot fill it
 * for all. Whole generations are dropped after their last entry has expired; single entries are looked for only
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

  /** An empty memory. @throws ConfigurationError when `maxEntries` is no whole number above 0. */
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

  /**
   * @throws ReplayStoreError when the store or the share of the proof key is full, when the entry has
   * expired already, and when the clock was set back too far.
   */
  async checkAndStore(key: string, expiresAtSeconds: number, proofKey?: string): Promise<boolean> {
    return this.checkAndStoreNow(key, expiresAtSeconds, proofKey);
  }

  /** @internal As {@link checkAndStore}. */
  checkAndStoreNow(key: string, expiresAtSeconds: number, proofKey?: string): boolean {
    if (!Number.isFinite(expiresAtSeconds)) {
      throw new ReplayStoreError('a replay entry needs a finite expiry');
    }
    const now = this.#clock.now();
    this.#dropExpired(now);
    if (this.#holds(key, now)) return false;
    requireLiveExpiry(expiresAtSeconds, now);
    if (expiresAtSeconds <= this.#forgottenUntil) {
      throw new ReplayStoreError('the clock was set back to before entries that were dropped', {
        // Proofs made later expire later.
        retryAfterSeconds: this.#forgottenUntil - expiresAtSeconds + 1,
      });
    }
    this.#requireRoom(now);
    this.#requireShare(proofKey, now);
    this.#put(key, expiresAtSeconds, proofKey);
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

  #requireShare(proofKey: string | undefined, now: number): void {
    if (proofKey === undefined) return;
    let proofs = 0;
    for (const { proofsOf } of this.#generations.values()) proofs += proofsOf.get(proofKey) ?? 0;
    const share = (this.#maxEntries - this.#size) * SHARE_OF_FREE_ROOM;
    if (proofs < Math.max(1, share)) return;
    const held = [...this.#generations.values()].filter(({ proofsOf }) => proofsOf.has(proofKey));
    throw new ReplayStoreError(
      'this proof key fills its share of the replay store; raise maxEntries or share a store',
      { retryAfterSeconds: Math.min(...held.map(({ endsAt }) => endsAt)) - now },
    );
  }

  #holds(key: string, now: number): boolean {
    for (const { expiries } of this.#generations.values()) {
      const expiry = expiries.get(key);
      if (expiry !== undefined && expiry >= now) return true;
    }
    return false;
  }

  #put(key: string, expiry: number, proofKey: string | undefined): void {
    const index = Math.floor(expiry / GENERATION_SECONDS);
    const generation = this.#generations.get(index) ?? {
      endsAt: (index + 1) * GENERATION_SECONDS,
      expiries: new Expiries(),
      proofsOf: new Map<string, number>(),
      lastExpiry: expiry,
    };
    this.#generations.set(index, generation);
    this.#size -= generation.expiries.size;
    generation.expiries.set(key, expiry);
    this.#size += generation.expiries.size;
    if (proofKey !== undefined) {
      generation.proofsOf.set(proofKey, (generation.proofsOf.get(proofKey) ?? 0) + 1);
    }
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
    const expiries = this.#generations.get(first)?.expiries;
    if (expiries === undefined) return;
    const { count, latest, next } = expiries.forgetBefore(now);
    this.#nextExpiry = next;
    this.#size -= count;
    this.#forgot(latest);
    if (expiries.size === 0) this.#generations.delete(first);
  }

  #forgot(expiry: number): void {
    this.#forgottenUntil = Math.max(this.#forgottenUntil, expiry);
  }
}

/**
 * What has expired cannot be remembered, and a proof that nobody remembers could be used again: the
 * clock of the store is ahead of the one that accepted the proof. @throws ReplayStoreError
 */
export function requireLiveExpiry(expiresAtSeconds: number, now: number): void {
  if (expiresAtSeconds > now) return;
  throw new ReplayStoreError(
    'a replay entry expired before it was stored; compare the clocks of the store and the resource',
  );
}

/** One memory for each source of time, which outside tests is one for the process. */
const memories = new WeakMap<Clock, InMemoryDPoPReplayStore>();

/**
 * The memory of this process: all applications and resource objects that protect a resource here know of each other's
 * proofs, also after one was closed and made anew. Keys have to say for which resource they are.
 */
export function processReplayMemory(clock: Clock): InMemoryDPoPReplayStore {
  const memory = memories.get(clock) ?? new InMemoryDPoPReplayStore({ clock });
  memories.set(clock, memory);
  return memory;
}
