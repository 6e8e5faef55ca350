import type { KeyObject } from 'node:crypto';
import { node } from '../platform/node.js';
import { CURVES, isKeyFor, isSameAlgorithm } from '../lib/algorithms.js';
import { quoted } from '../lib/text.js';
import { DocumentRefused } from './remote-document.js';
import { isWeakRsaModulus } from '../lib/rsa-strength.js';
import { isJsonObject, member } from '../lib/members.js';

const MAX_KEYS = 5000;
/** A set of up to so many keys is imported as it arrives, so that mistakes in it are known at once. */
const IMPORTED_AT_ONCE = 100;
/** Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/** A public key of the authorization server, imported once. */
export interface VerificationKey extends KeyShape {
  readonly key: KeyObject;
}

interface KeyShape {
  readonly kid: string;
  /** Signature algorithm the key is restricted to, if any. */
  readonly alg: string | undefined;
  readonly kty: string;
  readonly crv: string | undefined;
  /** The members that make the key; an unchanged key keeps its import over reloads. */
  readonly material: string;
}

/** A sound JWK. Few keys of a large set are ever asked for: each is imported when it is. */
class ListedKey {
  readonly shape: KeyShape;
  readonly #jwk: Record<string, unknown>;
  #imported: VerificationKey | string | undefined;

  constructor(shape: KeyShape, jwk: Record<string, unknown>) {
    this.shape = shape;
    this.#jwk = jwk;
  }

  get key(): VerificationKey | undefined {
    const imported = this.#import();
    return typeof imported === 'string' ? undefined : imported;
  }

  /** Why it is not used. */
  get problem(): string | undefined {
    const imported = this.#import();
    return typeof imported === 'string' ? imported : undefined;
  }

  is(key: VerificationKey): boolean {
    return this.#imported === key;
  }

  fits(alg: string): boolean {
    const { alg: restriction } = this.shape;
    if (restriction !== undefined && !isSameAlgorithm(restriction, alg)) return false;
    return isKeyFor(this.shape, alg);
  }

  #import(): VerificationKey | string {
    this.#imported ??= importKey(this.#jwk, this.shape);
    return this.#imported;
  }
}

/** The keys of one JWK Set (RFC 7517 §5) that can verify access tokens. */
export class KeySet {
  readonly #keys: ReadonlyMap<string, readonly ListedKey[]>;
  readonly #unusable: string[];

  private constructor(keys: ReadonlyMap<string, readonly ListedKey[]>, unusable: string[]) {
    this.#keys = keys;
    this.#unusable = unusable;
  }

  /**
   * @param previous whose unchanged keys need no import.
   * @throws DocumentRefused when nothing in it can verify a signature.
   */
  static read(
    document: Record<string, unknown>,
    previous: KeySet | undefined,
    url: string,
  ): KeySet {
    const list = listOf(document, url);
    const keys = new Map<string, ListedKey[]>();
    const unusable: string[] = [];
    for (const [index, jwk] of list.entries()) {
      const key = readKey(jwk, previous);
      // Of a large set one is enough to see that it is of use.
      const isImported = list.length <= IMPORTED_AT_ONCE || keys.size === 0;
      const problem = typeof key === 'string' ? key : isImported ? key.problem : undefined;
      if (typeof key === 'string' || problem !== undefined)
        unusable.push(`key ${index} ${problem}`);
      else addKey(keys, key);
    }
    if (keys.size > 0) return new KeySet(keys, unusable);
    const why = unusable.length === 0 ? 'it is empty' : unusable.slice(0, 20).join('; ');
    throw noKeysError(`the key set holds no usable key: ${why}`, url);
  }

  /** Which keys are not used and why, as far as they have been looked at. */
  get unusable(): readonly string[] {
    return this.#unusable;
  }

  has(kid: string): boolean {
    return this.#keys.has(kid);
  }

