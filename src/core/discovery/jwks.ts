import { type AuthorizationServer, documentOf } from './authorization-server.js';
import type { Clock } from '../lib/clock.js';
import { type Eventually, whenKnown } from '../lib/deadline.js';
import type { AuthplaneError } from '../errors/authplane-error.js';
import { AuthorizationServerUnavailableError, JWKSFetchError } from '../errors/server-errors.js';
import type { OutboundHttp } from '../http/client.js';
import { KeySet, type VerificationKey } from './key-set.js';
import { RemoteDocument } from './remote-document.js';

/** Some thousand keys, certificates included. */
const MAX_BYTES = 4_194_304;
/** Metadata older than this is read again before a key set that lacks a key is believed. */
const METADATA_TRUST_SECONDS = 60;
/** Between two looks for an unknown key, and as long an answer that it is not there is believed. */
const LOOK_SECONDS = 5;
/** Looks at once, after some time without any. */
const LOOK_BURST = 2;
const MAX_MISSING = 1000;

/** What of the options of the client its keys depend on. */
export interface KeySettings {
  readonly clock: Clock;
  readonly jwksRefreshSeconds: number;
  readonly maxStaleSeconds: number;
  readonly onBackgroundFailure: (error: AuthplaneError) => void;
}

/** The key set of the authorization server: kid and algorithm to an imported key. */
export class Jwks {
  readonly #document: RemoteDocument<KeySet>;
  readonly #budget: LookBudget;
  readonly #authorizationServer: AuthorizationServer;
  readonly #onUnusable: (report: string) => void;
  /** Kids that the set in hand was asked for and does not have. */
  readonly #missing = new Set<string>();
  readonly #clock: Clock;
  #tellLoaded: () => void = () => undefined;
  /** Resolves when the first key set is there, and never rejects. */
  readonly loaded = new Promise<void>((resolve) => {
    this.#tellLoaded = resolve;
  });
  #askedAt = -Infinity;
  #searching: Promise<KeySet> | undefined;
  #reportedUnusable = '';

