import { setTimeout as delay } from 'node:timers/promises';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { SessionListener } from '../changes/session-listener.js';
import { QUESTIONS } from '../legacy/call-in-session.js';
import { withoutReserved } from '../legacy/reserved-meta.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { Route } from '../listing/routing-table.js';
import { callTerms } from '../upstream/call-terms.js';
import type { LegacySession, SessionAnswer, SessionClient } from '../upstream/legacy-session.js';
import type { Asking } from '../upstream/modern-rpc.js';
import { type Message, messagesOf } from '../upstream/reply-messages.js';
import { refusal } from '../upstream/upstream-refusal.js';
import { RpcError, UnknownOperationError, UpstreamError } from '../wire/gateway-errors.js';
import { INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND } from '../wire/json-rpc-answer.js';
import {
  isOver,
  LEGACY_TASK_NEWS,
  modernTask,
  relatedTaskOf,
  ofTask,
  type TaskOutcome,
} from '../wire/task-shapes.js';
import { HeldListeners, type TaskHearer } from './held-listeners.js';
import { HeldQuestions } from './held-questions.js';

type Who = Omit<Asking, 'timeoutMs'>;

/** What is held of a task of an upstream of 2025-11-25. */
export interface HeldParts {
  /** As the client knows it. */
  readonly id: string;
  /** As the upstream knows it. */
  readonly taskId: string;
  readonly route: Route;
  readonly callerKey: string;
  /** The one in which it runs, and no other: in another one the same id may be somebody else's. */
  readonly session: LegacySession;
  /** What the client has declared that has made it. */
  readonly client: SessionClient;
  /** Milliseconds for which the upstream keeps it, as that says it. */
  readonly ttl?: unknown;
  readonly registry: Pick<UpstreamRegistry, 'catalogue' | 'log'>;
}

/** However long an upstream keeps it. */
export const LONGEST_MS = 3_600_000;
/** For the question that an upstream waits for. */
const QUESTION_MS = 2000;
const NOBODY = { changed: () => undefined, updated: () => undefined };

/**
 * A task of an upstream of 2025-11-25 for a client of 2026-07-28, which has no session that it could belong to. What
 * the upstream asks meanwhile is what the task waits for, until the client answers with `tasks/update`.
 */
export class HeldTask {
  readonly parts: HeldParts;
  /** Its state was told, and is the last one. */
  isOver = false;
  lastUsed = performance.now();
  readonly #ends = performance.now() + LONGEST_MS;
  readonly #forgotten: number;
  /** Who asked for it last, whose token ends its session. */
  #asking: Who;
  readonly #stop = new AbortController();
  readonly #questions = new HeldQuestions();
  readonly #listeners: HeldListeners;
  #outcome: Promise<TaskOutcome> | undefined;
  #wake: (() => void) | undefined;
  #hearing: AbortController | undefined;

