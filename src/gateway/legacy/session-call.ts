import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { TASKS_EXTENSION } from '../../core/mcp/json-rpc.js';
import { noteChange } from '../changes/upstream-changes.js';
import { paramHeaders } from '../listing/param-headers.js';
import type { Route } from '../listing/routing-table.js';
import { taskOwner } from '../listing/task-router.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import { callTerms } from '../upstream/call-terms.js';
import { type Asking, META } from '../upstream/modern-rpc.js';
import type { UpstreamSessions } from '../upstream/upstream-sessions.js';
import type { UpstreamReply } from '../upstream/upstream.js';
import { refusal } from '../upstream/upstream-refusal.js';
import { type RequestId, INTERNAL_ERROR } from '../wire/json-rpc-answer.js';
import { discard } from '../wire/answer-head.js';
import { outgoingRequest } from '../wire/upstream-request.js';
import type { LegacySession, SessionAnswer } from '../upstream/legacy-session.js';
import type { ClientSession } from './client-session.js';
import { type Message, messagesOf, responseOf } from '../upstream/reply-messages.js';
import type { MessageSink } from './message-stream.js';
import { legacyResult } from './reserved-meta.js';

/** One operation in the session of a client, on its way to its upstream. */
export interface SessionCall {
  readonly session: ClientSession;
  readonly route: Route;
  readonly id: RequestId;
  readonly method: string;
  /** With the upstream's own names. */
  readonly params: Message;
  /** What `Mcp-Name` says, for methods that name something. */
  readonly name: string | undefined;
  readonly asking: Omit<Asking, 'timeoutMs'>;
  /** Learns of lists that change while the call runs. */
  readonly registry: Pick<UpstreamRegistry, 'catalogue' | 'tasks' | 'kept' | 'offersTasks'>;
  /** The answer of an upstream of 2026-07-28 may be a task. Default `false`. */
  readonly handlesTasks?: boolean;
}

/** Passes what comes on to the client. */
export type Relay = (stream: MessageSink) => Promise<void>;

/** As the SDKs, and enough for any form. */
const MAX_ROUNDS = 10;
/** That an upstream of 2026-07-28 may have open at a time. */
export const MAX_QUESTIONS = 32;
/** Capabilities that say something of tasks. */
const OF_TASKS: ReadonlySet<string> = new Set(['tasks', 'extensions']);
const NO_ANSWER = { code: INTERNAL_ERROR, message: 'No answer' };

/**
 * To an upstream of the same era: its messages are passed on as they are. What it asks goes to the client on the
 * stream of the very call, under an id of the gateway's own, and the answer back to the session that asked.
 *
 * @throws UpstreamError, RpcError, and what the token strategy throws
 */
export async function callLegacy(call: SessionCall): Promise<Relay> {
  const { session, route } = call;
  if (route.upstream.options.session !== 'call') return callIn(session.upstreams, call);
  const sessions = session.upstreams.another();
  const end = (): void => void sessions.close();
  try {
    const relayed = await callIn(sessions, call);
    return (stream) => relayed(stream).finally(end);
  } catch (error) {
    end();
    throw error;
  }
}

async function callIn(sessions: UpstreamSessions, call: SessionCall): Promise<Relay> {
  const { route, id, method, params, asking } = call;
  const message = { jsonrpc: '2.0', id, method, params };
  let upstream = await sessions.with(route.upstream, asking);
  let answered = upstream.cancelOnAbort(id, asking);
  try {
    let reply = await send(upstream, message, call);
    if (reply.status === 404 && upstream.hasId) {
      answered();
      discard(reply.body);
      upstream = await sessions.reopened(upstream, asking); // nothing was answered: once more
      answered = upstream.cancelOnAbort(id, asking);
      reply = await send(upstream, message, call);
    }
    if (reply.status !== 200) throw await refusal(route, reply, asking.caller);
    return (stream) => relay(call, upstream, reply, stream).finally(answered);
  } catch (error) {
    answered();
    throw error;
  }
}

function send(upstream: LegacySession, message: object, call: SessionCall): Promise<UpstreamReply> {
  const { route, method, asking } = call;
  const operation = { method, name: route.item.own };
  return upstream.send(message, { ...asking, ...callTerms(route), operation });
}

async function relay(
  { session, route, id, method, asking, registry }: SessionCall,
  upstream: LegacySession,
  reply: UpstreamReply,
  stream: MessageSink,
): Promise<void> {
  const owner = taskOwner(route, method, asking.callerKey);
  for await (const sent of messagesOf(route.upstream, reply)) {
    const message = registry.tasks.wrapIn(sent, owner);
    const said = member(message, 'method');
    const isCall = typeof said === 'string';
    if (!isCall && member(message, 'id') === id) {
      return stream.end(responseOf(route.upstream, message));
    }
    if (!isCall) continue;
    if (!Object.hasOwn(message, 'id')) {
      noteChange(route.upstream, said, registry);
      const told = session.told(message, upstream);
      if (told !== undefined) await stream.send(told);
    } else {
      await stream.send({ ...message, id: session.questionOf(sent, upstream, asking) });
    }
  }
  throw route.upstream.error('upstream_failed', 'its answer ended without a result', {});
}

