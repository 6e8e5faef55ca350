import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { RELATED_TASK, TASKS_EXTENSION } from '../../core/mcp/json-rpc.js';
import type { RpcErrorObject } from './json-rpc-answer.js';

type Message = Readonly<Record<string, unknown>>;

/** How a change of a task is told: 2025-11-25, and 2026-07-28. */
export const LEGACY_TASK_NEWS = 'notifications/tasks/status';
export const MODERN_TASK_NEWS = 'notifications/tasks';

const MISSING_CAPABILITY = -32021;
const LEGACY_NAMES: ReadonlyMap<string, string | undefined> = new Map([
  ['ttlMs', 'ttl'],
  ['pollIntervalMs', 'pollInterval'],
  ['inputRequests', undefined],
  ['result', undefined],
  ['error', undefined],
  ['resultType', undefined],
  ['_meta', undefined],
]);
const MODERN_NAMES: ReadonlyMap<string, string | undefined> = new Map([
  ['pollInterval', 'pollIntervalMs'],
  ['ttl', undefined],
  ['_meta', undefined],
]);
const OVER: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled']);

/** Whether the task ends in this state. */
export function isOver(task: Message): boolean {
  return OVER.has(task['status']);
}

/** Whether a client of 2026-07-28 says in this request that it can handle tasks. */
export function declaresTasks(params: Message): boolean {
  const declared = memberOf(
    memberOf(params, '_meta'),
    'io.modelcontextprotocol/clientCapabilities',
  );
  return memberOf(memberOf(declared, 'extensions'), TASKS_EXTENSION) !== undefined;
}

/** What a request needs of a client that has not declared the extension. */
export function tasksNeeded(message: string): RpcErrorObject {
  const requiredCapabilities = { extensions: { [TASKS_EXTENSION]: {} } };
  return { code: MISSING_CAPABILITY, message, data: { requiredCapabilities } };
}

/**
 * A task of 2026-07-28 as 2025-11-25 says it, where a call that ends with `isError` is a task that has failed. What
 * the other revision has in other places is left out: questions, result and error.
 */
export function legacyTask(task: Message): Message {
  const hasFailed = task['status'] === 'completed' && memberOf(task['result'], 'isError') === true;
  return { ttl: null, ...renamed(task, LEGACY_NAMES), ...(hasFailed ? { status: 'failed' } : {}) };
}

/** How a task has ended, or what it waits for. */
export interface TaskOutcome {
  readonly result?: Message;
  readonly error?: unknown;
  readonly inputRequests?: Message;
}

/**
 * A task of 2025-11-25 as 2026-07-28 says it, where one that has failed has an error of JSON-RPC: whatever has a result
 * is completed.
 *
 * @param longestMs after which the gateway knows it no more.
 */
export function modernTask(task: Message, longestMs: number, outcome: TaskOutcome = {}): Message {
  const { ttl } = task;
  const hasResult = task['status'] === 'failed' && outcome.result !== undefined;
  return {
    ...renamed(task, MODERN_NAMES),
    ...(hasResult ? { status: 'completed' } : {}),
    ttlMs: typeof ttl === 'number' ? Math.min(ttl, longestMs) : longestMs,
    ...outcome,
  };
}

/** Members of a task that the other revision calls otherwise, or does not have. */
function renamed(task: Message, names: ReadonlyMap<string, string | undefined>): Message {
  const members = Object.entries(task).map(([name, value]) => {
    const other = names.has(name) ? names.get(name) : name;
    return other === undefined ? [] : [[other, value] as const];
  });
  return Object.fromEntries(members.flat());
}

/** The task that a question or a notification says it is of (2025-11-25). */
export function relatedTaskOf(message: Message): unknown {
  const meta = memberOf(member(message, 'params'), '_meta');
  return memberOf(memberOf(meta, RELATED_TASK), 'taskId');
}

/** A result, or the parameters of a question, that say which task they are of (2025-11-25). */
export function ofTask(body: Message, taskId: string): Message {
  const meta = member(body, '_meta');
  const said = isJsonObject(meta) ? meta : {};
  return { ...body, _meta: { ...said, [RELATED_TASK]: { taskId } } };
}
