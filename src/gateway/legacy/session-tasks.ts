import { setTimeout as delay } from 'node:timers/promises';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import type { FinishedTask } from '../listing/kept-tasks.js';
import { taskOwner } from '../listing/task-router.js';
import type { LegacySession } from '../upstream/legacy-session.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { Message } from '../upstream/reply-messages.js';
import { RpcError, UnknownOperationError } from '../wire/gateway-errors.js';
import { INVALID_PARAMS, METHOD_NOT_FOUND, type RpcErrorObject } from '../wire/json-rpc-answer.js';
import { isOver, legacyTask, ofTask } from '../wire/task-shapes.js';
import type { TaskIds } from '../wire/task-ids.js';
import type { MessageSink } from './message-stream.js';
import { legacyResult } from './reserved-meta.js';
import {
  answerIn,
  callModern,
  MAX_QUESTIONS,
  type Relay,
  responseTo,
  sendModern,
  type SessionCall,
} from './session-call.js';

/** A call about a task, by the id that the client knows. */
interface TaskCall extends SessionCall {
  readonly ours: string;
}

const MISSING_CAPABILITY = -32021;
const DEFAULT_POLL_MS = 1000;
const SHORTEST_POLL_MS = 100;
const LONGEST_POLL_MS = 30_000;
const MAX_PAGES = 64;
const CANCELLED = 'The task was cancelled: it has no result';
const NOBODY: MessageSink = {
  send: () => Promise.resolve(),
  end: () => Promise.resolve(),
};

/**
 * Anything of a client in a session to an upstream of 2026-07-28, whose tasks are others than those of 2025-11-25.
 *
 * @param ours the id of the task, where it is about one.
 * @throws UpstreamError, RpcError, and what the token strategy throws
 */
export function relayModern(call: SessionCall, ours: unknown): Promise<Relay> {
  const { method, params } = call;
  if (method.startsWith('tasks/')) return relayTask({ ...call, ours: String(ours) });
  if (method !== 'tools/call') return callModern(call);
  return Object.hasOwn(params, 'task') ? callAsTask(call) : callWithoutTask(call);
}

/** The upstream decides whether it makes a task; where it does not, the gateway keeps the result as one that is over. */
async function callAsTask(call: SessionCall): Promise<Relay> {
  const { registry, route, asking, session } = call;
  const { task: wanted, ...params } = call.params;
  if (!(await registry.offersTasks(route.upstream, asking))) {
    const message = `${route.item.name} cannot run as a task: call it without 'task'`;
    throw new RpcError(200, { code: METHOD_NOT_FOUND, message });
  }
  const { callerKey } = asking;
  const owner = taskOwner(route, call.method, callerKey);
  return callModern({ ...call, params, handlesTasks: true }, (result) => {
    const isTask = member(result, 'resultType') === 'task';
    const made = isTask
      ? result
      : registry.kept.finish(callerKey, legacyResult(result), memberOf(wanted, 'ttl'));
    const id = typeof made === 'string' ? made : String(made['taskId']);
    const task =
      typeof made === 'string' ? registry.kept.finished(made, callerKey)?.task : legacyTask(made);
    const taskId = registry.tasks.wrap(id, owner);
    const noted = registry.kept.note(session, { ...task, taskId });
    session.follow?.(noted);
    return { task: noted };
  });
}

/** What the upstream needs is said as 2025-11-25 says it. */
async function callWithoutTask(call: SessionCall): Promise<Relay> {
  try {
    return await callModern(call);
  } catch (error) {
    if (!(error instanceof RpcError) || error.rpc.code !== MISSING_CAPABILITY) throw error;
    const needed = memberOf(error.rpc.data, 'requiredCapabilities');
    if (memberOf(needed, 'extensions') === undefined) throw error;
    const message = `${call.route.item.name} runs as a task only: call it with 'task'`;
    throw new RpcError(200, { code: METHOD_NOT_FOUND, message });
  }
}

