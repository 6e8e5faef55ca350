import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { RequestId } from '../wire/json-rpc-answer.js';
import { changesOf, type ListenFilter } from './listen-filter.js';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const KEEP_ALIVE_MS = 15_000;
/** Changes that come together are told together. */
const COALESCE_MS = 50;
/** A client that does not read loses its stream. */
const MAX_UNSENT_BYTES = 1_048_576;

/** One stream of changes to one client. */
export class ListenStream {
  readonly closed: Promise<unknown>;
  readonly #response: ServerResponse;
  readonly #id: RequestId;
  readonly #changes: ReadonlySet<string>;
  readonly #uris: ReadonlySet<string>;
  readonly #waiting = new Set<string>();
  readonly #keepAlive: NodeJS.Timeout;
  #flush: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, id: RequestId, filter: ListenFilter) {
    this.#response = response;
    this.#id = id;
    this.#changes = new Set(changesOf(filter));
    this.#uris = new Set(filter.resourceSubscriptions);
    this.closed = response.closed ? Promise.resolve() : once(response, 'close');
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
    this.#keepAlive = setInterval(() => this.#write(': keep-alive\n\n'), KEEP_ALIVE_MS).unref();
    response.once('close', () => this.#stop());
    this.#notify('notifications/subscriptions/acknowledged', { notifications: filter });
    if (this.#changes.size === 0 && this.#uris.size === 0) this.end();
  }

  /** Told once, however many upstreams say it in a moment. */
  changed(method: string): void {
    if (!this.#changes.has(method)) return;
    this.#waiting.add(method);
    this.#flush ??= setTimeout(() => this.#tellWaiting(), COALESCE_MS).unref();
  }

  listsChanged(): void {
    for (const method of this.#changes) this.changed(method);
  }

  updated(uri: string): void {
    if (this.#uris.has(uri)) this.#notify('notifications/resources/updated', { uri });
  }

  /** With the result that says that it ended well. */
  end(): void {
    const result = { resultType: 'complete', _meta: { [SUBSCRIPTION]: this.#id } };
    this.#send({ jsonrpc: '2.0', id: this.#id, result });
    this.#response.end();
  }

  #tellWaiting(): void {
    this.#flush = undefined;
    for (const method of this.#waiting) this.#notify(method, {});
    this.#waiting.clear();
  }

  #notify(method: string, params: object): void {
    const stamped = { ...params, _meta: { [SUBSCRIPTION]: this.#id } };
    this.#send({ jsonrpc: '2.0', method, params: stamped });
  }

  #send(message: object): void {
    this.#write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  }

  #write(text: string): void {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    this.#response.write(text);
    if (this.#response.writableLength > MAX_UNSENT_BYTES) this.#response.destroy();
  }

  #stop(): void {
    clearInterval(this.#keepAlive);
    clearTimeout(this.#flush);
  }
}
