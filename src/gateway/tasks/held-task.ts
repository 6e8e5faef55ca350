import { setTimeout as delay } from 'node:timers/promises';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { SessionListener } from '../changes/session-listener.js';
import { QUESTIONS } from '../legacy/call-in-session.js';
import { withoutReserved } from '../legacy/reserved-meta.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { Route } from '../listing/routing-table.js';
import { callTerms } from '../upstream/call-terms.js';
import type { LegacySession, SessionAnswer } from '../upstream/legacy-session.js';
import type { Asking } from '../upstream/modern-rpc.js';
import { type Message, messagesOf } from '../upstream/reply-messages.js';
import { refusal } from '../upstream/upstream-refusal.js';
import type { UpstreamSessions } from '../upstream/upstream-sessions.js';
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

type Who = Omit<Asking, 'timeoutMs'>;

/** What is held of a task of an upstream of 2025-11-25. */
export interface HeldParts {
  /** As the client knows it. */
  readonly id: string;
  /** As the upstream knows it. */
  readonly taskId: string;
  readonly route: Route;
  readonly callerKey: string;
  /** The one in which it runs, and no other. */
  readonly sessions: UpstreamSessions;
  readonly registry: Pick<UpstreamRegistry, 'catalogue' | 'log'>;
}

/** Told of each state of a task, as 2026-07-28 says it. */
export type TaskHearer = (task: Message) => void;

interface Question {
  readonly method: string;
  readonly params: Message;
  readonly answer: (answer: SessionAnswer, asking: Who) => void;
}

interface Listening {
  readonly hear: TaskHearer;
  readonly asking: Who;
  told: string;
}

