import type { ScopeNeeds } from '../../../core/lib/scopes.js';
import { isJsonObject } from '../../../core/lib/members.js';
import { type Owner, StateOwners } from './state-owners.js';

/**
 * Whose call has made which task, and what that call needed; learned from the answers of servers. A task
 * outlives its call, its id travels in the open, and servers without sessions share their tasks among
 * all callers (MCP 2025-11-25, Tasks, Security Considerations).
 */
export class McpTasks {
  readonly #owners = new StateOwners<ScopeNeeds>();

  /** What the call needed; `undefined`: this caller has made no such task. */
  needsOf(taskId: string, owner: Owner): ScopeNeeds | undefined {
    return this.#owners.noteFor(taskId, owner);
  }

  /** @param message an answer to a call that needed this. */
  learn(message: unknown, owner: Owner, needs: ScopeNeeds): void {
    const id = taskMadeIn(message);
    if (id !== undefined) this.#owners.remember(id, owner, needs);
  }
}

/** A message without the tasks in its list that are not shown. */
export function withoutTasks(message: unknown, isShown: (taskId: string) => boolean): unknown {
  if (!isJsonObject(message) || !isJsonObject(message['result'])) return message;
  const { result } = message;
  if (!Array.isArray(result['tasks'])) return message;
  const tasks = result['tasks'] as unknown[];
  const kept = tasks.filter((task) => isJsonObject(task) && isShown(String(task['taskId'])));
  return kept.length === tasks.length
    ? message
    : { ...message, result: { ...result, tasks: kept } };
}

/** `task` in a result of 2025-11-25; the result itself in the extension for 2026-07-28. */
function taskMadeIn(message: unknown): string | undefined {
  if (!isJsonObject(message) || !isJsonObject(message['result'])) return undefined;
  const { result } = message;
  const task = result['resultType'] === 'task' ? result : result['task'];
  const id = isJsonObject(task) ? task['taskId'] : undefined;
  return typeof id === 'string' ? id : undefined;
}
