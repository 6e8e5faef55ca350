import { createHash } from 'node:crypto';
import type { VerifiedAccessToken } from './access-token.js';
import { Generations } from './generations.js';

const MAX_TOKENS = 10_000;

/**
 * Memory of tokens whose signature and claims were found good, so that a caller's next request costs
 * a hash and not a signature.
 *
 * Keyed by a hash of the whole token: no bearer token is kept, and another spelling of a signature
 * is another token. Whoever takes an entry out checks times, key, binding and revocation again.
 */
export class VerifiedTokens {
  readonly #tokens = new Generations<VerifiedAccessToken>(MAX_TOKENS / 2);

  get(token: string): VerifiedAccessToken | undefined {
    return this.#tokens.get(keyOf(token));
  }

  set(token: string, verified: VerifiedAccessToken): void {
    this.#tokens.set(keyOf(token), verified);
  }

  delete(token: string): void {
    this.#tokens.delete(keyOf(token));
  }
}

function keyOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