/** However long an upstream keeps it. */
export const LONGEST_MS = 3_600_000;
/** For the question that an upstream waits for. */
const QUESTION_MS = 2000;
const MAX_QUESTIONS = 32;
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
  readonly #stop = new AbortController();
  readonly #questions = new Map<string, Question>();
  readonly #listening = new Set<Listening>();
  #lastQuestion = 0;
  #outcome: Promise<TaskOutcome> | undefined;
  #wake: (() => void) | undefined;
  #hearing: AbortController | undefined;

  constructor(parts: HeldParts) {
    this.parts = parts;
  }

  /** Whether nobody needs it any more. */
  isDone(idleMs: number): boolean {
    const now = performance.now();
    return now > this.#ends || (this.isOver && !this.isListenedTo && now - this.lastUsed > idleMs);
  }

  get isListenedTo(): boolean {
    return this.#listening.size > 0;
  }

  /**
   * As `tasks/get` of 2026-07-28 has it: with the result, the error, or what is asked.
   *
   * @throws UnknownOperationError when the upstream has forgotten its session; RpcError, UpstreamError, and what the
   * token strategy throws
   */
  async state(asking: Who): Promise<Message> {
    this.lastUsed = performance.now();
    const task = await this.#ask('tasks/get', asking);
    this.isOver = isOver(task);
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

  /** Answers of the client by the keys of what was asked; any other are nobody's. */
  update(responses: unknown, asking: Who): void {
    this.lastUsed = performance.now();
    for (const [key, response] of Object.entries(isJsonObject(responses) ? responses : {})) {
      const question = this.#questions.get(key);
      if (question === undefined || !isJsonObject(response)) continue;
      this.#questions.delete(key);
      const result = ofTask(withoutReserved(response), this.parts.taskId);
      question.answer({ result }, asking);
    }
  }

  /** Says that it is not wanted any more; of one that is over, or cannot be cancelled, that changes nothing. */
  async cancel(asking: Who): Promise<void> {
    this.lastUsed = performance.now();
    try {
      await this.#ask('tasks/cancel', asking);
    } catch (error) {
      const code = error instanceof RpcError ? error.rpc.code : undefined;
      if (code === METHOD_NOT_FOUND) return;
      if (code !== INVALID_PARAMS || !isOver(await this.#ask('tasks/get', asking))) throw error;
    }
    this.#tell();
  }

  /** Until the signal of `asking`: first the state that it has, then each change. */
  listen(hear: TaskHearer, asking: Who): void {
    const { signal } = asking;
    if (signal.aborted) return;
    const listening = { hear, asking, told: '' };
    this.#listening.add(listening);
    signal.addEventListener('abort', () => this.#leave(listening), { once: true });
    if (this.#hearing === undefined) this.#hearUpstream(asking);
    void this.#tellOne(listening);
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the task is held no more'));
    this.#hearing?.abort(new Error('the task is held no more'));
    await this.parts.sessions.close();
  }

  async #running(task: Message, asking: Who): Promise<Message> {
    const isWaiting = task['status'] === 'input_required';
    if (isWaiting && this.#questions.size === 0) await this.#fetchQuestion(asking);
    if (this.#questions.size === 0) return this.shown({ ...task, status: 'working' });
    const asked = [...this.#questions].map(([key, { method, params }]) => [
      key,
      { method, params },
    ]);
    const inputRequests = Object.fromEntries(asked) as Message;
    return this.shown({ ...task, status: 'input_required' }, { inputRequests });
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
    const { sessions, route, taskId } = this.parts;
    const session = await sessions.with(route.upstream, asking);
    const id = session.newId();
    const operation = { method: 'tasks/result', name: taskId };
    const message = { jsonrpc: '2.0', id, method: 'tasks/result', params: { taskId } };
    const { strategy } = callTerms(route);
    const { signal } = this.#stop;
    const call = { ...asking, signal, strategy, operation, timeoutMs: undefined };
    const reply = await session.send(message, call);
    if (reply.status !== 200) throw await refusal(route, reply, asking.caller);
    for await (const said of messagesOf(route.upstream, reply)) {
      if (typeof member(said, 'method') === 'string') this.#said(said, session, asking);
      else if (member(said, 'id') === id) return outcomeIn(said);
    }
    throw route.upstream.error('upstream_failed', 'its answer ended without a result', {});
  }

  #said(message: Message, session: LegacySession, asking: Who): void {
    const method = String(member(message, 'method'));
    const id = member(message, 'id');
    if (id === undefined) return;
    const answer = (given: SessionAnswer, by = asking) =>
      session.answer(id, given, { ...by, signal: this.#stop.signal });
    if (method === 'ping') return answer({ result: {} });
    const capability = QUESTIONS.get(method);
    const { capabilities } = this.parts.sessions.client;
    if (capability === undefined || member(capabilities, capability) === undefined) {
      return answer({ error: { code: METHOD_NOT_FOUND, message: 'Method not found' } });
    }
    if (this.#questions.size >= MAX_QUESTIONS) {
      return answer({ error: { code: INTERNAL_ERROR, message: 'Too many questions' } });
    }
    const params = member(message, 'params');
    this.#questions.set(`question-${++this.#lastQuestion}`, {
      method,
      params: isJsonObject(params) ? withoutReserved(params) : {},
      answer,
    });
    this.#wake?.();
    this.#tell();
  }

  async #ask(method: string, asking: Who): Promise<Message> {
    const { sessions, route, taskId } = this.parts;
    try {
      const session = await sessions.with(route.upstream, asking);
      return await session.ask(method, { taskId }, { ...asking, ...callTerms(route) });
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.status !== 404) throw error;
      this.isOver = true;
      throw new UnknownOperationError('Unknown task', { cause: error });
    }
  }

  #hearUpstream(asking: Who): void {
    const { sessions, route, taskId, registry } = this.parts;
    this.#hearing = new AbortController();
    const until = { ...asking, signal: this.#hearing.signal };
    const isOurs = (message: Message) => relatedTaskOf(message) === taskId;
    const hearer = {
      ...NOBODY,
      told: (message: Message) => {
        const isNews = message['method'] === LEGACY_TASK_NEWS;
        if (isNews && memberOf(message['params'], 'taskId') === taskId) this.#tell();
      },
      asked: (message: Message, session: LegacySession) => {
        if (isOurs(message)) this.#said(message, session, until);
        return isOurs(message);
      },
    };
    void new SessionListener(route.upstream, sessions, registry, hearer).listen(until);
  }

  #leave(listening: Listening): void {
    this.#listening.delete(listening);
    if (this.isListenedTo) return;
    this.#hearing?.abort(new Error('nobody listens any more'));
    this.#hearing = undefined;
  }

  #tell(): void {
    for (const listening of this.#listening) void this.#tellOne(listening);
  }

  /** Never rejects. What was told already is not told again. */
  async #tellOne(listening: Listening): Promise<void> {
    try {
      const task = await this.state(listening.asking);
      const { status, statusMessage, lastUpdatedAt, inputRequests } = task;
      const asked = Object.keys(isJsonObject(inputRequests) ? inputRequests : {});
      const state = JSON.stringify([status, statusMessage, lastUpdatedAt, asked]);
      if (state === listening.told || !this.#listening.has(listening)) return;
      listening.told = state;
      listening.hear(task);
    } catch (error) {
      if (!listening.asking.signal.aborted) this.parts.registry.log(error);
    }
  }
}

function outcomeIn(message: Message): TaskOutcome {
  const result = member(message, 'result');
  if (isJsonObject(result)) return { result: withoutReserved(result) };
  return { error: member(message, 'error') };
}
