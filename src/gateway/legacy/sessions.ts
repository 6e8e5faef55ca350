import { SessionNotFoundError } from '../../core/errors/request-errors.js';
import type { ResolvedGateway } from '../options/gateway-options.js';
import type { Upstream } from '../upstream/upstream.js';
import { ClientSession } from './client-session.js';
import type { SessionClient } from '../upstream/legacy-session.js';

const SWEEP_MS = 30_000;

/** The sessions of all clients; each belongs to the caller who opened it. */
export class Sessions {
  readonly #options: Pick<ResolvedGateway, 'maxSessions' | 'sessionIdleMs'>;
  /** The one that was not used for longest is the first. */
  readonly #open = new Map<string, ClientSession>();
  readonly #perCaller = new Map<string, number>();
  readonly #sweep: NodeJS.Timeout;

  constructor(options: Pick<ResolvedGateway, 'maxSessions' | 'sessionIdleMs'>) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#endIdle(), SWEEP_MS).unref();
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * Where there are too many, one makes room that was not used for longest: of whoever has more than his share, so
   * that one caller cannot end the sessions of all others.
   */
  open(callerKey: string, client: SessionClient, version?: string): ClientSession {
    const session = new ClientSession(callerKey, client, version);
    if (this.#open.size >= this.#options.maxSessions) this.#makeRoomFor(callerKey);
    this.#open.set(session.id, session);
    this.#perCaller.set(callerKey, (this.#perCaller.get(callerKey) ?? 0) + 1);
    return session;
  }

  #makeRoomFor(callerKey: string): void {
    const callers = this.#perCaller.size + (this.#perCaller.has(callerKey) ? 0 : 1);
    const share = Math.ceil(this.#options.maxSessions / callers);
    let [oldest] = this.#open.values();
    for (const session of this.#open.values()) {
      if ((this.#perCaller.get(session.callerKey) ?? 0) <= share) continue;
      oldest = session;
      break;
    }
    if (oldest !== undefined) this.end(oldest);
  }

  /** @throws SessionNotFoundError for one that is not there, or that somebody else has opened */
  get(id: unknown, callerKey: string): ClientSession {
    const session = typeof id === 'string' ? this.#open.get(id) : undefined;
    if (session?.callerKey !== callerKey) {
      throw new SessionNotFoundError(
        'an MCP session of the gateway that this caller has not opened',
      );
    }
    session.lastUsed = performance.now();
    this.#open.delete(session.id); // the last one is the last to go
    this.#open.set(session.id, session);
    return session;
  }

  /** Without counting as use, and whoever asks. */
  peek(id: unknown): ClientSession | undefined {
    return typeof id === 'string' ? this.#open.get(id) : undefined;
  }

  /** Its sessions with upstreams end, too. */
  end(session: ClientSession): void {
    if (this.#open.delete(session.id)) this.#forget(session);
    void session.close();
  }

  #forget({ callerKey }: ClientSession): void {
    const left = (this.#perCaller.get(callerKey) ?? 1) - 1;
    if (left === 0) this.#perCaller.delete(callerKey);
    else this.#perCaller.set(callerKey, left);
  }

  /** Sessions with other upstreams end. */
  keepOnly(upstreams: ReadonlySet<Upstream>): void {
    for (const session of this.#open.values()) session.keepOnly(upstreams);
  }

  /** Clients open them again, at whatever serves then. */
  endStreams(): void {
    for (const { stream } of this.#open.values()) stream?.end();
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    const all = [...this.#open.values()];
    this.#open.clear();
    this.#perCaller.clear();
    await Promise.all(all.map((session) => session.close()));
  }

  #endIdle(): void {
    const since = performance.now() - this.#options.sessionIdleMs;
    for (const session of this.#open.values()) {
      if (!session.isBusy && session.lastUsed < since) this.end(session);
    }
  }
}
