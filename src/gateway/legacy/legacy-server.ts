import { type Eventually, untilAborted } from '../../core/lib/deadline.js';
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { type ListShape, listShapeOf } from '../listing/list-kinds.js';
import { routeOfTask } from '../listing/task-router.js';
import type { OperationRouter } from '../listing/operation-router.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { Asking } from '../upstream/modern-rpc.js';
import { RpcError } from '../wire/gateway-errors.js';
import {
  ACCEPTED,
  INTERNAL_ERROR,
  INVALID_REQUEST,
  METHOD_NOT_FOUND,
  type RequestId,
  resultAnswer,
  resultTextAnswer,
  type RpcAnswer,
} from '../wire/json-rpc-answer.js';
import { MODERN } from '../wire/modern-request.js';
import type { ChangeFeeds } from '../changes/change-feeds.js';
import type { ClientSession } from './client-session.js';
import { LEGACY, type SessionAnswer } from '../upstream/legacy-session.js';
import { SessionChanges } from './session-changes.js';
import type { Message } from '../upstream/reply-messages.js';
import { withoutReserved } from './reserved-meta.js';
import { callLegacy, type Relay } from './session-call.js';
import { relayModern, taskNow, tasksAt } from './session-tasks.js';
import { Sessions } from './sessions.js';

/** What surrounds a message of a client. */
export interface LegacyInbound {
  readonly headers: IncomingHttpHeaders;
  readonly judgeAgain: () => Eventually<void>;
  readonly asking: Omit<Asking, 'timeoutMs'>;
}

/** A request in a session. */
interface Asked {
  readonly id: RequestId;
  readonly method: string;
  readonly params: Message;
}

/** An answer, and the session that it belongs to. */
export interface LegacyAnswer {
  readonly answer: RpcAnswer | Relay;
  readonly session?: ClientSession;
}

const REVISIONS = ['2025-11-25', '2025-06-18', '2025-03-26'];
const CAPABILITIES = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  logging: {},
  tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
};
const VERSION = '0.1.0';

/** Answers clients of the revisions up to 2025-11-25, which have sessions. */
export class LegacyServer {
  readonly sessions: Sessions;
  readonly changes: SessionChanges;
  readonly #registry: UpstreamRegistry;
  readonly #router: OperationRouter;

  constructor(registry: UpstreamRegistry, router: OperationRouter, feeds: ChangeFeeds) {
    this.#registry = registry;
    this.#router = router;
    this.sessions = new Sessions(registry.options);
    this.changes = new SessionChanges(registry, feeds);
    registry.onChange(() => this.sessions.keepOnly(new Set(registry.all)));
  }

  /** @throws RpcError, UnknownOperationError, UpstreamError, and what guard and token strategies throw */
  async answer(body: unknown, inbound: LegacyInbound): Promise<LegacyAnswer> {
    if (!isJsonObject(body) || member(body, 'jsonrpc') !== '2.0') throw invalidRequest();
    const id = member(body, 'id');
    const method = member(body, 'method');
    if (method === 'initialize') return this.#initialize(requestId(id), body, inbound);
    const session = this.sessions.get(inbound.headers['mcp-session-id'], inbound.asking.callerKey);
    if (typeof method !== 'string') return this.#answered(session, body);
    if (!Object.hasOwn(body, 'id')) return this.#told(session, method, body, inbound);
    const params = member(body, 'params');
    const asked = { id: requestId(id), method, params: isJsonObject(params) ? params : {} };
    return { answer: await this.#request(session, asked, inbound), session };
  }

  #initialize(id: RequestId, body: Message, { asking }: LegacyInbound): LegacyAnswer {
    const params = member(body, 'params');
    const capabilities = memberOf(params, 'capabilities');
    const asked = memberOf(params, 'protocolVersion');
    const version = REVISIONS.find((one) => one === asked) ?? LEGACY;
    const client = {
      capabilities: isJsonObject(capabilities) ? capabilities : {},
      clientInfo: memberOf(params, 'clientInfo'),
    };
    const session = this.sessions.open(asking.callerKey, client, version);
    const result = {
      protocolVersion: session.version,
      capabilities: CAPABILITIES,
      serverInfo: { name: this.#registry.options.serverName, version: VERSION },
    };
    const answer = resultAnswer(id, result);
    return { answer: { ...answer, headers: { 'Mcp-Session-Id': session.id } }, session };
  }

  #answered(session: ClientSession, body: Message): LegacyAnswer {
    const error = member(body, 'error');
    const answer = isJsonObject(error) ? { error } : { result: member(body, 'result') };
    session.answer(member(body, 'id'), answer as SessionAnswer); // as it came, for whoever has asked
    return { answer: ACCEPTED };
  }

