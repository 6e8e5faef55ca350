import { createPublicKey, type KeyObject } from 'node:crypto';
import { algorithmRule, isSameAlgorithm } from './algorithms.js';
import { type AuthorizationServer, documentOf } from './authorization-server.js';
import type { Clock } from './clock.js';
import { JWKSFetchError } from './errors.js';
import type { OutboundHttp } from './http/client.js';
import type { ResolvedClientOptions } from './options.js';
import { DocumentRefused, RemoteDocument } from './remote-document.js';
import { isWeakRsaModulus } from './rsa-strength.js';
import { isJsonObject, member } from './strict-json.js';

const MAX_KEYS = 100;
/** Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const CURVES = ['P-256', 'P-384', 'P-521', 'Ed25519'];
/** Metadata older than this is read again before a key set that lacks a key is believed. */
const METADATA_TRUST_SECONDS = 60;

/** A public key of the authorization server, imported once. */
export interface VerificationKey {
  readonly kid: string;
  readonly key: KeyObject;
  /** Signature algorithm the key is restricted to, if any. */
  readonly alg: string | undefined;
  readonly kty: string;
  readonly crv: string | undefined;
  /** The members that make the key; an unchanged key keeps its import over reloads. */
  readonly material: string;
}

type KeySet = ReadonlyMap<string, readonly VerificationKey[]>;

/** The key set of the authorization server: kid and algorithm to an imported key. */
export class Jwks {
  readonly #document: RemoteDocument<KeySet>;
  readonly #budget: RefreshBudget;
  readonly #authorizationServer: AuthorizationServer;
  #searching: Promise<KeySet> | undefined;
  #reportedUnusable = '';

