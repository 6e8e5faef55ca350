import type { ServerResponse } from 'node:http';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { type CallInSession, callInSession, relay } from '../legacy/call-in-session.js';
import { modernResult, withoutReserved } from '../legacy/reserved-meta.js';
import type { Item } from '../listing/stored-list.js';
import { callTerms } from '../upstream/call-terms.js';
import type { SessionClient } from '../upstream/legacy-session.js';
import type { Message } from '../upstream/reply-messages.js';
import { refusal } from '../upstream/upstream-refusal.js';
import { UpstreamSessions } from '../upstream/upstream-sessions.js';
import { HeldTokens } from '../upstream/upstream-tokens.js';
import { RpcError } from '../wire/gateway-errors.js';
import { INTERNAL_ERROR } from '../wire/json-rpc-answer.js';
import { declaresTasks, tasksNeeded } from '../wire/task-shapes.js';
import type { TaskIds } from '../wire/task-ids.js';
import { LONGEST_MS } from './held-task.js';
import type { HeldTasks } from './held-tasks.js';

type Send = (response: ServerResponse) => Promise<void>;

const META = 'io.modelcontextprotocol/';
/** What an upstream may ask for while a task runs. */
const ASKABLE = ['elicitation', 'sampling', 'roots'];

/**
 * A call of 2026-07-28 to an upstream of 2025-11-25: as a task where the tool may be run as one and the client can
 * handle it, because only then can the upstream ask anything while it runs.
 *
 * @throws RpcError -32021 for a tool that runs as a task only, and a client that cannot handle one
 * @throws UpstreamError, InsufficientScopeError, and what the token strategy throws
 */
export async function callLegacyTool(
  call: CallInSession,
  tasks: HeldTasks,
  ids: TaskIds,
): Promise<Send> {
  const { route, request, asking } = call;
  const support = taskSupportOf(route.item);
  const isRequired = support === 'required';
  if (!isRequired && support !== 'optional') return callInSession(call);
  if (!declaresTasks(request.params)) {
    if (!isRequired) return callInSession(call);
    const message = `${route.item.name} runs as a task only: declare the extension for tasks`;
    throw new RpcError(400, tasksNeeded(message));
  }
  if (tasks.makesRoom(asking.callerKey)) return callAsTask(call, tasks, ids);
  if (!isRequired) return callInSession(call);
  const message = 'Too many tasks: wait for one of them, or cancel it';
  throw new RpcError(200, { code: INTERNAL_ERROR, message });
}

async function callAsTask(call: CallInSession, tasks: HeldTasks, ids: TaskIds): Promise<Send> {
  const { route, request, params } = call;
  const asking = { ...call.asking, held: new HeldTokens() };
  const { id, method } = request;
  const { upstream, item } = route;
  const sessions = new UpstreamSessions(clientOf(request.params));
  try {
    const session = await sessions.with(upstream, asking);
    const task = session.offersTasks ? { task: { ttl: LONGEST_MS } } : {};
    const message = { jsonrpc: '2.0', id, method, params: { ...withoutReserved(params), ...task } };
    const operation = { method, name: item.own };
    const answered = session.cancelOnAbort(id, asking);
    const reply = await session.send(message, { ...asking, ...callTerms(route), operation });
    if (reply.status !== 200) throw await refusal(route, reply, asking.caller);
    let isKept = false;
    const shaped = (result: Message): Message => {
      const made = member(result, 'task');
      const taskId = memberOf(made, 'taskId');
      if (!isJsonObject(made) || typeof taskId !== 'string') return modernResult(result, method);
      const { callerKey } = asking;
      const wrapped = ids.wrap(taskId, { upstream: upstream.name, callerKey, tool: item.own });
      const held = tasks.hold({ id: wrapped, taskId, route, callerKey, sessions });
      isKept = !asking.signal.aborted;
      if (!isKept) tasks.end(held); // nobody will ever know of it
      return { resultType: 'task', ...held.shown(made) };
    };
    return (response) =>
      relay(call, session, reply, response, shaped).finally(() => {
        answered();
        if (!isKept) void sessions.close();
      });
  } catch (error) {
    void sessions.close();
    throw error;
  }
}

/** What the tool says itself (2025-11-25, `execution`). */
function taskSupportOf({ execution }: Item): unknown {
  return execution === undefined ? undefined : memberOf(JSON.parse(execution), 'taskSupport');
}

function clientOf(params: Message): SessionClient {
  const meta = member(params, '_meta');
  const declared = memberOf(meta, `${META}clientCapabilities`);
  const capabilities = Object.fromEntries(
    ASKABLE.flatMap((name) => {
      const value = memberOf(declared, name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  return { capabilities, clientInfo: memberOf(meta, `${META}clientInfo`) };
}
