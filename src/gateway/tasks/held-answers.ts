import type { Asking } from '../upstream/modern-rpc.js';
import { RpcError, UnknownOperationError } from '../wire/gateway-errors.js';
import { METHOD_NOT_FOUND, resultAnswer, type RpcAnswer } from '../wire/json-rpc-answer.js';
import type { ModernRequest } from '../wire/modern-request.js';
import { declaresTasks, tasksNeeded } from '../wire/task-shapes.js';
import type { HeldTasks } from './held-tasks.js';

/**
 * The answer to a method about a task that the gateway holds for a client of 2026-07-28.
 *
 * @throws UnknownOperationError for one that it does not hold, such as one that another process has made
 * @throws RpcError, UpstreamError, and what the token strategy throws
 */
export async function heldAnswer(
  { id, method, params }: ModernRequest,
  asking: Omit<Asking, 'timeoutMs'>,
  tasks: HeldTasks,
): Promise<RpcAnswer> {
  const task = tasks.find(params['taskId'], asking.callerKey);
  if (task === undefined) throw new UnknownOperationError('Unknown task');
  if (!declaresTasks(params)) {
    throw new RpcError(400, tasksNeeded(`${method} needs the extension for tasks: declare it`));
  }
  const complete = { resultType: 'complete' };
  switch (method) {
    case 'tasks/get':
      return resultAnswer(id, { ...complete, ...(await task.state(asking)) });
    case 'tasks/update':
      await task.update(params['inputResponses'], asking);
      return resultAnswer(id, complete);
    case 'tasks/cancel':
      await task.cancel(asking);
      return resultAnswer(id, complete);
    default:
      throw new RpcError(404, { code: METHOD_NOT_FOUND, message: 'Method not found' });
  }
}
