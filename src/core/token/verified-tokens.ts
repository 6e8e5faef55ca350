import type { VerifiedAccessToken } from './access-token.js';
import { SecondChance } from './second-chance.js';
import type { VerifiedTokensOptions } from './settings.js';
import { unverifiedClaim } from '../jws/unverified-claims.js';

const MAX_TOKENS = 50_000;
/** Of token text for each entry; what is kept of a token grows with it. */
const BYTES_PER_ENTRY = 1600;

const LONG_AGO = -1_000_000_000;

/** A token that was found good. */
export class RememberedToken implements VerifiedAccessToken {
  readonly claims: VerifiedAccessToken['claims'];
  readonly key: VerifiedAccessToken['key'];
  /** Length of the token, which its claims grow with. */
  readonly weight: number;
  /** Seconds, of a clock that never steps back. */
  since: number;
  isUsed = false;

  constructor({ claims, key }: VerifiedAccessToken, length: number, since: number) {
    this.claims = claims;
    this.key = key;
    this.weight = length;
    this.since = Math.floor(since);
  }

  /** For whoever still holds it: nothing that was found out so long ago is believed. */
  forget(): void {
    this.since = LONG_AGO;
  }
}

/**
 * Memory of tokens whose signature and claims were found good, so that a caller's next request costs
 * a hash and not a signature.
 *
 * Known by a hash of the whole token: no bearer token is kept, and another spelling of a signature
 * has not been verified. Whoever takes an entry out checks age, times, key, binding and revocation again.
 */
export class VerifiedTokens {
  readonly #tokens: SecondChance<RememberedToken>;
  readonly #keyPrefix: string;

  constructor({ maxEntries = MAX_TOKENS }: VerifiedTokensOptions = {}, shared?: SharedMemory) {
    this.#tokens = shared?.tokens ?? new SecondChance(maxEntries, maxEntries * BYTES_PER_ENTRY);
    this.#keyPrefix = shared?.keyPrefix ?? '';
  }

  /** What another resource has verified, in the same bounds: one forgets what the other has no room for. */
  sharedWith(resource: string): VerifiedTokens {
    return new VerifiedTokens({}, { tokens: this.#tokens, keyPrefix: `${resource} ` });
  }

  /** Tokens in memory. */
  get size(): number {
    return this.#tokens.size;
  }

  /** @param hash of the whole token. */
  keyOf(hash: string): string {
    return this.#keyPrefix + hash;
  }

  get(key: string): RememberedToken | undefined {
    return this.#tokens.get(key);
  }

  set(key: string, token: RememberedToken): void {
    this.#tokens.set(key, token);
  }

  delete(key: string): void {
    this.#tokens.delete(key);
  }

  /**
   * The token that was revoked, with all spellings of its signature, whoever has verified it; and with it
   * whatever else has its `jti`, which costs no more than a signature.
   */
  forget(token: string): void {
    const jti = unverifiedClaim(token, 'jti');
    for (const [key, remembered] of this.#tokens) {
      if (remembered.claims.jti !== jti) continue;
      remembered.forget();
      this.#tokens.delete(key);
    }
  }
}

interface SharedMemory {
  readonly tokens: SecondChance<RememberedToken>;
  readonly keyPrefix: string;
}
