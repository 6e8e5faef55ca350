import type { VerifiedAccessToken } from './access-token.js';
import { sha256 } from '../lib/digest.js';
import { Generations } from '../lib/generations.js';
import { signingInput } from '../jws/signing-input.js';

const MAX_TOKENS = 10_000;
/** Of token text; what is kept of a token is some times that. Full with tokens of more than 1.6 KB. */
const MAX_BYTES = 16 * 1024 * 1024;

interface Remembered {
  readonly verified: VerifiedAccessToken;
  /** The same for all spellings of the signature. */
  readonly signedHash: string;
  /** Length of the token, which its claims grow with. */
  readonly bytes: number;
}

/**
 * Memory of tokens whose signature and claims were found good, so that a caller's next request costs
 * a hash and not a signature.
 *
 * Known by a hash of the whole token: no bearer token is kept, and another spelling of a signature
 * has not been verified. Whoever takes an entry out checks times, key, binding and revocation again.
 */
export class VerifiedTokens {
  readonly #tokens: Generations<Remembered>;
  readonly #keyPrefix: string;

  constructor(tokens = newMemory(), keyPrefix = '') {
    this.#tokens = tokens;
    this.#keyPrefix = keyPrefix;
  }

  /** What another resource has verified, in the same bounds: one forgets what the other has no room for. */
  sharedWith(resource: string): VerifiedTokens {
    return new VerifiedTokens(this.#tokens, `${resource} `);
  }

  /** Tokens in memory. */
  get size(): number {
    return this.#tokens.size;
  }

  get(token: string): VerifiedAccessToken | undefined {
    return this.#tokens.get(this.#keyOf(token))?.verified;
  }

  set(token: string, verified: VerifiedAccessToken): void {
    this.#tokens.set(this.#keyOf(token), {
      verified,
      signedHash: sha256(signingInput(token)),
      bytes: token.length,
    });
  }

  delete(token: string): void {
    this.#tokens.delete(this.#keyOf(token));
  }

  #keyOf(token: string): string {
    return this.#keyPrefix + sha256(token);
  }

  /** The token that was revoked, with all spellings of its signature, whoever has verified it. */
  forget(token: string): void {
    for (const key of this.#tokens.tagged(sha256(signingInput(token)))) this.#tokens.delete(key);
  }
}

function newMemory(): Generations<Remembered> {
  return new Generations(MAX_TOKENS / 2, {
    weights: { of: ({ bytes }) => bytes, max: MAX_BYTES / 2 },
    tags: ({ signedHash }) => [signedHash],
  });
}
