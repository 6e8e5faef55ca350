import type { Caller } from '../../../core/token/caller.js';

const MAX_IDS = 20_000;

/** Whose state it is, as one text; see {@link ownerOf}. */
export type Owner = string;

interface Owned<Note> {
  readonly owner: Owner;
  readonly note: Note;
}

/**
 * Who has opened which piece of a server's state: an MCP session (protocol revisions up to 2025-11-25),
 * a task. The specification asks to bind both to their user, because their ids travel in the open and
 * are no credentials.
 *
 * Bounded. When there is no room, whoever has most ids loses the one that was not used for longest:
 * to open many pushes out one's own. From then on an unknown id is nobody's to use, because it may be
 * one that was pushed out.
 */
export class StateOwners<Note = undefined> {
  readonly #maxIds: number;
  readonly #owned = new Map<string, Owned<Note>>();
  /** By owner; both owners and ids in the order of their last use. */
  readonly #ids = new Map<Owner, Set<string>>();
  #hasForgotten = false;

  constructor(maxIds = MAX_IDS) {
    this.#maxIds = maxIds;
  }

  knows(id: string): boolean {
    return this.#owned.has(id);
  }

  /** What was noted of an id of this owner; `undefined` for any other. */
  noteFor(id: string, owner: Owner): Note | undefined {
    const owned = this.#owned.get(id);
    if (owned?.owner !== owner) return undefined;
    this.#use(id, owner);
    return owned.note;
  }

  /** Whether this caller must be kept out. An id that never was known is left to the server. */
  isForeign(id: string, owner: Owner): boolean {
    const owned = this.#owned.get(id);
    if (owned === undefined) return this.#hasForgotten;
    if (owned.owner !== owner) return true;
    this.#use(id, owner);
    return false;
  }

  /** Whether it is known to be of this owner. */
  isOf(id: string, owner: Owner): boolean {
    return this.#owned.get(id)?.owner === owner;
  }

  /** To another owner, if it is of the first. @returns whether it was. */
  handOver(id: string, from: Owner, to: Owner): boolean {
    const owned = this.#owned.get(id);
    if (owned?.owner !== from) return false;
    this.forget(id);
    this.remember(id, to, owned.note);
    return true;
  }

  /** The first one to be seen with an id owns it. */
  remember(id: string, owner: Owner, note: Note): void {
    if (this.#owned.has(id)) return;
    if (this.#owned.size >= this.#maxIds) this.#makeRoom();
    this.#owned.set(id, { owner, note });
    this.#use(id, owner);
  }

  forget(id: string): void {
    const owned = this.#owned.get(id);
    if (owned === undefined) return;
    this.#owned.delete(id);
    const ids = this.#ids.get(owned.owner);
    ids?.delete(id);
    if (ids?.size === 0) this.#ids.delete(owned.owner);
  }

  #use(id: string, owner: Owner): void {
    const ids = this.#ids.get(owner) ?? new Set();
    ids.delete(id);
    ids.add(id);
    this.#ids.delete(owner);
    this.#ids.set(owner, ids);
  }

  #makeRoom(): void {
    let most = new Set<string>();
    for (const ids of this.#ids.values()) if (ids.size > most.size) most = ids;
    const [oldest] = most;
    if (oldest !== undefined) this.forget(oldest);
    this.#hasForgotten = true;
  }
}

/** Of claims, which the requests with one token share. */
const owners = new WeakMap<object, { readonly resource: string; readonly owner: Owner }>();

/**
 * The subject alone is too wide: it would let one client of a user into the state of another, and a
 * token for one resource of the application into what was opened at another.
 */
export function ownerOf({ resource, claims }: Pick<Caller, 'resource' | 'claims'>): Owner {
  const known = owners.get(claims);
  if (known?.resource === resource) return known.owner;
  const { issuer, sub, clientId } = claims;
  const owner = JSON.stringify([resource, issuer, sub, clientId]);
  owners.set(claims, { resource, owner });
  return owner;
}
