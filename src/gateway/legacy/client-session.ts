import { randomUUID } from 'node:crypto';
import { isJsonObject, member } from '../../core/lib/members.js';
import {
  LEGACY,
  type LegacySession,
  type SessionAnswer,
  type SessionClient,
} from '../upstream/legacy-session.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { Message } from '../upstream/reply-messages.js';
import { UpstreamSessions } from '../upstream/upstream-sessions.js';
import type { Upstream } from '../upstream/upstream.js';
import { INTERNAL_ERROR } from '../wire/json-rpc-answer.js';
import { answerTo } from './reserved-meta.js';
import type { SessionStream } from './session-stream.js';

/** Told the answer, by whoever the question came from. */
type Answered = (answer: SessionAnswer) => void;

type Cancel = (reason: unknown) => void;

/** Who has asked, and the id of the question there. */
interface Asker {
  readonly upstream: object;
  readonly id: unknown;
}

interface Question {
  readonly answered: Answered;
  readonly asker: Asker | undefined;
}

/** A resource of which a client wants to hear. */
export interface Subscription {
  readonly upstream: Upstream;
  /** Ends what is heard of it. */
  readonly stop: AbortController;
}

const MAX_QUESTIONS = 256;
/** Of one upstream. */
const MAX_OF_ONE = 64;
const TOO_MANY = { error: { code: INTERNAL_ERROR, message: 'Too many questions' } };

/** The session of one client of the 2025 revisions: its upstream sessions, calls and open questions. */
export class ClientSession {
  readonly id = randomUUID();
  readonly callerKey: string;
  /** The revision that was agreed upon. */
  readonly version: string;
  readonly upstreams: UpstreamSessions;
  /** By URI. */
  readonly subscriptions = new Map<string, Subscription>();
  /** Told of a task that it has made; `undefined` while no stream is open. */
  follow: ((task: Readonly<Record<string, unknown>>) => void) | undefined;
  lastUsed = performance.now();
  readonly #questions = new Map<string, Question>();
  readonly #calls = new Map<string | number, Set<Cancel>>();
  #lastQuestion = 0;
  #isClosed = false;
  #stream: SessionStream | undefined;
  #kept: ReadonlySet<Upstream> | undefined;

  /** @param version that was agreed upon. */
  constructor(callerKey: string, client: SessionClient, version: string = LEGACY) {
    this.callerKey = callerKey;
    this.version = version;
    this.upstreams = new UpstreamSessions(client);
  }

  get client(): SessionClient {
    return this.upstreams.client;
  }

  /** A call is under way, or a stream is open. */
  get isBusy(): boolean {
    return this.#calls.size > 0 || this.#stream !== undefined;
  }

  /** What runs for it ends, and its upstreams are told. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const id of this.#calls.keys()) this.cancel(id, new Error('the session has ended'));
    for (const { stop } of this.subscriptions.values()) stop.abort();
    this.#questions.clear();
    this.#stream?.end();
    await this.upstreams.close();
  }

  /** For what belongs to no call. */
  get stream(): SessionStream | undefined {
    return this.#stream;
  }

  /** A client that opens another one has lost the one before. */
  set stream(stream: SessionStream | undefined) {
    this.#stream?.end();
    if (this.#isClosed) stream?.end();
    this.#stream = stream;
    this.lastUsed = performance.now();
  }

  /**
   * Of too many, the oldest is answered with an error: of this upstream, if it has more than its share.
   *
   * @returns the id under which the client is asked
   */
  question(answered: Answered, asker?: Asker): string {
    const id = `gateway-${++this.#lastQuestion}`;
    const ofOne = [...this.#questions].filter(
      ([, one]) => asker !== undefined && one.asker?.upstream === asker.upstream,
    );
    const [[oldest] = []] = ofOne.length >= MAX_OF_ONE ? ofOne : this.#questions;
    const isFull = ofOne.length >= MAX_OF_ONE || this.#questions.size >= MAX_QUESTIONS;
    if (isFull) this.answer(oldest, TOO_MANY);
    this.#questions.set(id, { answered, asker });
    return id;
  }

  /**
   * The same for a question of an upstream, which is answered with the token of the request in `asking`.
   *
   * @returns the id under which the client is asked
   */
  questionOf(
    question: Message,
    upstream: LegacySession,
    asking: Omit<Asking, 'timeoutMs'>,
  ): string {
    const id = member(question, 'id');
    const answered: Answered = (answer) => upstream.answer(id, answerTo(question, answer), asking);
    return this.question(answered, { upstream, id });
  }

  /** Each question has one answer; any other is nobody's. */
  answer(id: unknown, answer: SessionAnswer): void {
    if (typeof id !== 'string') return;
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    question?.answered(answer);
  }

  /** It is not asked any more. @returns whether it was open */
  withdraw(id: string): boolean {
    return this.#questions.delete(id);
  }

  /**
   * A notification of an upstream for the client, who knows its questions by other ids.
   *
   * @returns `undefined` if it takes a question back that the client was not asked, or has answered
   */
  told(message: Message, upstream: object): Message | undefined {
    if (member(message, 'method') !== 'notifications/cancelled') return message;
    const params = member(message, 'params');
    if (!isJsonObject(params)) return undefined;
    const [requestId] =
      [...this.#questions].find(
        ([, { asker }]) => asker?.upstream === upstream && asker.id === params['requestId'],
      ) ?? [];
    if (requestId === undefined) return undefined;
    this.#questions.delete(requestId);
    return { ...message, params: { ...params, requestId } };
  }

  /** @returns its end */
  begin(id: string | number, cancel: Cancel): () => void {
    const same = this.#calls.get(id) ?? new Set();
    this.#calls.set(id, same.add(cancel));
    return () => {
      same.delete(cancel);
      if (same.size === 0 && this.#calls.get(id) === same) this.#calls.delete(id);
      this.#closeOthers();
      this.lastUsed = performance.now();
    };
  }

  /** Sessions with other upstreams end, once no call is under way. */
  keepOnly(upstreams: ReadonlySet<Upstream>): void {
    this.#kept = upstreams;
    this.#closeOthers();
  }

  #closeOthers(): void {
    if (this.#kept === undefined || this.#calls.size > 0) return;
    void this.upstreams.closeOthers(this.#kept);
    this.#kept = undefined;
  }

  cancel(id: unknown, reason: unknown): void {
    if (typeof id !== 'string' && typeof id !== 'number') return;
    for (const cancel of this.#calls.get(id) ?? []) cancel(reason);
  }
}