/**
 * To an upstream of 2026-07-28, which asks by its result: the client is asked on the stream of the call, and the
 * call is made again with the answers.
 *
 * @param shaped the result as the client's revision has it.
 * @throws UpstreamError, RpcError, and what the token strategy throws
 */
export async function callModern(call: SessionCall, shaped = legacyResult): Promise<Relay> {
  const first = await sendModern(call, call.params);
  return async (stream) => {
    let reply = first;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const message = await answerIn(call, reply, stream);
      const result = member(message, 'result');
      if (!isJsonObject(result)) return stream.end(message);
      if (member(result, 'resultType') !== 'input_required') {
        return stream.end({ ...message, result: shaped(result) });
      }
      const inputResponses = await inputs(call, member(result, 'inputRequests'), stream);
      const requestState = member(result, 'requestState');
      reply = await sendModern(call, {
        ...call.params,
        inputResponses,
        ...(requestState === undefined ? {} : { requestState }),
      });
    }
    throw call.route.upstream.error('upstream_failed', 'it asks again and again', {});
  };
}

export async function sendModern(call: SessionCall, params: Message): Promise<UpstreamReply> {
  const { session, route, id, method, name, asking } = call;
  const { clientInfo } = session.client;
  const own = isJsonObject(params['_meta']) ? params['_meta'] : {};
  const meta = {
    ...own,
    ...META,
    'io.modelcontextprotocol/clientCapabilities': declared(call),
    ...(isJsonObject(clientInfo) ? { 'io.modelcontextprotocol/clientInfo': clientInfo } : {}),
    ...(session.upstreams.logLevel === undefined
      ? {}
      : { 'io.modelcontextprotocol/logLevel': session.upstreams.logLevel }),
  };
  const reply = await route.upstream.call({
    ...asking,
    ...outgoingRequest(
      { id, method, params: { ...params, _meta: meta }, name },
      paramHeaders(route.item, params['arguments']),
    ),
    method: 'POST',
    ...callTerms(route),
    operation: { method, name: route.item.own },
  });
  if (reply.status !== 200) throw await refusal(route, reply, asking.caller);
  return reply;
}

/** Tasks of 2025-11-25 are none of the extension, nor the other way round: what the client says of either is its hop's. */
function declared({ session, handlesTasks = false }: SessionCall): Message {
  const { capabilities } = session.client;
  const same = Object.entries(capabilities).filter(([name]) => !OF_TASKS.has(name));
  const said = member(capabilities, 'extensions');
  const others = Object.entries(isJsonObject(said) ? said : {}).filter(
    ([name]) => name !== TASKS_EXTENSION,
  );
  const extensions = handlesTasks ? [...others, [TASKS_EXTENSION, {}] as const] : others;
  return extensions.length === 0
    ? Object.fromEntries(same)
    : { ...Object.fromEntries(same), extensions: Object.fromEntries(extensions) };
}

/**
 * The response; notifications in front of it are passed on. A request is none of this revision: with an id of the
 * upstream's own, its answer would go to whoever has asked under that id.
 */
export async function answerIn(
  call: SessionCall,
  reply: UpstreamReply,
  stream: MessageSink,
): Promise<Message> {
  const { upstream } = call.route;
  for await (const message of messagesOf(upstream, reply)) {
    if (typeof member(message, 'method') === 'string') {
      if (Object.hasOwn(message, 'id')) continue;
      const params = member(message, 'params');
      await stream.send(
        isJsonObject(params) ? { ...message, params: legacyResult(params) } : message,
      );
    } else if (member(message, 'id') === call.id) return responseOf(upstream, message);
  }
  throw upstream.error('upstream_failed', 'its answer ended without a result', {});
}

/** What the client answers to each question; one that fails is declined, as far as it can be. */
async function inputs(
  { session, route, asking }: SessionCall,
  requests: unknown,
  stream: MessageSink,
): Promise<Message> {
  const asked = Object.entries(isJsonObject(requests) ? requests : {});
  if (asked.length > MAX_QUESTIONS) {
    throw route.upstream.error('upstream_failed', 'it asks too much at once', {});
  }
  const answers = asked.map(async ([key, question]) => {
    const answer = await new Promise<SessionAnswer>((resolve) => {
      const id = session.question(resolve);
      const give = (): void => {
        session.withdraw(id);
        resolve({ error: NO_ANSWER });
      };
      asking.signal.addEventListener('abort', give, { once: true });
      const method = memberOf(question, 'method');
      void stream.send({ jsonrpc: '2.0', id, method, params: memberOf(question, 'params') ?? {} });
    });
    asking.signal.throwIfAborted();
    return [key, responseTo(answer)] as const;
  });
  return Object.fromEntries(await Promise.all(answers));
}

/** As `inputResponses` have it. */
export function responseTo(answer: SessionAnswer): unknown {
  return 'result' in answer ? answer.result : { action: 'cancel' };
}
