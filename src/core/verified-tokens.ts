import type { VerifiedAccessToken } from './access-token.js';
import { sha256 } from './digest.js';
import { Generations } from './generations.js';
import { signingInput } from './signing-input.js';

const MAX_TOKENS = 10_000;

interface Remembered {
  readonly tokenHash: string;
  readonly verified: VerifiedAccessToken;
}

/**
 * Memory of tokens whose signature and claims were found good, so that a caller's next request costs
 * a hash and not a signature.
 *
 * Known by a hash of the whole token: no bearer token is kept, and another spelling of a signature
 * has not been verified. There is one entry for all spellings, so that forgetting one forgets all.
 * Whoever takes an entry out checks times, key, binding and revocation again.
 */
export class VerifiedTokens {
  readonly #tokens = new Generations<Remembered>(MAX_TOKENS / 2);

  get(token: string): VerifiedAccessToken | undefined {
    const known = this.#tokens.get(keyOf(token));
    return known?.tokenHash === sha256(token) ? known.verified : undefined;
  }

  set(token: string, verified: VerifiedAccessToken): void {
    this.#tokens.set(keyOf(token), { tokenHash: sha256(token), verified });
  }

  delete(token: string): void {
    this.#tokens.delete(keyOf(token));
  }
}

function keyOf(token: string): string {
  return sha256(signingInput(token));
}
