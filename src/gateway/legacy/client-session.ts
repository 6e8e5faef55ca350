import { randomUUID } from 'node:crypto';
import type { RpcErrorObject } from '../wire/json-rpc-answer.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { Upstream } from '../upstream/upstream.js';
import { LegacySession, type SessionClient } from '../upstream/legacy-session.js';

/** What a client answers to a question. */
export type QuestionAnswer = { readonly result: unknown } | { readonly error: RpcErrorObject };

/** Told the answer, by whoever the question came from. */
type Answered = (answer: QuestionAnswer) => void;

const MAX_QUESTIONS = 256;

/** The session of one client of the 2025 revisions: its upstream sessions, calls and open questions. */
export class ClientSession {
  readonly id = randomUUID();
  readonly callerKey: string;
  readonly client: SessionClient;
  /** For log messages, as the client has set it. */
  logLevel: string | undefined;
  lastUsed = performance.now();
  /** For whom the last request was, whose token ends the sessions of upstreams. */
  asking: Pick<Asking, 'caller' | 'callerKey'> | undefined;
  readonly #upstreams = new Map<Upstream, Promise<LegacySession>>();
  readonly #questions = new Map<string, Answered>();
  readonly #calls = new Map<string | number, (reason: unknown) => void>();
  #lastQuestion = 0;

  constructor(callerKey: string, client: SessionClient) {
    this.callerKey = callerKey;
    this.client = client;
  }

  /** Calls that are under way. */
  get isBusy(): boolean {
    return this.#calls.size > 0;
  }

  /** One session for each upstream, opened by whoever needs it first. */
  async with(upstream: Upstream, asking: Omit<Asking, 'timeoutMs'>): Promise<LegacySession> {
    this.asking = asking;
    const known = this.#upstreams.get(upstream);
    if (known !== undefined) return known;
    const opening = this.#open(upstream, asking);
    this.#upstreams.set(upstream, opening);
    try {
      return await opening;
    } catch (error) {
      if (this.#upstreams.get(upstream) === opening) this.#upstreams.delete(upstream);
      throw error;
    }
  }

  /** The upstream knows the session no more. */
  async reopened(lost: LegacySession, asking: Omit<Asking, 'timeoutMs'>): Promise<LegacySession> {
    const { upstream } = lost;
    const current = await this.#upstreams.get(upstream)?.catch(() => undefined);
    if (current === lost) this.#upstreams.delete(upstream);
    return this.with(upstream, asking);
  }

  async #open(upstream: Upstream, asking: Omit<Asking, 'timeoutMs'>): Promise<LegacySession> {
    const session = await LegacySession.open(upstream, this.client, asking);
    const { logLevel: level } = this;
    const { timeoutMs } = upstream.options;
    if (level !== undefined) {
      await session
        .ask('logging/setLevel', { level }, { ...asking, timeoutMs })
        .catch(() => undefined); // has no log
    }
    return session;
  }

  /** What runs for it ends, and its upstreams are told. Never rejects. */
  async close(): Promise<void> {
    for (const cancel of this.#calls.values()) cancel(new Error('the session has ended'));
    this.#questions.clear();
    const { asking } = this;
    if (asking === undefined) return;
    await Promise.all((await this.upstreamSessions()).map((one) => one.close(asking)));
  }

  /** Those that are open. */
  async upstreamSessions(): Promise<readonly LegacySession[]> {
    const all = await Promise.allSettled(this.#upstreams.values());
    return all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  }

  /** @returns the id under which the client is asked */
  question(answered: Answered): string {
    const id = `gateway-${++this.#lastQuestion}`;
    const [oldest] = this.#questions.keys();
    if (this.#questions.size >= MAX_QUESTIONS && oldest !== undefined)
      this.#questions.delete(oldest);
    this.#questions.set(id, answered);
    return id;
  }

  /** Each question has one answer; any other is nobody's. */
  answer(id: unknown, answer: QuestionAnswer): void {
    if (typeof id !== 'string') return;
    const answered = this.#questions.get(id);
    this.#questions.delete(id);
    answered?.(answer);
  }

  /** @returns its end */
  begin(id: string | number, cancel: (reason: unknown) => void): () => void {
    this.#calls.set(id, cancel);
    return () => {
      if (this.#calls.get(id) === cancel) this.#calls.delete(id);
      this.lastUsed = performance.now();
    };
  }

  cancel(id: unknown, reason: unknown): void {
    if (typeof id === 'string' || typeof id === 'number') this.#calls.get(id)?.(reason);
  }
}
