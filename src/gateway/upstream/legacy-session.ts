import { untilAborted } from '../../core/lib/deadline.js';
import { memberOf } from '../../core/lib/members.js';
import type { TokenStrategy } from '../options/token-strategy.js';
import type { RpcErrorObject } from '../wire/json-rpc-answer.js';
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
  extends Omit<Asking, 'strategy' | 'timeoutMs'>, Pick<UpstreamCall, 'isPartOfCall' | 'timeoutMs'> {
  readonly strategy: TokenStrategy;
  readonly operation: { readonly method: string; readonly name?: string };
}

/** What a client answers to a question. */
export type SessionAnswer = { readonly result: unknown } | { readonly error: RpcErrorObject };

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
  #lastAsked = 0;

  private constructor(upstream: Upstream, id?: string, initialized?: unknown) {
    const version = memberOf(initialized, 'protocolVersion');
    const tasks = memberOf(memberOf(initialized, 'capabilities'), 'tasks');
    this.upstream = upstream;
    this.offersTasks =
      memberOf(memberOf(memberOf(tasks, 'requests'), 'tools'), 'call') !== undefined;
    this.#id = id;
    this.#version = typeof version === 'string' ? version : LEGACY;
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
    const reply = await first.send(message, { ...call, operation: { method: 'initialize' } });
    const id = reply.body.headers['mcp-session-id'];
    const result = await resultOf(upstream, reply, INITIALIZE_ID);
    const session = new LegacySession(upstream, typeof id === 'string' ? id : undefined, result);
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

  /** The answer to a question, which fails as well when this does. */
  answer(id: unknown, answer: SessionAnswer, asking: Omit<Asking, 'timeoutMs'>): void {
    const { timeoutMs } = this.upstream.options;
    const strategy = strategyOf(asking, this.upstream);
    const message = { jsonrpc: '2.0', id, ...answer };
    this.tell(message, { ...asking, strategy, timeoutMs }).catch(() => undefined);
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

  /** For a request of the gateway's own; several may be under way. */
  newId(): string {
    return `authplane-${++this.#lastAsked}`;
  }

  /** The result of a request of the gateway's own. */
  async ask(
    method: string,
    params: object,
    asking: Asking,
  ): Promise<Readonly<Record<string, unknown>>> {
    const id = this.newId();
    const strategy = strategyOf(asking, this.upstream);
    const message = { jsonrpc: '2.0', id, method, params };
    const reply = await this.send(message, { ...asking, strategy, operation: { method } });
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
