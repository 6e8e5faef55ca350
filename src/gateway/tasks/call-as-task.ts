import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { type CallInSession, callInSession, relay } from '../legacy/call-in-session.js';
import { modernResult, withoutReserved } from '../legacy/reserved-meta.js';
import type { Item } from '../listing/stored-list.js';
import { callTerms } from '../upstream/call-terms.js';
import { LegacySession, type SessionClient } from '../upstream/legacy-session.js';
import type { Message } from '../upstream/reply-messages.js';
import { refusal } from '../upstream/upstream-refusal.js';
import type { UpstreamReply } from '../upstream/upstream.js';
import { HeldTokens } from '../upstream/upstream-tokens.js';
import { RpcError } from '../wire/gateway-errors.js';
import { INTERNAL_ERROR } from '../wire/json-rpc-answer.js';
import { declaresTasks, tasksNeeded } from '../wire/task-shapes.js';
import type { TaskIds } from '../wire/task-ids.js';
import { type HeldParts, type HeldTask, LONGEST_MS } from './held-task.js';
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
  const leave = tasks.place(asking.callerKey);
  if (leave !== undefined) return callAsTask(call, { tasks, ids, leave });
  if (!isRequired) return callInSession(call);
  const message = 'Too many tasks: wait for one of them, or cancel it';
  throw new RpcError(200, { code: INTERNAL_ERROR, message });
}

interface TaskMaking {
  readonly tasks: HeldTasks;
  readonly ids: TaskIds;
  /** Gives the place back that is kept for the task. */
  readonly leave: () => void;
}

async function callAsTask(call: CallInSession, making: TaskMaking): Promise<Send> {
  const { route, request, params } = call;
  const asking = { ...call.asking, held: new HeldTokens() };
  const { id, method } = request;
  const { upstream, item } = route;
  const client = clientOf(request.params);
  let session: LegacySession | undefined;
  const end = (): void => {
    making.leave();
    void session?.close(asking);
  };
  try {
    session = await LegacySession.open(upstream, client, asking);
    const task = session.offersTasks ? { task: { ttl: LONGEST_MS } } : {};
    const message = { jsonrpc: '2.0', id, method, params: { ...withoutReserved(params), ...task } };
    const operation = { method, name: item.own };
    const answered = session.cancelOnAbort(id, asking);
    const reply = await session.send(message, { ...asking, ...callTerms(route), operation });
    if (reply.status !== 200) throw await refusal(route, reply, asking.caller);
    return relaying(call, { ...making, session, client, reply, asking, answered, end });
  } catch (error) {
    end();
    throw error;
  }
}

interface TaskRelay extends TaskMaking {
  readonly session: LegacySession;
  readonly client: SessionClient;
  readonly reply: UpstreamReply;
  readonly asking: CallInSession['asking'];
  readonly answered: () => void;
  readonly end: () => void;
}

function relaying(call: CallInSession, { answered, end, ...relayed }: TaskRelay): Send {
  const { tasks, session, reply, asking } = relayed;
  return async (response) => {
    let held: HeldTask | undefined;
    const shaped = (result: Message): Message => {
      const made = member(result, 'task');
      const taskId = memberOf(made, 'taskId');
      if (!isJsonObject(made) || typeof taskId !== 'string') {
        return modernResult(result, call.request.method);
      }
      held = holdTask(call, relayed, { taskId, ttl: made['ttl'] });
      return { resultType: 'task', ...held.shown(made) };
    };
    const endUnknown = (): void => {
      if (!response.writableFinished && held !== undefined) tasks.end(held); // nobody will ever know of it
    };
    response.once('close', endUnknown);
    try {
      await relay({ ...call, asking }, session, reply, response, shaped);
    } finally {
      answered();
      if (held === undefined) end();
      else if (response.destroyed) endUnknown();
    }
  };
}

/** By an id of the gateway's own: that of the upstream may come again in another session. */
function holdTask(
  { route, asking }: CallInSession,
  { tasks, ids, leave, session, client }: Omit<TaskRelay, 'answered' | 'end'>,
  made: Pick<HeldParts, 'taskId' | 'ttl'>,
): HeldTask {
  const { callerKey } = asking;
  const owner = { upstream: route.upstream.name, callerKey, tool: route.item.own };
  const id = ids.wrap(randomUUID(), owner);
  const parts = { ...made, id, route, callerKey, session, client };
  const held = tasks.hold(parts, { ...asking, held: undefined }); // whoever ends it has a token of his own
  leave();
  return held;
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