  constructor(options: KeySettings, http: OutboundHttp, authorizationServer: AuthorizationServer) {
    this.#authorizationServer = authorizationServer;
    this.#clock = options.clock;
    this.#budget = new LookBudget(options.clock);
    const onUnusable = (report: string) =>
      options.onBackgroundFailure(
        new JWKSFetchError(`the key set holds keys that are not used: ${report}`),
      );
    this.#onUnusable = onUnusable;
    this.#document = new RemoteDocument<KeySet>({
      clock: options.clock,
      refreshSeconds: options.jwksRefreshSeconds,
      maxStaleSeconds: options.maxStaleSeconds,
      load: async (previous) => {
        const url = await authorizationServer.endpoint('jwks_uri');
        const askedAt = options.clock.elapsed();
        const document = documentOf(await http.getJson(url, MAX_BYTES), url);
        const keys = KeySet.read(document, previous, url);
        this.#askedAt = askedAt;
        this.#missing.clear();
        this.#reportUnusable(keys);
        return keys;
      },
      onLoaded: () => this.#tellLoaded(),
      errorClass: JWKSFetchError,
      onBackgroundFailure: options.onBackgroundFailure,
    });
  }

  /** Loads the first key set, or rejects with the reason there is none. */
  async ready(): Promise<void> {
    await this.#document.get();
  }

  /** A usable key set is in hand. */
  get isReady(): boolean {
    return this.#document.peek() !== undefined;
  }

  /**
   * Metadata has arrived. After an outage it is what the key set waited for, and a second pause on top
   * of that of the metadata would be for nothing.
   */
  metadataLoaded(hasMoved: boolean): void {
    if (!hasMoved && this.isReady && this.#document.pausedBy === undefined) return;
    this.#document.reload().catch(() => undefined); // reported and retried by the document
  }

  /**
   * The one key with this `kid` that may verify this `alg`, at once where it is in hand. An unknown `kid` may be a freshly rotated
   * key: it is looked for, out of one small budget that all unknown kids share.
   *
   * @throws AuthorizationServerUnavailableError when there is no usable key set, or when nobody can
   * tell whether the key exists: the authorization server is away, or was asked a moment ago.
   */
  find(kid: string, alg: string): Eventually<VerificationKey | undefined> {
    return whenKnown(this.#document.get(), (known) => {
      if (known.has(kid)) return this.#selected(known, kid, alg);
      return this.#searchUnknown(kid, known).then((keys) => this.#selected(keys, kid, alg));
    });
  }

  #selected(keys: KeySet, kid: string, alg: string): VerificationKey | undefined {
    const key = keys.select(kid, alg);
    if (key === undefined) this.#reportUnusable(keys); // an import may have failed just now
    return key;
  }

  /** Whether some key of the usable key set may verify this `alg`. */
  hasKeyFor(alg: string): boolean {
    return this.#document.peek()?.hasKeyFor(alg) ?? false;
  }

  /** Whether this very key is still in the usable key set. @param elapsed what the clock says. */
  holds(key: VerificationKey, elapsed = this.#clock.elapsed()): boolean {
    return this.#document.peek(elapsed)?.includes(key) ?? false;
  }

  close(): void {
    this.#document.close();
  }

  async #searchUnknown(kid: string, known: KeySet): Promise<KeySet> {
    // A load under way may have been answered before the key was published: look at it first, for
    // nothing, then spend from the budget.
    let keys = (await this.#underWay()) ?? known;
    if (!keys.has(kid) && !this.#isMissing(kid)) {
      keys = await (this.#underWay() ?? this.#search());
      if (!keys.has(kid)) this.#noteMissing(kid);
    }
    if (keys.has(kid)) this.#budget.wellSpent();
    return keys;
  }

  #underWay(): Promise<KeySet> | undefined {
    if (this.#searching !== undefined) return this.#searching;
    return this.#document.loading ? this.#document.reload() : undefined;
  }

  async #search(): Promise<KeySet> {
    if (this.#document.pausedBy !== undefined) throw this.#document.pausedBy;
    const rest = this.#budget.take();
    if (rest > 0) throw notLookedForError(rest);
    // Set before anything is awaited: whoever comes later joins instead of spending.
    this.#searching = this.#readAgain().finally(() => {
      this.#searching = undefined;
    });
    return this.#searching;
  }

  async #readAgain(): Promise<KeySet> {
    await this.#authorizationServer.refreshIfOlderThan(METADATA_TRUST_SECONDS);
    return this.#document.reload();
  }

  /** Not for long: a server may sign with a key before it publishes it. */
  #isMissing(kid: string): boolean {
    const isRecent = this.#clock.elapsed() - this.#askedAt < LOOK_SECONDS;
    return isRecent && this.#missing.has(kid);
  }

  #noteMissing(kid: string): void {
    if (this.#missing.size < MAX_MISSING) this.#missing.add(kid);
  }

  #reportUnusable({ unusable }: KeySet): void {
    const report = unusable.slice(0, 20).join('; ');
    if (report !== '' && report !== this.#reportedUnusable) this.#onUnusable(report);
    this.#reportedUnusable = report;
  }
}

/** Nobody knows whether there is such a key: that is no reason to refuse the token for good. */
function notLookedForError(retryAfterSeconds: number): AuthorizationServerUnavailableError {
  return new AuthorizationServerUnavailableError(
    'the key set has no key with the kid of this token. It was read a moment ago, for other unknown ' +
      'kids, and will be read again after a short pause',
    { retryAfterSeconds },
  );
}

/**
 * A rotation is followed at once, and a flood of unknown kids costs a fetch every five seconds: at
 * most 15 a minute, the first of which may come together.
 */
class LookBudget {
  readonly #clock: Clock;
  /** When all is there again (the generic cell rate algorithm). */
  #fullAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes one look. @returns 0, or the seconds until there is one. */
  take(): number {
    const now = this.#clock.elapsed();
    const fullAt = Math.max(now, this.#fullAt) + LOOK_SECONDS;
    const rest = fullAt - now - LOOK_BURST * LOOK_SECONDS;
    if (rest > 0) return rest;
    this.#fullAt = fullAt;
    return 0;
  }

  /** A key was there: genuine rotations never use the budget up. */
  wellSpent(): void {
    this.#fullAt = -Infinity;
  }
}
