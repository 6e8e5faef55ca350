import type { ServerResponse } from 'node:http';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import type { Route } from '../listing/routing-table.js';
import { callTerms } from '../upstream/call-terms.js';
import { type CallSession, LegacySession, type SessionClient } from '../upstream/legacy-session.js';
import type { Asking } from '../upstream/modern-rpc.js';
import { refusal } from '../upstream/upstream-refusal.js';
import type { UpstreamReply } from '../upstream/upstream.js';
import { HeldTokens } from '../upstream/upstream-tokens.js';
import {
  INTERNAL_ERROR,
  METHOD_NOT_FOUND,
  type RequestId,
  type RpcErrorObject,
} from '../wire/json-rpc-answer.js';
import type { ModernRequest } from '../wire/modern-request.js';
import { type Message, messagesOf, responseOf } from '../upstream/reply-messages.js';
import { LEGACY_TASK_NEWS } from '../wire/task-shapes.js';
import { MessageStream } from './message-stream.js';
import { modernResult, withoutReserved } from './reserved-meta.js';

/** A request of 2026-07-28 to an upstream of an earlier revision. */
export interface CallInSession {
  readonly route: Route;
  readonly request: ModernRequest;
  /** With the upstream's own names. */
  readonly params: Message;
  readonly asking: Omit<Asking, 'timeoutMs'>;
}

/** A request of JSON-RPC. */
interface SessionRequest {
  readonly jsonrpc: string;
  readonly id: RequestId;
  readonly method: string;
  readonly params: Message;
}

const META = 'io.modelcontextprotocol/';
const MISSING_CAPABILITY = -32021;

/** What a client has to declare to be asked. */
export const QUESTIONS: ReadonlyMap<unknown, string> = new Map([
  ['elicitation/create', 'elicitation'],
  ['sampling/createMessage', 'sampling'],
  ['roots/list', 'roots'],
]);

/**
 * One call in a session of its own. No capabilities are declared in it, because a client without a session
 * cannot be asked while a call runs: a server that would ask does something else, or says so.
 *
 * @throws UpstreamError, RpcError, InsufficientScopeError, and what the token strategy throws
 */
export async function callInSession(
  call: CallInSession,
): Promise<(response: ServerResponse) => Promise<void>> {
  const { route, request, params } = call;
  const asking = { ...call.asking, held: new HeldTokens() };
  const { id, method } = request;
  const clientInfo = memberOf(params['_meta'], `${META}clientInfo`);
  const client = { capabilities: {}, clientInfo };
  const message = { jsonrpc: '2.0', id, method, params: withoutReserved(params) };
  const { session, reply, answered } = await sendInSession(route, client, message, asking);
  const end = (): void => {
    answered();
    void session.close(asking);
  };
  if (reply.status === 200) {
    return (response) => relay({ ...call, asking }, session, reply, response).finally(end);
  }
  try {
    throw await refusal(route, reply, asking.caller);
  } finally {
    end();
  }
}

/**
 * The request in a session that is good for it. Its upstream is told when nobody waits for the answer any more.
 *
 * @throws as {@link LegacySession.forCall}
 */
export async function sendInSession(
  route: Route,
  client: SessionClient,
  message: SessionRequest,
  asking: CallInSession['asking'],
): Promise<CallSession & { readonly answered: () => void }> {
  const { upstream, item } = route;
  const operation = { method: message.method, name: item.own };
  const sent = { ...asking, ...callTerms(route), operation };
  let answered = (): void => undefined;
  try {
    const begun = await LegacySession.forCall(upstream, client, asking, (session) => {
      answered();
      answered = session.cancelOnAbort(message.id, asking);
      return session.send(message, sent);
    });
    return { ...begun, answered };
  } catch (error) {
    answered();
    throw error;
  }
}

/**
 * What comes until the result is there.
 *
 * @param shaped a result as 2026-07-28 has it.
 */
export async function relay(
  { route, request, asking }: CallInSession,
  session: LegacySession,
  reply: UpstreamReply,
  response: ServerResponse,
  shaped = modernResult,
): Promise<void> {
  const { id, method, params } = request;
  const stream = new MessageStream(response);
  for await (const message of messagesOf(route.upstream, reply)) {
    const asked = member(message, 'method');
    if (typeof asked !== 'string') {
      if (member(message, 'id') !== id) continue;
      const said = responseOf(route.upstream, message);
      const result = member(said, 'result');
      if (result === undefined) session.doubt();
      return stream.end(isJsonObject(result) ? { ...said, result: shaped(result, method) } : said);
    }
    if (!Object.hasOwn(message, 'id')) {
      if (asked !== LEGACY_TASK_NEWS) await stream.send(message); // of which this revision has its own
      continue;
    }
    if (asked === 'ping') {
      session.answer(member(message, 'id'), { result: {} }, asking);
      continue;
    }
    const { token: strategy, timeoutMs } = route.upstream.options;
    const error = { code: METHOD_NOT_FOUND, message: 'Method not found' };
    const answer = { jsonrpc: '2.0', id: member(message, 'id'), error };
    session.tell(answer, { ...asking, strategy, timeoutMs }).catch(() => undefined); // the call has failed
    return stream.end({ jsonrpc: '2.0', id, error: cannotAsk(route, asked, params) });
  }
  throw route.upstream.error('upstream_failed', 'its answer ended without a result', {});
}

function cannotAsk({ upstream }: Route, method: string, params: Message): RpcErrorObject {
  const capability = QUESTIONS.get(method) ?? method;
  const declared = memberOf(params['_meta'], `${META}clientCapabilities`);
  const message = `${upstream.name} asks with ${method} while the call runs, which this protocol revision has not`;
  const data = { upstream: upstream.name };
  return memberOf(declared, capability) === undefined
    ? {
        code: MISSING_CAPABILITY,
        message,
        data: { ...data, requiredCapabilities: { [capability]: {} } },
      }
    : { code: INTERNAL_ERROR, message, data };
}