  constructor(parts: HeldParts, asking: Who) {
    this.parts = parts;
    this.#asking = asking;
    this.#listeners = new HeldListeners(
      (who) => this.state(who),
      (error) => parts.registry.log(error),
    );
    this.#forgotten = performance.now() + keptFor(parts.ttl);
  }

  /** Whether nobody needs it any more. */
  isDone(idleMs: number): boolean {
    const now = performance.now();
    return now > this.#ends || (this.isSpare && now - this.lastUsed > idleMs);
  }

  /** It is over, or its upstream may have forgotten it, and nobody listens. */
  get isSpare(): boolean {
    return (this.isOver || performance.now() > this.#forgotten) && !this.isListenedTo;
  }

  get isListenedTo(): boolean {
    return !this.#listeners.isEmpty;
  }

  /**
   * As `tasks/get` of 2026-07-28 has it: with the result, the error, or what is asked.
   *
   * @throws UnknownOperationError when the upstream has forgotten its session; RpcError, UpstreamError, and what the
   * token strategy throws
   */
  async state(asking: Who): Promise<Message> {
    this.#usedBy(asking);
    const task = await this.#ask('tasks/get', asking);
    this.isOver = isOver(task);
    if (this.isOver) this.#questions.clear();
    this.#hear(asking);
    switch (task['status']) {
      case 'completed':
      case 'failed':
        return this.shown(task, await this.#outcomeFor(asking));
      case 'cancelled':
        return this.shown(task);
      default:
        return this.#running(task, asking);
    }
  }

  /** A task as the upstream has it, for the client. */
  shown(task: Message, outcome: TaskOutcome = {}): Message {
    return { ...modernTask(task, LONGEST_MS, outcome), taskId: this.parts.id };
  }

  /**
   * Answers of the client by the keys of what was asked; any other are nobody's.
   *
   * @throws as {@link state}, for an answer that did not reach the upstream: what it asks is asked on
   */
  async update(responses: unknown, asking: Who): Promise<void> {
    this.#usedBy(asking);
    const given = Object.entries(isJsonObject(responses) ? responses : {});
    await Promise.all(given.map(([key, response]) => this.#answer(key, response, asking)));
    this.#hear(asking);
  }

  /** Says that it is not wanted any more; of one that is over, or cannot be cancelled, that changes nothing. */
  async cancel(asking: Who): Promise<void> {
    this.#usedBy(asking);
    try {
      this.isOver = isOver(await this.#ask('tasks/cancel', asking));
    } catch (error) {
      const code = error instanceof RpcError ? error.rpc.code : undefined;
      if (code === METHOD_NOT_FOUND) return;
      if (code !== INVALID_PARAMS || !isOver(await this.#ask('tasks/get', asking))) throw error;
      this.isOver = true;
    }
    this.#listeners.tell();
  }

  /** Until the signal of `asking`: first the state that it has, then each change. */
  listen(hear: TaskHearer, asking: Who): void {
    const { signal } = asking;
    if (signal.aborted) return;
    this.#usedBy(asking);
    this.#listeners.add(hear, asking, () => this.#hear(asking));
    this.#hear(asking);
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the task is held no more'));
    this.#hearing?.abort(new Error('the task is held no more'));
    await this.parts.session.close(this.#asking);
  }

  #usedBy(asking: Who): void {
    this.lastUsed = performance.now();
    this.#asking = asking;
  }

  async #running(task: Message, asking: Who): Promise<Message> {
    const isWaiting = task['status'] === 'input_required';
    if (isWaiting && this.#questions.isEmpty) await this.#fetchQuestion(asking);
    const inputRequests = this.#questions.shown();
    return inputRequests === undefined
      ? this.shown({ ...task, status: 'working' })
      : this.shown({ ...task, status: 'input_required' }, { inputRequests });
  }

  /** 2025-11-25: what a task asks comes with its result, which is waited for meanwhile. */
  async #fetchQuestion(asking: Who): Promise<void> {
    const asked = new Promise<void>((resolve) => (this.#wake = resolve));
    const soon = new AbortController();
    const settled = this.#outcomeFor(asking).catch(() => undefined); // asked again by whoever asks next
    const patience = delay(QUESTION_MS, undefined, { signal: soon.signal, ref: false });
    await Promise.race([asked, settled, patience.catch(() => undefined)]);
    soon.abort();
  }

  #outcomeFor(asking: Who): Promise<TaskOutcome> {
    this.#outcome ??= this.#fetchOutcome(asking).finally(() => (this.#outcome = undefined));
    return this.#outcome;
  }

  async #fetchOutcome(asking: Who): Promise<TaskOutcome> {
    const { session, route, taskId } = this.parts;
    const id = session.newId();
    const operation = { method: 'tasks/result', name: taskId };
    const message = { jsonrpc: '2.0', id, method: 'tasks/result', params: { taskId } };
    const { strategy } = callTerms(route);
    const { signal } = this.#stop;
    const call = { ...asking, signal, strategy, operation, timeoutMs: undefined };
    const reply = await session.send(message, call);
    if (reply.status !== 200) throw await refusal(route, reply, asking.caller);
    for await (const said of messagesOf(route.upstream, reply)) {
      if (typeof member(said, 'method') === 'string') this.#said(said, asking);
      else if (member(said, 'id') === id) return outcomeIn(said);
    }
    throw route.upstream.error('upstream_failed', 'its answer ended without a result', {});
  }

  #said(message: Message, asking: Who): void {
    if (!Object.hasOwn(message, 'id')) return this.#told(message, asking);
    const { session, client } = this.parts;
    const method = String(member(message, 'method'));
    const id = member(message, 'id');
    const answer = (given: SessionAnswer) =>
      session.answer(id, given, { ...asking, signal: this.#stop.signal });
    if (method === 'ping') return answer({ result: {} });
    const capability = QUESTIONS.get(method);
    if (capability === undefined || member(client.capabilities, capability) === undefined) {
      return answer({ error: { code: METHOD_NOT_FOUND, message: 'Method not found' } });
    }
    const said = member(message, 'params');
    const params = isJsonObject(said) ? withoutReserved(said) : {};
    if (!this.#questions.ask({ id, method, params })) {
      return answer({ error: { code: INTERNAL_ERROR, message: 'Too many questions' } });
    }
    this.#wake?.();
    this.#hear(asking);
    this.#listeners.tell();
  }

  /** It may take back what it has asked (2025-11-25, Cancellation). */
  #told(message: Message, asking: Who): void {
    if (member(message, 'method') !== 'notifications/cancelled') return;
    const id = memberOf(member(message, 'params'), 'requestId');
    if (!this.#questions.withdraw(id)) return;
    this.#hear(asking);
    this.#listeners.tell();
  }

  #answer(key: string, response: unknown, asking: Who): Promise<void> {
    if (!isJsonObject(response)) return Promise.resolve();
    const result = ofTask(withoutReserved(response), this.parts.taskId);
    const by = { ...asking, signal: this.#stop.signal };
    const { session } = this.parts;
    return this.#questions.answer(key, { result }, (id, answer) => session.deliver(id, answer, by));
  }

  async #ask(method: string, asking: Who): Promise<Message> {
    const { session, route, taskId } = this.parts;
    try {
      return await session.ask(method, { taskId }, { ...asking, ...callTerms(route) });
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.status !== 404) throw error;
      this.isOver = true;
      throw new UnknownOperationError('Unknown task', { cause: error });
    }
  }

  /** On the stream of its session, while somebody listens, or it waits for answers that it may not want any more. */
  #hear(asking: Who): void {
    const isNeeded = this.isListenedTo || !this.#questions.isEmpty;
    if (!isNeeded) {
      this.#hearing?.abort(new Error('nobody listens any more'));
      this.#hearing = undefined;
    } else if (this.#hearing === undefined && !this.#stop.signal.aborted) {
      this.#hearing = new AbortController();
      this.#hearUpstream({ ...asking, signal: this.#hearing.signal });
    }
  }

  #hearUpstream(until: Who): void {
    const { session, route, taskId, registry } = this.parts;
    const sessions = { with: async () => session, reopened: () => Promise.reject(lost()) };
    const isOurs = (message: Message) => relatedTaskOf(message) === taskId;
    const hearer = {
      ...NOBODY,
      told: (message: Message) => {
        const isNews = message['method'] === LEGACY_TASK_NEWS;
        if (isNews && memberOf(message['params'], 'taskId') === taskId) this.#listeners.tell();
        this.#told(message, until);
      },
      asked: (message: Message) => {
        if (isOurs(message)) this.#said(message, until);
        return isOurs(message);
      },
    };
    void new SessionListener(route.upstream, sessions, registry, hearer).listen(until);
  }
}

function lost(): UnknownOperationError {
  return new UnknownOperationError('Unknown task');
}

function keptFor(ttl: unknown): number {
  return typeof ttl === 'number' && ttl > 0 ? Math.min(ttl, LONGEST_MS) : LONGEST_MS;
}

function outcomeIn(message: Message): TaskOutcome {
  const result = member(message, 'result');
  if (isJsonObject(result)) return { result: withoutReserved(result) };
  return { error: member(message, 'error') };
}
