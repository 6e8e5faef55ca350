import { Generations } from './generations.js';
import type { VerifiedClaims } from './verified-claims.js';

const GENERATION_SIZE = 10_000;

/**
 * Who opened which MCP session (protocol revisions up to 2025-11-25). The specification asks to bind a
 * session to its user, because its id travels in the open and is no credential.
 *
 * Bounded; a session that is used stays in memory.
 */
export class SessionOwners {
  readonly #owners: Generations<string>;

  constructor(generationSize = GENERATION_SIZE) {
    this.#owners = new Generations(generationSize);
  }

  /** Whether somebody else is known to have opened this session. An unknown id is the server's affair. */
  isForeign(sessionId: string, claims: VerifiedClaims): boolean {
    const owner = this.#owners.get(sessionId);
    return owner !== undefined && owner !== identity(claims);
  }

  /** The first one to be seen with a session owns it. */
  remember(sessionId: string, claims: VerifiedClaims): void {
    if (this.#owners.get(sessionId) === undefined) this.#owners.set(sessionId, identity(claims));
  }

  forget(sessionId: string): void {
    this.#owners.delete(sessionId);
  }
}

/** The subject alone is too wide: it would let one client of a user into the sessions of another. */
function identity({ issuer, sub, clientId }: VerifiedClaims): string {
  return JSON.stringify([issuer, sub, clientId]);
}
