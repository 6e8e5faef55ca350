import { SessionNotFoundError } from '../../core/errors/request-errors.js';
import { LegacySession, type SessionClient } from './legacy-session.js';
import type { Asking } from './modern-rpc.js';
import type { Upstream } from './upstream.js';

type Who = Omit<Asking, 'timeoutMs'>;

/** The sessions of one client with upstreams of the revisions up to 2025-11-25: one with each, and nobody else's. */
export class UpstreamSessions {
  readonly client: SessionClient;
  /** For log messages, as the client has set it. */
  logLevel: string | undefined;
  readonly #open = new Map<Upstream, Promise<LegacySession>>();
  readonly #subscribed = new Map<Upstream, Set<string>>();
  #isClosed = false;
  /** For whom the last request was, whose token ends the sessions. */
  #asking: Pick<Asking, 'caller' | 'callerKey' | 'strategy'> | undefined;

  constructor(client: SessionClient) {
    this.client = client;
  }

  /** Sessions of the same client beside these, for one call. */
  another(): UpstreamSessions {
    const other = new UpstreamSessions(this.client);
    other.logLevel = this.logLevel;
    return other;
  }

  /**
   * Opened by whoever needs it first.
   *
   * @throws SessionNotFoundError once they are closed, for nobody would end one that is opened then
   */
  async with(upstream: Upstream, asking: Who): Promise<LegacySession> {
    if (this.#isClosed)
      throw new SessionNotFoundError('an MCP session of the gateway that has ended');
    this.#asking = asking;
    const known = this.#open.get(upstream);
    if (known !== undefined) return known;
    const opening = this.#begin(upstream, asking);
    this.#open.set(upstream, opening);
    try {
      return await opening;
    } catch (error) {
      if (this.#open.get(upstream) === opening) this.#open.delete(upstream);
      throw error;
    }
  }

  /** The upstream knows the session no more. */
  async reopened(lost: LegacySession, asking: Who): Promise<LegacySession> {
    const { upstream } = lost;
    const known = this.#open.get(upstream);
    const current = await known?.catch(() => undefined);
    // Another call of this client may have begun the next one meanwhile.
    if (current === lost && this.#open.get(upstream) === known) this.#open.delete(upstream);
    return this.with(upstream, asking);
  }

  /** The upstream is told once, however often it is asked for, and again in a session that takes the place of this one. */
  async subscribe(upstream: Upstream, uri: string, asking: Who): Promise<void> {
    const uris = this.#subscribed.get(upstream) ?? new Set();
    if (uris.has(uri)) return;
    await this.#ask(upstream, 'resources/subscribe', { uri }, asking);
    this.#subscribed.set(upstream, uris.add(uri));
  }

  async unsubscribe(upstream: Upstream, uri: string, asking: Who): Promise<void> {
    const uris = this.#subscribed.get(upstream);
    if (uris?.delete(uri) !== true) return;
    await this.#ask(upstream, 'resources/unsubscribe', { uri }, asking);
  }

  /** Those that are open. */
  async all(): Promise<readonly LegacySession[]> {
    const all = await Promise.allSettled(this.#open.values());
    return all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  }

  /** Never rejects. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.closeOthers(new Set());
  }

  /** All but those with these upstreams. Never rejects. */
  async closeOthers(kept: ReadonlySet<Upstream>): Promise<void> {
    const asking = this.#asking;
    if (asking === undefined) return;
    const closing = (await this.all()).filter(({ upstream }) => !kept.has(upstream));
    for (const upstream of this.#open.keys()) if (!kept.has(upstream)) this.#open.delete(upstream);
    await Promise.all(closing.map((one) => one.close(asking)));
  }

  async #ask(upstream: Upstream, method: string, params: object, asking: Who): Promise<void> {
    const session = await this.with(upstream, asking);
    const { timeoutMs } = upstream.options;
    await session.ask(method, params, { ...asking, timeoutMs });
  }

  async #begin(upstream: Upstream, asking: Who): Promise<LegacySession> {
    const session = await LegacySession.open(upstream, this.client, asking);
    const { logLevel: level } = this;
    const { timeoutMs } = upstream.options;
    const again = [
      ...(level === undefined ? [] : [['logging/setLevel', { level }] as const]),
      ...[...(this.#subscribed.get(upstream) ?? [])].map(
        (uri) => ['resources/subscribe', { uri }] as const,
      ),
    ];
    for (const [method, params] of again) {
      await session.ask(method, params, { ...asking, timeoutMs }).catch(() => undefined); // has it no more
    }
    return session;
  }
}