  async #told(
    session: ClientSession,
    method: string,
    body: Message,
    { asking }: LegacyInbound,
  ): Promise<LegacyAnswer> {
    if (method === 'notifications/cancelled') {
      const id = memberOf(member(body, 'params'), 'requestId');
      session.cancel(id, cancelled());
    }
    if (method === 'notifications/roots/list_changed') {
      for (const upstream of await session.upstreams.all()) {
        const { token: strategy, timeoutMs } = upstream.upstream.options;
        const signal = AbortSignal.timeout(timeoutMs);
        const message = { jsonrpc: '2.0', method };
        upstream.tell(message, { ...asking, signal, strategy, timeoutMs }).catch(() => undefined); // hears of it later
      }
    }
    return { answer: ACCEPTED };
  }

  /** Until its answer is there, the client can cancel it by its id. */
  async #request(
    session: ClientSession,
    asked: Asked,
    inbound: LegacyInbound,
  ): Promise<RpcAnswer | Relay> {
    const { asking } = inbound;
    const stop = new AbortController();
    const signal = AbortSignal.any([asking.signal, stop.signal]);
    const end = session.begin(asked.id, (reason) => stop.abort(reason));
    try {
      const mine = { ...inbound, asking: { ...asking, signal } };
      const answer = await untilAborted(this.#answerTo(session, asked, mine), signal);
      if (typeof answer === 'function') {
        return (stream) => endedBy(signal, answer(stream)).finally(end);
      }
      end();
      return answer;
    } catch (error) {
      end();
      throw error;
    }
  }

  async #answerTo(
    session: ClientSession,
    asked: Asked,
    inbound: LegacyInbound,
  ): Promise<RpcAnswer | Relay> {
    const { id, method, params } = asked;
    const shape = listShapeOf(method);
    if (shape !== undefined) return this.#list(id, shape, params, session, inbound);
    if (method === 'ping') return resultAnswer(id, {});
    if (method === 'resources/subscribe') return this.#subscribe(session, asked, inbound);
    if (method === 'resources/unsubscribe') return this.#unsubscribe(session, asked, inbound);
    if (method === 'tasks/list') return this.#listTasks(session, id, inbound);
    if (method === 'logging/setLevel') return this.#setLevel(session, id, params, inbound);
    return this.#operation(session, asked, inbound);
  }

  async #list(
    id: RequestId,
    shape: ListShape,
    { cursor }: Message,
    session: ClientSession,
    { asking }: LegacyInbound,
  ): Promise<RpcAnswer> {
    const { capabilities } = session.client;
    const page = await this.#registry.page(shape, cursor, { ...asking, capabilities });
    const members = [`"${shape.kind}":[${page.entries}]`];
    if (page.nextCursor !== undefined)
      members.push(`"nextCursor":${JSON.stringify(page.nextCursor)}`);
    if (page.meta !== undefined) members.push(`"_meta":${JSON.stringify(page.meta)}`);
    return resultTextAnswer(id, `{${members.join(',')}}`);
  }

  /** 2026-07-28 has the level in each request; open sessions are told. */
  async #setLevel(
    session: ClientSession,
    id: RequestId,
    { level }: Message,
    { asking }: LegacyInbound,
  ): Promise<RpcAnswer> {
    if (typeof level === 'string') session.upstreams.logLevel = level;
    await Promise.allSettled(
      (await session.upstreams.all()).map((upstream) => {
        const { connectTimeoutMs: timeoutMs } = upstream.upstream.options;
        return upstream.ask('logging/setLevel', { level }, { ...asking, timeoutMs });
      }),
    );
    return resultAnswer(id, {});
  }

  /** A resource that can be read can be subscribed to; whether its upstream tells of changes is its affair. */
  async #subscribe(
    session: ClientSession,
    { id, params }: Asked,
    { judgeAgain, asking }: LegacyInbound,
  ): Promise<RpcAnswer> {
    const reader = { ...asking, capabilities: session.client.capabilities };
    const routed = await this.#router.route('resources/read', params, reader, judgeAgain);
    if (routed === undefined) throw invalidRequest();
    const { route } = routed;
    await this.changes.subscribe(session, route.upstream, route.item.own, asking);
    return resultAnswer(id, {});
  }

  async #unsubscribe(
    session: ClientSession,
    { id, params }: Asked,
    { asking }: LegacyInbound,
  ): Promise<RpcAnswer> {
    const { uri } = params;
    if (typeof uri === 'string') await this.changes.unsubscribe(session, uri, asking);
    return resultAnswer(id, {});
  }

  async #listTasks(
    session: ClientSession,
    id: RequestId,
    { asking }: LegacyInbound,
  ): Promise<RpcAnswer> {
    const { tasks: ids, kept, taskRoutes } = this.#registry;
    const sessions = await session.upstreams.all();
    const legacy = Promise.all(sessions.map((one) => tasksAt(one, ids, asking)));
    const modern = kept.of(session).flatMap((task) => {
      const routed = routeOfTask(task['taskId'], taskRoutes, asking.callerKey);
      const call = { session, id, method: 'tasks/get', asking, registry: this.#registry };
      return routed === undefined ? [] : [taskNow({ ...call, ...routed }, task)];
    });
    const tasks = [...(await legacy).flat(), ...(await Promise.all(modern))];
    return resultAnswer(id, { tasks });
  }

  async #operation(
    session: ClientSession,
    { id, method, params }: Asked,
    { judgeAgain, asking }: LegacyInbound,
  ): Promise<Relay> {
    const mine = { ...asking, capabilities: session.client.capabilities };
    const routed = await this.#router.route(method, params, mine, judgeAgain);
    if (routed === undefined) {
      throw new RpcError(200, { code: METHOD_NOT_FOUND, message: 'Method not found' });
    }
    const { route, name } = routed;
    const call = {
      session,
      route,
      id,
      method,
      name,
      asking: mine,
      registry: this.#registry,
      params: withoutReserved(routed.params),
    };
    const era = await this.#registry.eraOf(route.upstream, mine);
    return era === MODERN ? relayModern(call, params['taskId']) : callLegacy(call);
  }
}

/** What breaks off because it is not wanted any more is no failure of its upstream. */
async function endedBy(signal: AbortSignal, relayed: Promise<void>): Promise<void> {
  try {
    await relayed;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

function requestId(id: unknown): RequestId {
  if (typeof id === 'string' || Number.isSafeInteger(id)) return id as RequestId; // checked here
  throw invalidRequest();
}

/** For a client that has stopped listening for it; the transport needs an answer all the same. */
function cancelled(): RpcError {
  return new RpcError(200, { code: INTERNAL_ERROR, message: 'Cancelled' });
}

function invalidRequest(): RpcError {
  return new RpcError(400, { code: INVALID_REQUEST, message: 'Invalid Request' });
}
