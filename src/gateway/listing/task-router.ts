import { UnknownOperationError } from '../wire/gateway-errors.js';
import type { TaskIds, TaskOwner } from '../wire/task-ids.js';
import type { Upstream } from '../upstream/upstream.js';
import type { RoutedOperation } from './operation-router.js';
import type { Route } from './routing-table.js';

/** What asks for a task by its id, in any revision. */
const METHODS: ReadonlySet<string> = new Set([
  'tasks/get',
  'tasks/result',
  'tasks/update',
  'tasks/cancel',
]);

/** Finds the upstream of a task by the id that the gateway has given it. */
export class TaskRouter {
  readonly #ids: TaskIds;
  readonly #upstream: (name: string) => Upstream | undefined;

  constructor(ids: TaskIds, upstream: (name: string) => Upstream | undefined) {
    this.#ids = ids;
    this.#upstream = upstream;
  }

  /**
   * With the token of the tool that has made it, as far as this process knows.
   *
   * @returns `undefined` for a method that is about no task.
   * @throws UnknownOperationError also for a task of somebody else, and of a tool that is not offered any more
   */
  route(
    method: string,
    params: Readonly<Record<string, unknown>>,
    callerKey: string,
  ): RoutedOperation | undefined {
    if (!METHODS.has(method)) return undefined;
    const task = this.#ids.unwrap(params['taskId'], callerKey);
    if (task === undefined) throw new UnknownOperationError('Unknown task');
    const upstream = this.#upstream(task.upstream);
    if (upstream === undefined) throw new UnknownOperationError('Unknown task');
    const { name, verdict } = upstream.names.tools.offer(task.tool ?? '');
    if (task.tool !== undefined && !verdict.isOffered) {
      throw new UnknownOperationError('Unknown task');
    }
    const item = { name, own: task.taskId, text: '', verdict, isBlocked: false };
    return {
      route: { upstream, item },
      params: { ...params, taskId: task.taskId },
      name: task.taskId,
    };
  }
}

/** Who makes tasks by this call. */
export function taskOwner({ upstream, item }: Route, method: string, callerKey: string): TaskOwner {
  const tool = method === 'tools/call' ? item.own : undefined;
  return { upstream: upstream.name, callerKey, tool };
}

/** @returns `undefined` for one of somebody else, and once its upstream, or its tool, is offered no more. */
export function routeOfTask(
  taskId: unknown,
  routes: Pick<TaskRouter, 'route'>,
  callerKey: string,
): RoutedOperation | undefined {
  try {
    return routes.route('tasks/get', { taskId }, callerKey);
  } catch {
    return undefined;
  }
}
