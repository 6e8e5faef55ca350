import type { ServerResponse } from 'node:http';
import { putMember } from '../../core/lib/members.js';
import type { ChangeFeeds } from '../changes/change-feeds.js';
import { ALL_LISTS, changesOf } from '../changes/listen-filter.js';
import { type SessionHearer, SessionListener } from '../changes/session-listener.js';
import { routeOfTask } from '../listing/task-router.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { Message } from '../upstream/reply-messages.js';
import type { Upstream } from '../upstream/upstream.js';
import { RpcError } from '../wire/gateway-errors.js';
import { INTERNAL_ERROR } from '../wire/json-rpc-answer.js';
import { MODERN } from '../wire/modern-request.js';
import { isOver, LEGACY_TASK_NEWS, legacyTask } from '../wire/task-shapes.js';
import type { ClientSession } from './client-session.js';
import { SessionStream } from './session-stream.js';

/** Of one session. */
const MAX_SUBSCRIPTIONS = 256;
/** Tasks of one session that are listened to: the newest. */
const MAX_TASKS = 64;

type Who = Omit<Asking, 'timeoutMs'>;

/** What clients of the 2025 revisions hear outside of calls, of upstreams of any revision. */
export class SessionChanges {
  readonly #registry: UpstreamRegistry;
  readonly #feeds: ChangeFeeds;

  constructor(registry: UpstreamRegistry, feeds: ChangeFeeds) {
    this.#registry = registry;
    this.#feeds = feeds;
  }

  /** Upstreams are listened to for as long as the client does. */
  async open(session: ClientSession, response: ServerResponse, asking: Who): Promise<void> {
    const stream = new SessionStream(response);
    session.stream = stream;
    let stop = this.#hear(session, stream, asking);
    const forget = this.#registry.onChange(() => {
      stop();
      for (const method of changesOf(ALL_LISTS)) stream.changed(method);
      stop = this.#hear(session, stream, asking);
    });
    await stream.closed;
    forget();
    stop();
    if (session.stream === stream) session.stream = undefined;
  }

  /** @throws UpstreamError, RpcError also for too many, and what the token strategy throws */
  async subscribe(
    session: ClientSession,
    upstream: Upstream,
    uri: string,
    asking: Who,
  ): Promise<void> {
    const { subscriptions } = session;
    if (subscriptions.size >= MAX_SUBSCRIPTIONS && !subscriptions.has(uri)) throw limitReached();
    const known = subscriptions.get(uri);
    const subscription = known ?? { upstream, stop: new AbortController() };
    subscriptions.set(uri, subscription); // before anything is waited for: it counts from now on
    try {
      if ((await this.#registry.eraOf(upstream, asking)) !== MODERN) {
        await session.upstreams.subscribe(upstream, uri, asking);
      }
    } catch (error) {
      if (known === undefined && subscriptions.get(uri) === subscription) subscriptions.delete(uri);
      throw error;
    }
    const { stream } = session;
    if (stream !== undefined) {
      await this.#hearOf(uri, session, stream, { ...asking, signal: stream.signal });
    }
  }

  async unsubscribe(session: ClientSession, uri: string, asking: Who): Promise<void> {
    const subscription = session.subscriptions.get(uri);
    subscription?.stop.abort();
    session.subscriptions.delete(uri);
    if (subscription !== undefined) {
      await session.upstreams.unsubscribe(subscription.upstream, uri, asking);
    }
  }

  /** @returns stops it */
  #hear(session: ClientSession, stream: SessionStream, asking: Who): () => void {
    const stop = new AbortController();
    const until = { ...asking, signal: AbortSignal.any([stream.signal, stop.signal]) };
    for (const upstream of this.#registry.all) {
      const interest = { filter: ALL_LISTS, listener: stream, asking: until };
      void this.#feeds.listen(upstream, interest, () => {
        const { tasks } = this.#registry;
        const owner = { upstream: upstream.name, callerKey: asking.callerKey };
        const ours = (message: Message) => tasks.wrapIn(message, owner);
        const hearer = hearerOf(session, stream, { asking: until, ours });
        void new SessionListener(upstream, session.upstreams, this.#registry, hearer).listen(until);
      });
    }
    for (const uri of session.subscriptions.keys()) {
      void this.#hearOf(uri, session, stream, until);
    }
    const heard = new Set<AbortController>();
    putMember(session, 'follow', (task) => this.#hearOfTask(task, session, stream, until, heard));
    for (const task of this.#registry.kept.of(session)) session.follow?.(task);
    return () => stop.abort(new Error('nobody listens any more'));
  }

  /** A task of an upstream of 2026-07-28, until it is over. */
  #hearOfTask(
    task: Message,
    session: ClientSession,
    stream: SessionStream,
    asking: Who,
    heard: Set<AbortController>,
  ): void {
    const { kept, taskRoutes } = this.#registry;
    const { taskId } = task;
    if (isOver(task)) return;
    const routed = routeOfTask(taskId, taskRoutes, asking.callerKey);
    if (routed === undefined) return;
    const { upstream, item } = routed.route;
    const over = new AbortController();
    over.signal.addEventListener('abort', () => heard.delete(over), { once: true });
    const [oldest] = heard.add(over);
    if (heard.size > MAX_TASKS) oldest?.abort(new Error('newer tasks are listened to'));
    const signal = AbortSignal.any([asking.signal, over.signal]);
    const listener = {
      changed: () => undefined,
      updated: () => undefined,
      task: (state: Message) => {
        const noted = kept.note(session, { ...legacyTask(state), taskId });
        stream.send({ method: LEGACY_TASK_NEWS, params: noted });
        if (isOver(noted)) over.abort(new Error('the task is over'));
      },
    };
    const interest = { filter: { taskIds: [item.own] }, listener, asking: { ...asking, signal } };
    void this.#feeds.listen(upstream, interest, () => undefined);
  }

  /** Of an earlier revision it comes in the session. */
  async #hearOf(
    uri: string,
    session: ClientSession,
    listener: SessionStream,
    asking: Who,
  ): Promise<void> {
    const subscription = session.subscriptions.get(uri);
    if (subscription === undefined) return;
    const upstream = this.#registry.get(subscription.upstream.name);
    if (upstream === undefined) return;
    const signal = AbortSignal.any([asking.signal, subscription.stop.signal]);
    const filter = { resourceSubscriptions: [uri] };
    const interest = { filter, listener, asking: { ...asking, signal } };
    await this.#feeds.listen(upstream, interest, () => {
      const subscribing = session.upstreams.subscribe(upstream, uri, { ...asking, signal });
      subscribing.catch((error: unknown) => this.#registry.log(error));
    });
  }
}

function limitReached(): RpcError {
  return new RpcError(200, { code: INTERNAL_ERROR, message: 'Subscription limit reached' });
}

function hearerOf(
  session: ClientSession,
  stream: SessionStream,
  { asking, ours }: { readonly asking: Who; readonly ours: (message: Message) => Message },
): SessionHearer {
  return {
    changed: (method) => stream.changed(method),
    updated: (uri) => stream.updated(uri),
    told: (message, upstream) => {
      const told = session.told(ours(message), upstream);
      if (told !== undefined) stream.send(told);
    },
    asked: (question, upstream) => {
      if (!stream.isOpen) return false;
      const id = session.questionOf(question, upstream, asking);
      stream.send({ ...ours(question), id });
      return true;
    },
  };
}
