import type { VerifiedClaims } from '../core/verified-claims.js';

const MAX_SESSIONS = 20_000;

/**
 * Who opened which MCP session (protocol revisions up to 2025-11-25). The specification asks to bind a
 * session to its user, because its id travels in the open and is no credential.
 *
 * Bounded. When there is no room, whoever has most sessions loses the one that was not used for longest:
 * to open many pushes out one's own. From then on an unknown session is nobody's to use, because it may
 * be one that was pushed out.
 */
export class SessionOwners {
  readonly #maxSessions: number;
  readonly #owners = new Map<string, string>();
  /** By owner; both owners and sessions in the order of their last use. */
  readonly #sessions = new Map<string, Set<string>>();
  #hasForgotten = false;

  constructor(maxSessions = MAX_SESSIONS) {
    this.#maxSessions = maxSessions;
  }

  knows(sessionId: string): boolean {
    return this.#owners.has(sessionId);
  }

  /** Whether this caller must be kept out. An id that never was known is left to the server. */
  isForeign(sessionId: string, claims: VerifiedClaims): boolean {
    const owner = this.#owners.get(sessionId);
    if (owner === undefined) return this.#hasForgotten;
    if (owner !== identity(claims)) return true;
    this.#use(sessionId, owner);
    return false;
  }

  /** The first one to be seen with a session owns it. */
  remember(sessionId: string, claims: VerifiedClaims): void {
    if (this.#owners.has(sessionId)) return;
    if (this.#owners.size >= this.#maxSessions) this.#makeRoom();
    const owner = identity(claims);
    this.#owners.set(sessionId, owner);
    this.#use(sessionId, owner);
  }

  forget(sessionId: string): void {
    const owner = this.#owners.get(sessionId);
    if (owner === undefined) return;
    this.#owners.delete(sessionId);
    const sessions = this.#sessions.get(owner);
    sessions?.delete(sessionId);
    if (sessions?.size === 0) this.#sessions.delete(owner);
  }

  #use(sessionId: string, owner: string): void {
    const sessions = this.#sessions.get(owner) ?? new Set();
    sessions.delete(sessionId);
    sessions.add(sessionId);
    this.#sessions.delete(owner);
    this.#sessions.set(owner, sessions);
  }

  #makeRoom(): void {
    let most = new Set<string>();
    for (const sessions of this.#sessions.values()) if (sessions.size > most.size) most = sessions;
    const [oldest] = most;
    if (oldest !== undefined) this.forget(oldest);
    this.#hasForgotten = true;
  }
}

/** The subject alone is too wide: it would let one client of a user into the sessions of another. */
function identity({ issuer, sub, clientId }: VerifiedClaims): string {
  return JSON.stringify([issuer, sub, clientId]);
}
