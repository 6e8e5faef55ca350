import type { VerifiedClaims } from './verified-claims.js';

const GENERATION_SIZE = 10_000;

/**
 * Who opened which MCP session (protocol revisions up to 2025-11-25). The specification asks to bind a
 * session to its user, because its id travels in the open and is no credential.
 *
 * Two generations: when the young one is full it becomes the old one, and what was in that is
 * forgotten. A session that is used stays young.
 */
export class SessionOwners {
  #young = new Map<string, string>();
  #old = new Map<string, string>();

  constructor(private readonly generationSize = GENERATION_SIZE) {}

  /** Whether somebody else is known to have opened this session. An unknown id is the server's affair. */
  isForeign(sessionId: string, claims: VerifiedClaims): boolean {
    const owner = this.#ownerOf(sessionId);
    return owner !== undefined && owner !== identity(claims);
  }

  /** The first one to be seen with a session owns it. */
  remember(sessionId: string, claims: VerifiedClaims): void {
    if (this.#ownerOf(sessionId) === undefined) this.#put(sessionId, identity(claims));
  }

  forget(sessionId: string): void {
    this.#young.delete(sessionId);
    this.#old.delete(sessionId);
  }

  #ownerOf(sessionId: string): string | undefined {
    const young = this.#young.get(sessionId);
    if (young !== undefined) return young;
    const old = this.#old.get(sessionId);
    if (old !== undefined) this.#put(sessionId, old);
    return old;
  }

  #put(sessionId: string, owner: string): void {
    if (this.#young.size >= this.generationSize) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(sessionId, owner);
  }
}

/** The subject alone is too wide: it would let one client of a user into the sessions of another. */
function identity({ issuer, sub, clientId }: VerifiedClaims): string {
  return JSON.stringify([issuer, sub, clientId]);
}