  /** The one key with this `kid` that may verify this `alg`. */
  select(kid: string, alg: string): VerificationKey | undefined {
    const fitting = this.#named(kid).filter((listed) => listed.fits(alg));
    for (const { problem } of fitting) if (problem !== undefined) this.#note(kid, problem);
    const usable = fitting.map(({ key }) => key).filter((key) => key !== undefined);
    // Two keys that fit leave open which of them is meant; guessing is not verifying.
    return usable.length === 1 ? usable[0] : undefined;
  }

  /** Whether some key may verify this `alg`. */
  hasKeyFor(alg: string): boolean {
    return [...this.#keys.values()].some((keys) => keys.some((listed) => listed.fits(alg)));
  }

  /** Whether this very key is in it. */
  includes(key: VerificationKey): boolean {
    return this.#named(key.kid).some((listed) => listed.is(key));
  }

  /** @internal For the next set. */
  unchanged({ kid, material }: KeyShape): ListedKey | undefined {
    return this.#named(kid).find(({ shape }) => shape.material === material);
  }

  #named(kid: string): readonly ListedKey[] {
    return this.#keys.get(kid) ?? [];
  }

  #note(kid: string, problem: string): void {
    const sentence = `a key with the kid ${quoted(kid)} ${problem}`;
    if (!this.#unusable.includes(sentence)) this.#unusable.push(sentence);
  }
}

function listOf(document: Record<string, unknown>, url: string): readonly unknown[] {
  const list = member(document, 'keys');
  if (!Array.isArray(list)) throw noKeysError('the key set has no list "keys"', url);
  if (list.length <= MAX_KEYS) return list;
  throw new DocumentRefused(`the key set has more than ${MAX_KEYS} keys`);
}

/** One key listed twice is one key. */
function addKey(keys: Map<string, ListedKey[]>, key: ListedKey): void {
  const { kid, material } = key.shape;
  const namesakes = keys.get(kid);
  if (namesakes === undefined) keys.set(kid, [key]);
  else if (namesakes.every(({ shape }) => shape.material !== material)) namesakes.push(key);
}

function noKeysError(problem: string, url: string): DocumentRefused {
  return new DocumentRefused(
    `${problem}. It is at ${new URL(url).href} and must list the public RSA, EC or OKP keys that sign ` +
      `access tokens, each with a kid (RFC 7517 §5): give the authorization server a signing key, or ` +
      `set issuer to the server that has one`,
    { wrongServer: true },
  );
}

/** The key, or why it is not used (RFC 7517 §4). */
function readKey(jwk: unknown, previous: KeySet | undefined): ListedKey | string {
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
  const named = { kid, alg: text('alg'), kty: text('kty') ?? '', crv: text('crv') };
  const material = JSON.stringify([named, text('n'), text('e'), text('x'), text('y')]);
  const shape: KeyShape = { ...named, material };
  return shapeProblem(shape) ?? previous?.unchanged(shape) ?? new ListedKey(shape, jwk);
}

function shapeProblem({ kty, crv, alg }: KeyShape): string | undefined {
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return 'has an unknown kty';
  if (kty !== 'RSA' && !CURVES.includes(crv ?? '')) return 'has an unknown curve';
  if (alg === undefined || isKeyFor({ kty, crv }, alg)) return undefined;
  return `has an alg that is no signature of its type: ${quoted(alg, 20)}`;
}

function importKey(jwk: Record<string, unknown>, shape: KeyShape): VerificationKey | string {
  let key: KeyObject;
  try {
    key = node.crypto.createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return 'cannot be imported';
  }
  const weakness = shape.kty === 'RSA' ? rsaWeakness(key, jwk) : undefined;
  return weakness ?? { ...shape, key };
}

/** RFC 7518 §3.3 asks for 2048 bits; the upper bound keeps one verification cheap. */
function rsaWeakness(key: KeyObject, jwk: Record<string, unknown>): string | undefined {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < 2048 || modulusLength > 8192) return 'is not an RSA key of 2048 to 8192 bits';
  if (publicExponent < 65_537n || publicExponent % 2n === 0n) return 'has a weak RSA exponent';
  return isWeakRsaModulus(String(member(jwk, 'n'))) ? 'has a weak RSA modulus (ROCA)' : undefined;
}
