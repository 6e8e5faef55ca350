import { randomUUID } from 'node:crypto';
import { untilAborted } from '../../core/lib/deadline.js';
import { sha256 } from '../../core/lib/digest.js';
import { Generations } from '../../core/lib/generations.js';
import { memberOf } from '../../core/lib/members.js';
import type { TokenStrategy } from '../options/token-strategy.js';
import type { RpcErrorObject } from '../wire/json-rpc-answer.js';
import { discard } from '../wire/answer-head.js';
import { type Asking, resultOf, strategyOf } from './modern-rpc.js';
import type { Upstream, UpstreamCall, UpstreamReply } from './upstream.js';

/** The newest of the revisions that have sessions. */
export const LEGACY = '2025-11-25';

/** What the client in front declares, for the upstream. */
export interface SessionClient {
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly clientInfo: unknown;
}

/** One message in a session. */
export interface LegacyCall
  extends
    Omit<Asking, 'strategy' | 'timeoutMs'>,
    Pick<UpstreamCall, 'isPartOfCall' | 'isRepeatable' | 'timeoutMs'> {
  readonly strategy: TokenStrategy;
  readonly operation: { readonly method: string; readonly name?: string };
}

/** What a client answers to a question. */
export type SessionAnswer = { readonly result: unknown } | { readonly error: RpcErrorObject };

/** One request in a session of its own, and its answer. */
export interface CallSession {
  readonly session: LegacySession;
  readonly reply: UpstreamReply;
}

/** What a server without sessions has said to `initialize`. */
interface Handshake {
  readonly result: unknown;
  /** Of the monotonic clock. */
  readonly until: number;
}

/** Under way at a time. */
const MAX_ANSWERS = 64;
const HANDSHAKE_MS = 600_000;
const HANDSHAKES = 1000;
/** With which the transport says that a session is missing, or not begun; nothing has run then. */
const NOT_BEGUN: ReadonlySet<number> = new Set([400, 404]);
const GATEWAY_INFO = { name: 'authplane-nestjs', version: '0' };
const INITIALIZE_ID = 'authplane-initialize';

/**
 * A session with an upstream of a revision up to 2025-11-25. It belongs to one session of one client, or to
 * one call; each request has the token of whoever makes it.
 */
export class LegacySession {
  readonly upstream: Upstream;
  /** Whether the upstream runs calls of tools as tasks (2025-11-25). */
  readonly offersTasks: boolean;
  readonly #id: string | undefined;
  readonly #version: string;
  readonly #initialized: unknown;
  /** The next call begins anew; of one that is not remembered that is no change. */
  readonly doubt: () => void;
  #answering = 0;

  private constructor(
    upstream: Upstream,
    id?: string,
    initialized?: unknown,
    doubt = (): void => undefined,
  ) {
    const version = memberOf(initialized, 'protocolVersion');
    const tasks = memberOf(memberOf(initialized, 'capabilities'), 'tasks');
    this.upstream = upstream;
    this.offersTasks =
      memberOf(memberOf(memberOf(tasks, 'requests'), 'tools'), 'call') !== undefined;
    this.#id = id;
    this.#initialized = initialized;
    this.doubt = doubt;
    this.#version = typeof version === 'string' ? version : LEGACY;
  }