async function relayTask(call: TaskCall): Promise<Relay> {
  const { method, route, registry } = call;
  const { own } = route.item;
  const finished = registry.kept.finished(own, call.asking.callerKey);
  if (finished !== undefined) return relayFinished(call, finished);
  if (registry.kept.isOwn(own)) throw new UnknownOperationError('Unknown task'); // no upstream has it
  const task = await stateOf(call);
  switch (method) {
    case 'tasks/get':
      return ending(call, { result: noted(call, task) });
    case 'tasks/result':
      return (stream) => relayResult(call, task, stream);
    case 'tasks/cancel':
      return ending(call, { result: await cancelled(call, noted(call, task)) });
    default:
      throw new RpcError(200, { code: METHOD_NOT_FOUND, message: 'Method not found' });
  }
}

function relayFinished(call: TaskCall, { task, result }: FinishedTask): Relay {
  switch (call.method) {
    case 'tasks/get':
      return ending(call, { result: { ...task, taskId: call.ours } });
    case 'tasks/result':
      return ending(call, { result: ofTask(JSON.parse(result) as Message, call.ours) });
    case 'tasks/cancel':
      throw cannotCancel(task);
    default:
      throw new RpcError(200, { code: METHOD_NOT_FOUND, message: 'Method not found' });
  }
}

/** Until it is over (2025-11-25, `tasks/result`); what it asks meanwhile, the client is asked on the stream of the call. */
async function relayResult(call: TaskCall, first: Message, stream: MessageSink): Promise<void> {
  const questions = new TaskQuestions(call, stream);
  try {
    for (let task = first; ; task = await stateOf(call)) {
      const end = endOf(call, task);
      questions.follow(end === undefined ? questionsIn(call, task) : []);
      if (end !== undefined) return await ending(call, end)(stream);
      const inputResponses = await questions.answers(pauseOf(task));
      if (inputResponses !== undefined) await ask(call, 'tasks/update', { inputResponses });
    }
  } finally {
    questions.forget();
  }
}

/** What a task waits for: its client is asked each once, and hears of what is not asked any more. */
class TaskQuestions {
  readonly #call: TaskCall;
  readonly #stream: MessageSink;
  /** Those that the client has not answered, by key, with the ids that it knows. */
  readonly #open = new Map<string, string>();
  readonly #asked = new Set<string>();
  readonly #answers = new Map<string, unknown>();
  #wake: (() => void) | undefined;

  constructor(call: TaskCall, stream: MessageSink) {
    this.#call = call;
    this.#stream = stream;
  }

