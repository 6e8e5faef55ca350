import type { Clock } from '../lib/clock.js';
import { untilAborted } from '../lib/deadline.js';
import { sha256, tupleHash } from '../lib/digest.js';
import { Generations } from '../lib/generations.js';
import type { TokenResponse } from './token-response.js';
import { signingInput } from '../jws/signing-input.js';
import { expiryOf } from '../jws/unverified-claims.js';

/** After a renewal that failed. */
const RENEWAL_PAUSE_SECONDS = 2;

/** How long a value may be kept, and what it stands and falls with. */
export interface Keep {
  /** On the monotonic clock, counted from the start of the request. */
  readonly seconds: number;
  /** From this age on, whoever takes the value has it loaded again in the background. Default never. */
  readonly renewAfterSeconds?: number;
  /** A moment of the wall clock, seconds since 1970, that also ends it. */
  readonly until?: number | undefined;
  /** Tokens inside the value. */
  readonly tokens?: readonly string[];
}

export interface Wanted<V> {
  readonly key: string;
  /** Tokens that the value is derived from. */
  readonly derivedFrom: readonly string[];
  readonly load: () => Promise<V>;
  readonly keep: (value: V) => Keep;
}

interface Entry<V> {
  readonly value: V;
  readonly endsAt: number;
  readonly renewAt: number;
  readonly until: number;
  /** Hashes of the tokens in it. */
  readonly holds: readonly string[];
  /** Those, and hashes of the tokens that it comes from. */
  readonly tags: readonly string[];
}

interface Flight<V> {
  readonly startedAt: number;
  readonly derivedFrom: readonly string[];
  result: Promise<V>;
}

const NEVER = new Promise<never>(() => undefined);

/**
 * Values by key, each loaded by one flight that everybody who asks meanwhile shares. A caller who
 * gives up leaves the flight to the others. Failures go to all who wait and are not kept.
 *
 * Bounded, see {@link Generations}. Ages follow the monotonic clock.
 */
export class FlightCache<V> {
  readonly #clock: Clock;
  readonly #maxEntries: number;
  readonly #entries: Generations<Entry<V>>;
  readonly #flights = new Map<string, Flight<V>>();
  /** When the value of a key was last refused. */
  readonly #refusedAt: Generations<number>;

  /** Keeps between half of `maxEntries` values and all; 0 shares flights and keeps nothing. */
  constructor({ clock, maxEntries }: { readonly clock: Clock; readonly maxEntries: number }) {
    this.#clock = clock;
    this.#maxEntries = maxEntries;
    const maxYoung = Math.max(1, Math.floor(maxEntries / 2));
    this.#entries = new Generations(maxYoung, { tags: ({ tags }) => tags });
    this.#refusedAt = new Generations(maxYoung);
  }

  /** @throws the reason of `signal`, and whatever `load` throws. */
  get(wanted: Wanted<V>, signal?: AbortSignal): Promise<V> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const kept = this.#kept(wanted.key);
    if (kept !== undefined) {
      if (this.#clock.elapsed() >= kept.renewAt) this.#renew(wanted, kept);
      return Promise.resolve(kept.value);
    }
    const flight = this.#flights.get(wanted.key) ?? this.#start(wanted);
    return signal === undefined ? flight.result : untilAborted(flight.result, signal);
  }

  /** Forgets values that hold this token or were derived from it, and from those in turn. */
  evict(token: string): void {
    const doomed = new Set([digest(token)]);
    // A set is gone through in order, with what is added on the way.
    for (const hash of doomed) this.#drop(hash, doomed);
    for (const [key, { derivedFrom }] of this.#flights) {
      if (derivedFrom.some((hash) => doomed.has(hash))) this.#flights.delete(key);
    }
  }

