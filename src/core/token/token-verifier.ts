import type { Jwks } from '../discovery/jwks.js';
import type { Clock } from '../lib/clock.js';
import type { Eventually } from '../lib/deadline.js';
import { sha256 } from '../lib/digest.js';
import { requireLength } from '../jws/compact-jws.js';
import {
  type AccessTokenRules,
  requireValidNow,
  type TokenSettings,
  type VerifiedAccessToken,
  verifyAccessToken,
} from './access-token.js';
import { KnownHeaders } from '../jws/known-headers.js';
import type { ScopeCoverage } from '../lib/scopes.js';
import { SharedValues } from './shared-values.js';
import type { VerifiedClaims } from './verified-claims.js';
import { RememberedToken, VerifiedTokens } from './verified-tokens.js';

/** So long a signature is believed, whatever `exp` says. */
const MAX_AGE_SECONDS = 300;

/** Whose tokens are good. */
export interface TokenTrust {
  readonly issuer: string;
  readonly jwks: Pick<Jwks, 'find' | 'holds'>;
  readonly clock: Clock;
}

/** Where it is noted what the same text was found to be; somebody else sees to it that it is the same. */
export interface Recalled {
  remembered?: RememberedToken | undefined;
  /** SHA-256 of the token. */
  hash?: string | undefined;
}

/** What the claims of a token are, for one resource; a token that was found good before is remembered. */
export class TokenVerifier {
  readonly #trust: TokenTrust;
  readonly #rules: AccessTokenRules;
  readonly #tokens: VerifiedTokens;
  /** By the hash of the token: who comes with the same one meanwhile waits for the same signature. */
  readonly #verifying = new Map<string, Promise<VerifiedClaims>>();

  private constructor(trust: TokenTrust, rules: AccessTokenRules, tokens: VerifiedTokens) {
    this.#trust = trust;
    this.#rules = rules;
    this.#tokens = tokens;
  }

  static of(trust: TokenTrust, resource: TokenSettings, covers: ScopeCoverage): TokenVerifier {
    const rules: AccessTokenRules = {
      issuer: trust.issuer,
      resource,
      covers,
      findKey: (kid, alg) => trust.jwks.find(kid, alg),
      now: () => trust.clock.now(),
      headers: new KnownHeaders(),
      values: new SharedValues(),
    };
    return new TokenVerifier(trust, rules, new VerifiedTokens(resource.verifiedTokens));
  }

  /** For another resource: its own audience, the same keys, and the room of this one for its tokens. */
  at(resource: TokenSettings): TokenVerifier {
    const tokens = this.#tokens.sharedWith(resource.resource);
    return new TokenVerifier(this.#trust, { ...this.#rules, resource }, tokens);
  }

  /**
   * Known at once for a token that is remembered. Does not look at sender constraints, revocation or
   * scopes.
   *
   * @param recalled of the same token.
   * @throws what {@link verifyAccessToken} throws.
   */
  verify(token: string, recalled: Recalled = {}): Eventually<VerifiedClaims> {
    const known = recalled.remembered;
    if (known !== undefined && this.#isGood(known)) return this.#current(known);
    requireLength(token, this.#rules.resource.maxTokenLength); // a hash of megabytes takes too long
    recalled.hash ??= sha256(token);
    const key = this.#tokens.keyOf(recalled.hash);
    const remembered = this.#tokens.get(key);
    if (remembered === undefined) return this.#verifyNew(token, key);
    if (!this.#isGood(remembered)) {
      this.#tokens.delete(key);
      return this.#verifyNew(token, key);
    }
    recalled.remembered = remembered;
    return this.#current(remembered);
  }

  /** The token, with all spellings of its signature. */
  forget(token: string): void {
    this.#tokens.forget(token);
  }

  /** Its key may have been withdrawn, or the key set be too old to be used. */
  #isGood({ key, since }: RememberedToken): boolean {
    const elapsed = this.#trust.clock.elapsed();
    return elapsed - since <= MAX_AGE_SECONDS && this.#trust.jwks.holds(key, elapsed);
  }

  #current({ claims }: RememberedToken): VerifiedClaims {
    requireValidNow(claims, this.#rules);
    return claims;
  }

  #verifyNew(token: string, key: string): Eventually<VerifiedClaims> {
    const underWay = this.#verifying.get(key);
    if (underWay !== undefined) return underWay;
    const verified = verifyAccessToken(token, this.#rules);
    if (!(verified instanceof Promise)) return this.#remember(token, key, verified);
    const claims = verified
      .then((known) => this.#remember(token, key, known))
      .finally(() => this.#verifying.delete(key));
    this.#verifying.set(key, claims);
    return claims;
  }

  #remember(token: string, key: string, verified: VerifiedAccessToken): VerifiedClaims {
    const { length } = token;
    this.#tokens.set(key, new RememberedToken(verified, length, this.#trust.clock.elapsed()));
    return verified.claims;
  }
}
