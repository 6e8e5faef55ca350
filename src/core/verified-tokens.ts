import { createHash } from 'node:crypto';
import type { VerifiedAccessToken } from './access-token.js';

const MAX_TOKENS = 10_000;

/**
 * Memory of tokens whose signature and claims were found good, so that a caller's next request costs
 * a hash and not a signature.
 *
 * Keyed by a hash of the whole token: no bearer token is kept, and another spelling of a signature
 * is another token. Whoever takes an entry out checks times, key, binding and revocation again.
 *
 * Two generations: when the young one is full it becomes the old one and the old one is dropped;
 * what is in use moves back to the young one. Bounded, without the cost of an ordered list.
 */
export class VerifiedTokens {
  #young = new Map<string, VerifiedAccessToken>();
  #old = new Map<string, VerifiedAccessToken>();

  get(token: string): VerifiedAccessToken | undefined {
    const key = keyOf(token);
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.#put(key, old);
    return old;
  }

  set(token: string, verified: VerifiedAccessToken): void {
    this.#put(keyOf(token), verified);
  }

  delete(token: string): void {
    const key = keyOf(token);
    this.#young.delete(key);
    this.#old.delete(key);
  }

  #put(key: string, verified: VerifiedAccessToken): void {
    if (this.#young.size >= MAX_TOKENS / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, verified);
  }
}

function keyOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