  /**
   * {@link evict} for a token that was refused somewhere, unless the one before it was, within so many
   * seconds: whoever refuses everything must not make every call load anew.
   */
  evictRefused(token: string, pauseSeconds: number): void {
    const now = this.#clock.elapsed();
    const keys = this.#entries.tagged(digest(token));
    if (keys.some((key) => now - (this.#refusedAt.get(key) ?? -Infinity) < pauseSeconds)) return;
    for (const key of keys) this.#refusedAt.set(key, now);
    this.evict(token);
  }

  /** Values in memory, used up ones included. */
  get size(): number {
    return this.#entries.size;
  }

  /** Ahead of its end, so that nobody waits; a failure leaves the value until then. */
  #renew(wanted: Wanted<V>, kept: Entry<V>): void {
    if (this.#flights.has(wanted.key)) return;
    const renewAt = this.#clock.elapsed() + RENEWAL_PAUSE_SECONDS;
    this.#entries.set(wanted.key, { ...kept, renewAt });
    this.#start(wanted).result.catch(() => undefined);
  }

  #start(wanted: Wanted<V>): Flight<V> {
    const flight: Flight<V> = {
      startedAt: this.#clock.elapsed(),
      derivedFrom: wanted.derivedFrom.map(digest),
      result: NEVER,
    };
    // On the list before it begins: even a `load` that throws at once must leave that.
    this.#flights.set(wanted.key, flight);
    flight.result = this.#load(wanted, flight);
    flight.result.catch(() => undefined); // everybody may have given up waiting
    return flight;
  }

  async #load(wanted: Wanted<V>, flight: Flight<V>): Promise<V> {
    const isCurrent = (): boolean => this.#flights.get(wanted.key) === flight;
    try {
      const value = await wanted.load();
      if (isCurrent()) this.#keep(wanted.key, entryOf(value, wanted.keep(value), flight));
      return value;
    } finally {
      if (isCurrent()) this.#flights.delete(wanted.key);
    }
  }

  #keep(key: string, entry: Entry<V>): void {
    if (this.#maxEntries > 0 && this.#isUsable(entry)) this.#entries.set(key, entry);
  }

  #kept(key: string): Entry<V> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.#isUsable(entry)) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  #isUsable({ endsAt, until }: Entry<V>): boolean {
    return this.#clock.elapsed() < endsAt && this.#clock.now() < until;
  }

  /** Drops what touches a doomed token and dooms what it held. */
  #drop(hash: string, doomed: Set<string>): void {
    for (const key of this.#entries.tagged(hash)) {
      for (const held of this.#entries.peek(key)?.holds ?? []) doomed.add(held);
      this.#entries.delete(key);
    }
  }
}

function entryOf<V>(value: V, keep: Keep, { startedAt, derivedFrom }: Flight<V>): Entry<V> {
  const holds = (keep.tokens ?? []).map(digest);
  return {
    value,
    endsAt: startedAt + keep.seconds,
    renewAt: startedAt + (keep.renewAfterSeconds ?? Infinity),
    until: keep.until ?? Infinity,
    holds,
    tags: [...holds, ...derivedFrom],
  };
}

export interface TokenCacheOptions {
  readonly clock: Clock;
  readonly maxEntries: number;
  /** Taken off `expires_in`, so that a token does not end on its way. Seconds. */
  readonly ttlBufferSeconds: number;
  /** For tokens that come without `expires_in`. Seconds. */
  readonly defaultTtlSeconds: number;
}

export interface WantedToken {
  /** Everything the token depends on. */
  readonly parts: readonly string[];
  /** Subject and actor token. */
  readonly derivedFrom: readonly string[];
  /** When the first of them ends; read from them where nobody has done that yet. Seconds since 1970. */
  readonly until?: number | undefined;
  readonly load: () => Promise<TokenResponse>;
}

/** A token is asked for again after a day, whatever `expires_in` says. */
const LONGEST_TTL_SECONDS = 86_400;

/** Tokens that the authorization server issued to this client, until shortly before they end. */
export class TokenCache {
  readonly #options: TokenCacheOptions;
  readonly #tokens: FlightCache<TokenResponse>;

  constructor(options: TokenCacheOptions) {
    this.#options = options;
    this.#tokens = new FlightCache(options);
  }

  /** A kept token, or the result of `load`. @throws the reason of `signal`, and what `load` throws. */
  get(
    { parts, derivedFrom, until, load }: WantedToken,
    signal?: AbortSignal,
  ): Promise<TokenResponse> {
    const keep = (token: TokenResponse): Keep => ({
      seconds: this.#ttlOf(token),
      until: until ?? earliestEnd(derivedFrom),
      tokens: [token.accessToken, token.refreshToken ?? ''].filter((held) => held !== ''),
    });
    return this.#tokens.get({ key: tupleHash(parts), derivedFrom, load, keep }, signal);
  }

  /** Forgets the token itself, and all tokens derived from it. */
  evict(token: string): void {
    this.#tokens.evict(token);
  }

  /** The same for a token that a service has refused, but not again within so many seconds. */
  evictRefused(token: string, pauseSeconds: number): void {
    this.#tokens.evictRefused(token, pauseSeconds);
  }

  #ttlOf({ expiresIn }: TokenResponse): number {
    const { ttlBufferSeconds, defaultTtlSeconds } = this.#options;
    const seconds = expiresIn === undefined ? defaultTtlSeconds : expiresIn - ttlBufferSeconds;
    return Math.min(seconds, LONGEST_TTL_SECONDS);
  }
}

/** `exp` of the tokens that are JWTs. Unverified, which is good enough to keep something shorter. */
function earliestEnd(tokens: readonly string[]): number {
  return Math.min(...tokens.map((token) => expiryOf(token) ?? Infinity));
}

/** One for all spellings of a signature: what came from one of them goes with the others. */
function digest(token: string): string {
  return sha256(signingInput(token));
}