  /**
   * For one call. A server that has given this caller no session keeps none: what it has said to `initialize` is good
   * for his next calls, of the same client with the same scopes, so that those are one request. It says itself when
   * it wants to hear it again.
   *
   * @param send the call; once more where it was refused as one of no session.
   * @throws as {@link open}, and what `send` throws
   */
  static async forCall(
    upstream: Upstream,
    client: SessionClient,
    asking: Omit<Asking, 'timeoutMs'>,
    send: (session: LegacySession) => Promise<UpstreamReply>,
  ): Promise<CallSession> {
    const key = handshakeKey(client, asking);
    const known = handshakesWith(upstream).get(key);
    if (known !== undefined && performance.now() < known.until) {
      const forget = (): void => handshakesWith(upstream).delete(key);
      const session = new LegacySession(upstream, undefined, known.result, forget);
      const reply = await send(session);
      if (sessionIn(reply) !== undefined || NOT_BEGUN.has(reply.status)) forget();
      if (!NOT_BEGUN.has(reply.status)) return { session, reply };
      discard(reply.body);
    }
    const session = await LegacySession.open(upstream, client, asking);
    try {
      const reply = await send(session);
      const until = performance.now() + HANDSHAKE_MS;
      const isKept = !session.hasId && sessionIn(reply) === undefined && reply.status === 200;
      if (isKept) handshakesWith(upstream).set(key, { result: session.#initialized, until });
      return { session, reply };
    } catch (error) {
      void session.close(asking);
      throw error;
    }
  }

  /** Whatever it has said to anybody is asked again. */
  static forget(upstream: Upstream): void {
    handshakes.delete(upstream);
  }

  /**
   * Who goes away meanwhile leaves no session behind: it ends as soon as it is there.
   *
   * @throws UpstreamError, RpcError, what the token strategy throws, and the reason of the signal
   */
  static async open(
    upstream: Upstream,
    client: SessionClient,
    asking: Omit<Asking, 'timeoutMs'>,
  ): Promise<LegacySession> {
    asking.signal.throwIfAborted();
    const { signal } = new AbortController(); // it has its deadline
    const opening = LegacySession.#opened(upstream, client, { ...asking, signal });
    try {
      return await untilAborted(opening, asking.signal);
    } catch (error) {
      opening.then(
        (session) => session.close(asking),
        () => undefined, // thrown below, or nobody's
      );
      throw error;
    }
  }

  static async #opened(
    upstream: Upstream,
    client: SessionClient,
    asking: Omit<Asking, 'timeoutMs'>,
  ): Promise<LegacySession> {
    const strategy = strategyOf(asking, upstream);
    const call = { ...asking, strategy, timeoutMs: upstream.options.connectTimeoutMs };
    const { capabilities, clientInfo = GATEWAY_INFO } = client;
    const params = { protocolVersion: LEGACY, capabilities, clientInfo };
    const message = { jsonrpc: '2.0', id: INITIALIZE_ID, method: 'initialize', params };
    const first = new LegacySession(upstream);
    const operation = { method: 'initialize' };
    const reply = await first.send(message, { ...call, operation, isRepeatable: true });
    const id = sessionIn(reply);
    const result = await resultOf(upstream, reply, INITIALIZE_ID);
    const session = new LegacySession(upstream, id, result);
    try {
      await session.tell({ jsonrpc: '2.0', method: 'notifications/initialized' }, call);
      return session;
    } catch (error) {
      void session.close(asking);
      throw error;
    }
  }

  /** Whether the upstream can forget it. */
  get hasId(): boolean {
    return this.#id !== undefined;
  }

  /** @throws UpstreamError, and what the token strategy throws */
  send(message: object, call: LegacyCall): Promise<UpstreamReply> {
    return this.upstream.call({
      ...call,
      method: 'POST',
      headers: { ...this.#headers(), 'content-type': 'application/json' },
      body: JSON.stringify(message),
    });
  }

  /** A notification, or the answer to a question. */
  async tell(message: object, call: Omit<LegacyCall, 'operation'>): Promise<void> {
    const method = memberOf(message, 'method');
    const operation = { method: typeof method === 'string' ? method : 'response' };
    const { body } = await this.send(message, { ...call, operation, isPartOfCall: true });
    body.on('error', () => undefined);
    body.resume();
  }

  /**
   * A session outlives the connection of a call: the upstream is told when nobody waits for the answer any more.
   *
   * @returns called once it is there.
   */
  cancelOnAbort(requestId: string | number, asking: Omit<Asking, 'timeoutMs'>): () => void {
    const tell = (): void => {
      const { connectTimeoutMs: timeoutMs } = this.upstream.options;
      const strategy = strategyOf(asking, this.upstream);
      const message = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } };
      const call = { ...asking, strategy, timeoutMs, signal: new AbortController().signal };
      this.tell(message, call).catch(() => undefined); // it is gone itself
    };
    asking.signal.addEventListener('abort', tell, { once: true });
    return () => asking.signal.removeEventListener('abort', tell);
  }