  constructor(
    options: ResolvedClientOptions,
    http: OutboundHttp,
    authorizationServer: AuthorizationServer,
  ) {
    this.#authorizationServer = authorizationServer;
    this.#budget = new RefreshBudget(options.clock);
    this.#document = new RemoteDocument<KeySet>({
      clock: options.clock,
      refreshSeconds: options.jwksRefreshSeconds,
      maxStaleSeconds: options.maxStaleSeconds,
      load: async (previous) => {
        const url = await authorizationServer.endpoint('jwks_uri');
        const document = documentOf(await http.getJson(url), url);
        const { keys, unusable } = readKeySet(document, previous, url);
        this.#reportUnusable(unusable, options);
        return keys;
      },
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

  /** Loads in the background, for example because the key set has moved. */
  reload(): void {
    this.#document.reload().catch(() => undefined); // reported and retried by the document
  }

  /**
   * The one key with this `kid` that may verify this `alg`. An unknown `kid` may be a freshly rotated
   * key: it is looked for again, out of one small budget that all unknown kids share.
   *
   * @throws AuthorizationServerUnavailableError when there is no usable key set, or when the search
   * for an unknown `kid` fails because the authorization server is away.
   */
  async find(kid: string, alg: string): Promise<VerificationKey | undefined> {
    const known = await this.#document.get();
    if (known.has(kid)) return selectKey(known, kid, alg);
    return selectKey(await this.#searchUnknown(kid, known), kid, alg);
  }

  /** Whether this very key is still in the usable key set. */
  holds(key: VerificationKey): boolean {
    return this.#document.peek()?.get(key.kid)?.includes(key) ?? false;
  }

  close(): void {
    this.#document.close();
  }

  async #searchUnknown(kid: string, known: KeySet): Promise<KeySet> {
    // A load under way may have been answered before the key was published: look at it first, for
    // nothing, then spend from the budget.
    let keys = (await this.#underWay()) ?? known;
    if (!keys.has(kid)) keys = await (this.#underWay() ?? this.#search(keys));
    if (keys.has(kid)) this.#budget.wellSpent();
    return keys;
  }

  #underWay(): Promise<KeySet> | undefined {
    if (this.#searching !== undefined) return this.#searching;
    return this.#document.loading ? this.#document.reload() : undefined;
  }

  async #search(known: KeySet): Promise<KeySet> {
    if (this.#document.pausedBy !== undefined) throw this.#document.pausedBy;
    if (!this.#budget.take()) return known;
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

  #reportUnusable(unusable: readonly string[], options: ResolvedClientOptions): void {
    const report = unusable.join('; ');
    if (report !== '' && report !== this.#reportedUnusable) {
      options.onBackgroundFailure(
        new JWKSFetchError(`the key set holds keys that are not used: ${report}`),
      );
    }
    this.#reportedUnusable = report;
  }
}

/**
 * A rotation right after a reload is followed at once; a flood of unknown kids costs a handful of
 * fetches, because after the early tries there is one per interval, and the interval grows with
 * every try that finds nothing: 5, 15, 45, then 60 seconds.
 */
class RefreshBudget {
  static readonly #EARLY_TRIES = 2;
  static readonly #SHORTEST_SECONDS = 5;
  static readonly #LONGEST_SECONDS = 60;
  #left = RefreshBudget.#EARLY_TRIES;
  #interval = RefreshBudget.#SHORTEST_SECONDS;
  #nextAt = 0;

  constructor(private readonly clock: Clock) {}

  take(): boolean {
    const now = this.clock.elapsed();
    if (this.#left > 0) {
      this.#left--;
      this.#nextAt = now + this.#interval;
      return true;
    }
    if (now < this.#nextAt) return false;
    this.#interval = Math.min(RefreshBudget.#LONGEST_SECONDS, this.#interval * 3);
    this.#nextAt = now + this.#interval;
    return true;
  }

  /** A key was there: genuine rotations never use the budget up. */
  wellSpent(): void {
    this.#left = RefreshBudget.#EARLY_TRIES;
    this.#interval = RefreshBudget.#SHORTEST_SECONDS;
  }
}

function selectKey(keys: KeySet, kid: string, alg: string): VerificationKey | undefined {
  const rule = algorithmRule(alg);
  const fitting = (keys.get(kid) ?? []).filter(
    (key) =>
      key.kty === rule?.kty &&
      (rule.crv === undefined || key.crv === rule.crv) &&
      (key.alg === undefined || isSameAlgorithm(key.alg, alg)),
  );
  // Two keys that fit leave open which of them is meant; guessing is not verifying.
  return fitting.length === 1 ? fitting[0] : undefined;
}

/** @throws DocumentRefused when nothing in it can verify a signature. */
function readKeySet(document: Record<string, unknown>, previous: KeySet | undefined, url: string) {
  const list = member(document, 'keys');
  if (!Array.isArray(list)) {
    throw noKeys('the key set has no list "keys"', url);
  }
  if (list.length > MAX_KEYS) {
    throw new DocumentRefused(`the key set has more than ${MAX_KEYS} keys`);
  }
  const keys = new Map<string, VerificationKey[]>();
  const unusable: string[] = [];
  for (const [index, jwk] of list.entries()) {
    const key = readKey(jwk, previous);
    if (typeof key === 'string') {
      unusable.push(`key ${index} ${key}`);
      continue;
    }
    const namesakes = keys.get(key.kid) ?? [];
    const isRepeated = namesakes.some(({ material }) => material === key.material);
    if (!isRepeated) keys.set(key.kid, [...namesakes, key]);
  }
  if (keys.size === 0) {
    const why = unusable.length === 0 ? 'it is empty' : unusable.join('; ');
    throw noKeys(`the key set holds no usable key: ${why}`, url);
  }
  return { keys, unusable };
}

function noKeys(problem: string, url: string): DocumentRefused {
  return new DocumentRefused(
    `${problem}. It is at ${new URL(url).href} and must list the public RSA, EC or OKP keys that sign ` +
      `access tokens, each with a kid (RFC 7517 §5): give the authorization server a signing key, or ` +
      `set issuer to the server that has one`,
    { wrongServer: true },
  );
}

/** The key, or why it is not used (RFC 7517 §4). */
function readKey(jwk: unknown, previous: KeySet | undefined): VerificationKey | string {
  if (!isJsonObject(jwk)) return 'is not an object';
  const text = (name: string) => {
    const value = member(jwk, name);
    return typeof value === 'string' ? value : undefined;
  };
  const kid = text('kid');
  if (!kid) return 'has no kid';
  const secret = SECRET_MEMBERS.find((name) => Object.hasOwn(jwk, name));
  if (secret !== undefined)
    return `has the member ${secret}: private and symmetric keys are refused`;
  if (Object.hasOwn(jwk, 'use') && text('use') !== 'sig') return 'is not for signatures (use)';
  const operations = member(jwk, 'key_ops');
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return 'is not for verification (key_ops)';
  }
  const shape = { kid, alg: text('alg'), kty: text('kty') ?? '', crv: text('crv') };
  const material = JSON.stringify([shape, text('n'), text('e'), text('x'), text('y')]);
  const unchanged = previous?.get(kid)?.find((key) => key.material === material);
  return unchanged ?? importKey(jwk, { ...shape, material });
}

function importKey(
  jwk: Record<string, unknown>,
  shape: Omit<VerificationKey, 'key'>,
): VerificationKey | string {
  const { kty, crv } = shape;
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return 'has an unknown kty';
  if (kty !== 'RSA' && !CURVES.includes(crv ?? '')) return 'has an unknown curve';
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return 'cannot be imported';
  }
  const weakness = kty === 'RSA' ? rsaWeakness(key, jwk) : undefined;
  return weakness ?? { ...shape, key };
}

/** RFC 7518 §3.3 asks for 2048 bits; the upper bound keeps one verification cheap. */
function rsaWeakness(key: KeyObject, jwk: Record<string, unknown>): string | undefined {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < 2048 || modulusLength > 8192) return 'is not an RSA key of 2048 to 8192 bits';
  if (publicExponent < 65_537n || publicExponent % 2n === 0n) return 'has a weak RSA exponent';
  return isWeakRsaModulus(String(member(jwk, 'n'))) ? 'has a weak RSA modulus (ROCA)' : undefined;
}
