import type { Jwks } from '../discovery/jwks.js';
import type { Eventually } from '../lib/deadline.js';
import { type AccessTokenRules, requireValidNow, verifyAccessToken } from './access-token.js';
import type { VerifiedClaims } from './verified-claims.js';
import type { VerifiedTokens } from './verified-tokens.js';

/** What the claims of a token are, for one resource; a token that was found good before is remembered. */
export class TokenVerifier {
  readonly #rules: AccessTokenRules;
  readonly #jwks: Pick<Jwks, 'holds'>;
  readonly #tokens: VerifiedTokens;

  constructor(rules: AccessTokenRules, jwks: Pick<Jwks, 'holds'>, tokens: VerifiedTokens) {
    this.#rules = rules;
    this.#jwks = jwks;
    this.#tokens = tokens;
  }

  /**
   * Known at once for a token that is remembered. Does not look at sender constraints, revocation or
   * scopes.
   *
   * @throws what {@link verifyAccessToken} throws.
   */
  verify(token: string): Eventually<VerifiedClaims> {
    return this.#remembered(token) ?? this.#verifyNew(token);
  }

  /** The token, with all spellings of its signature. */
  forget(token: string): void {
    this.#tokens.forget(token);
  }

  #remembered(token: string): VerifiedClaims | undefined {
    if (token.length > this.#rules.resource.maxTokenLength) return undefined; // a hash of megabytes takes too long
    const known = this.#tokens.get(token);
    if (known === undefined) return undefined;
    if (!this.#jwks.holds(known.key)) {
      this.#tokens.delete(token); // its key was withdrawn, or the key set is too old to be used
      return undefined;
    }
    requireValidNow(known.claims, this.#rules);
    return known.claims;
  }

  async #verifyNew(token: string): Promise<VerifiedClaims> {
    const verified = await verifyAccessToken(token, this.#rules);
    this.#tokens.set(token, verified);
    return verified.claims;
  }
}