  follow(questions: readonly [string, Message][]): void {
    const wanted = new Set(questions.map(([key]) => key));
    for (const [key, requestId] of this.#open) if (!wanted.has(key)) this.#withdraw(key, requestId);
    for (const [key, question] of questions) {
      if (this.#asked.has(key) || this.#open.size >= MAX_QUESTIONS) continue;
      this.#ask(key, question);
    }
  }

  /** What was answered meanwhile, or is within so long; `undefined`: nothing was. */
  async answers(patienceMs: number): Promise<Message | undefined> {
    if (this.#answers.size === 0) await this.#answered(patienceMs);
    if (this.#answers.size === 0) return undefined;
    const given = Object.fromEntries(this.#answers);
    this.#answers.clear();
    return given;
  }

  /** Nobody reads what is said any more. */
  forget(): void {
    for (const id of this.#open.values()) this.#call.session.withdraw(id);
    this.#open.clear();
  }

  #ask(key: string, question: Message): void {
    this.#asked.add(key);
    const id = this.#call.session.question((answer) => {
      this.#open.delete(key);
      this.#answers.set(key, responseTo(answer));
      this.#wake?.();
    });
    this.#open.set(key, id);
    void this.#stream.send({ jsonrpc: '2.0', id, ...question });
  }

  #withdraw(key: string, requestId: string): void {
    this.#open.delete(key);
    if (!this.#call.session.withdraw(requestId)) return;
    const params = { requestId, reason: 'it is not asked any more' };
    void this.#stream.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
  }

  async #answered(patienceMs: number): Promise<void> {
    const { signal } = this.#call.asking;
    const soon = new AbortController();
    const wake = (): void => soon.abort();
    this.#wake = wake;
    const until = AbortSignal.any([signal, soon.signal]);
    await delay(patienceMs, undefined, { signal: until }).catch(() => undefined); // looked at below
    signal.throwIfAborted();
  }
}

function endOf(
  call: TaskCall,
  task: Message,
): { result: Message } | { error: unknown } | undefined {
  const { status } = noted(call, task);
  if (status === 'cancelled') return { error: { code: INVALID_PARAMS, message: CANCELLED } };
  if (task['status'] === 'failed') return { error: task['error'] };
  const { result } = task;
  if (task['status'] !== 'completed' || !isJsonObject(result)) return undefined;
  return { result: ofTask(legacyResult(result), call.ours) };
}

function questionsIn(call: TaskCall, task: Message): [string, Message][] {
  const requests = task['status'] === 'input_required' ? task['inputRequests'] : undefined;
  return Object.entries(isJsonObject(requests) ? requests : {}).map(([key, request]) => {
    const params = memberOf(request, 'params');
    const asked = ofTask(isJsonObject(params) ? params : {}, call.ours);
    return [key, { method: memberOf(request, 'method'), params: asked }];
  });
}

/** 2025-11-25: it is cancelled when the answer comes, also where the upstream only means to. */
async function cancelled(call: TaskCall, task: Message): Promise<Message> {
  if (isOver(task)) throw cannotCancel(task);
  await ask(call, 'tasks/cancel', {});
  const lastUpdatedAt = new Date().toISOString();
  return call.registry.kept.note(call.session, { ...task, status: 'cancelled', lastUpdatedAt });
}

function cannotCancel({ status }: Message): RpcError {
  const message = `Cannot cancel a task that is over: ${String(status)}`;
  return new RpcError(200, { code: INVALID_PARAMS, message });
}

function noted({ registry, session, ours }: TaskCall, task: Message): Message {
  return registry.kept.note(session, { ...legacyTask(task), taskId: ours });
}

function stateOf(call: TaskCall): Promise<Message> {
  return ask(call, 'tasks/get', {});
}

/** @throws RpcError what the upstream answers with an error */
async function ask(call: TaskCall, method: string, params: Message): Promise<Message> {
  const own = { ...call, method, handlesTasks: true };
  const reply = await sendModern(own, { ...params, taskId: call.route.item.own });
  const message = await answerIn(own, reply, NOBODY);
  const result = member(message, 'result');
  if (isJsonObject(result)) return result;
  throw new RpcError(200, member(message, 'error') as RpcErrorObject);
}

function ending({ id }: SessionCall, end: { result: Message } | { error: unknown }): Relay {
  return (stream) => stream.end({ jsonrpc: '2.0', id, ...end });
}

function pauseOf({ pollIntervalMs }: Message): number {
  const asked = typeof pollIntervalMs === 'number' ? pollIntervalMs : DEFAULT_POLL_MS;
  return Math.min(LONGEST_POLL_MS, Math.max(SHORTEST_POLL_MS, asked));
}

/** Those of an upstream with sessions, all pages; in another session there are none. */
export async function tasksAt(
  session: LegacySession,
  ids: TaskIds,
  asking: Omit<Asking, 'timeoutMs'>,
): Promise<readonly unknown[]> {
  const { name, options } = session.upstream;
  const owner = { upstream: name, callerKey: asking.callerKey };
  const all: unknown[] = [];
  const seen = new Set<unknown>();
  let cursor: unknown;
  for (let page = 0; page < MAX_PAGES && !seen.has(cursor); page++) {
    seen.add(cursor);
    const params = cursor === undefined ? {} : { cursor };
    const list = session.ask('tasks/list', params, { ...asking, timeoutMs: options.listTimeoutMs });
    const result: Message = await list.catch(() => ({})); // has none, or is away
    const tasks = memberOf(ids.wrapIn({ result }, owner)['result'], 'tasks');
    all.push(...(Array.isArray(tasks) ? (tasks as unknown[]) : []));
    cursor = member(result, 'nextCursor');
    if (typeof cursor !== 'string') break;
  }
  return all;
}

/** Of a task that runs at an upstream of 2026-07-28, the state that it has now; else the one that was seen. */
export async function taskNow(call: SessionCall, seen: Message): Promise<Message> {
  const asked = { ...call, ours: String(seen['taskId']) };
  if (isOver(seen)) return seen;
  return stateOf(asked).then(
    (task) => noted(asked, task),
    () => seen,
  );
}