  /**
   * The answer to a question, which fails as well when this does. An upstream that asks faster than it takes answers
   * has none: each would be a connection.
   */
  answer(id: unknown, answer: SessionAnswer, asking: Omit<Asking, 'timeoutMs'>): void {
    if (this.#answering >= MAX_ANSWERS) return;
    this.#answering++;
    const { timeoutMs } = this.upstream.options;
    const strategy = strategyOf(asking, this.upstream);
    const message = { jsonrpc: '2.0', id, ...answer };
    const told = this.tell(message, { ...asking, strategy, timeoutMs });
    told.catch(() => undefined).finally(() => this.#answering--);
  }

  /**
   * The same for an answer that has to arrive.
   *
   * @throws UpstreamError, also where the upstream takes no answer, and what the token strategy throws
   */
  async deliver(
    id: unknown,
    answer: SessionAnswer,
    asking: Omit<Asking, 'timeoutMs'>,
  ): Promise<void> {
    const { timeoutMs } = this.upstream.options;
    const strategy = strategyOf(asking, this.upstream);
    const operation = { method: 'response' };
    const call = { ...asking, strategy, timeoutMs, operation, isPartOfCall: true };
    const { status, body } = await this.send({ jsonrpc: '2.0', id, ...answer }, call);
    discard(body);
    if (status < 400) return;
    throw this.upstream.error('upstream_failed', `it answers ${status} to an answer`, { status });
  }

  /**
   * The stream of what the upstream says outside of calls.
   *
   * @throws UpstreamError, and what the token strategy throws
   */
  listen(asking: Omit<Asking, 'timeoutMs'>): Promise<UpstreamReply> {
    return this.upstream.call({
      ...asking,
      method: 'GET',
      headers: { ...this.#headers(), accept: 'text/event-stream' },
      strategy: strategyOf(asking, this.upstream),
      operation: { method: 'GET' },
      timeoutMs: undefined,
    });
  }

  /** For a request of the gateway's own beside those of the client, who cannot know it. */
  newId(): string {
    return `authplane-${randomUUID()}`;
  }

  /** The result of a request of the gateway's own, which a dead connection may have brought already. */
  async ask(
    method: string,
    params: object,
    asking: Asking,
  ): Promise<Readonly<Record<string, unknown>>> {
    const id = this.newId();
    const strategy = strategyOf(asking, this.upstream);
    const message = { jsonrpc: '2.0', id, method, params };
    const call = { ...asking, strategy, operation: { method }, isRepeatable: true };
    const reply = await this.send(message, call);
    return resultOf(this.upstream, reply, id);
  }

  /** Never rejects: a session that cannot be ended ends by itself. */
  async close(asking: Omit<Asking, 'timeoutMs' | 'signal'>): Promise<void> {
    if (this.#id === undefined) return;
    const { connectTimeoutMs: timeoutMs } = this.upstream.options;
    const strategy = strategyOf(asking, this.upstream);
    const { signal } = new AbortController(); // it has its deadline
    const call = { ...asking, signal, timeoutMs, strategy, operation: { method: 'DELETE' } };
    const headers = this.#headers();
    const request = { ...call, method: 'DELETE', headers, isPartOfCall: true } as const;
    await this.upstream.call(request).then(
      ({ body }) => void body.on('error', () => undefined).resume(),
      () => undefined,
    );
  }

  #headers(): Readonly<Record<string, string>> {
    return {
      accept: 'application/json, text/event-stream',
      'accept-encoding': 'identity',
      'mcp-protocol-version': this.#version,
      'user-agent': 'authplane-nestjs',
      ...(this.#id === undefined ? {} : { 'mcp-session-id': this.#id }),
    };
  }
}

/** Of an upstream that was replaced they go with it. */
const handshakes = new WeakMap<Upstream, Generations<Handshake>>();

function handshakesWith(upstream: Upstream): Generations<Handshake> {
  const known = handshakes.get(upstream) ?? new Generations<Handshake>(HANDSHAKES);
  handshakes.set(upstream, known);
  return known;
}

/** What a server says may depend on who asks, what he may, and what his client says of itself. */
function handshakeKey(
  client: SessionClient,
  { caller, callerKey }: Pick<Asking, 'caller' | 'callerKey'>,
): string {
  const { capabilities, clientInfo } = client;
  const scopes = [...caller.claims.scopes].sort();
  return sha256(JSON.stringify([callerKey, scopes, capabilities, clientInfo]));
}

function sessionIn({ body }: UpstreamReply): string | undefined {
  const id = body.headers['mcp-session-id'];
  return typeof id === 'string' && id !== '' ? id : undefined;
}
