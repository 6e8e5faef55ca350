import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

const KEEP_ALIVE_MS = 15_000;
/** Changes that come together are told together. */
const COALESCE_MS = 50;
/** A client that does not read loses its stream. */
const MAX_UNSENT_BYTES = 1_048_576;

/** Whoever wants to hear of changes. */
export interface ChangeListener {
  /** A list is another one, as a notification of that method says it. */
  changed(method: string): void;
  /** A resource is another one. */
  updated(uri: string): void;
  /** A task of an upstream of 2026-07-28 is another one, as that says it. */
  task?(task: Readonly<Record<string, unknown>>): void;
}

/** Messages to one client, for as long as it keeps the stream open. */
export class EventStream {
  readonly closed: Promise<unknown>;
  readonly #response: ServerResponse;
  readonly #tell: (method: string) => void;
  readonly #waiting = new Set<string>();
  readonly #keepAlive: NodeJS.Timeout;
  #flush: NodeJS.Timeout | undefined;

  /** @param tell says that a list has changed; once, however many upstreams say it in a moment. */
  constructor(response: ServerResponse, tell: (method: string) => void) {
    this.#response = response;
    this.#tell = tell;
    this.closed = response.closed ? Promise.resolve() : once(response, 'close');
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-cache, no-transform',
      'X-Accel-Buffering': 'no',
    });
    response.flushHeaders();
    this.#keepAlive = setInterval(() => this.#write(': keep-alive\n\n'), KEEP_ALIVE_MS).unref();
    response.once('close', () => this.#stop());
  }

  get isOpen(): boolean {
    return !this.#response.writableEnded && !this.#response.destroyed;
  }

  changed(method: string): void {
    this.#waiting.add(method);
    this.#flush ??= setTimeout(() => this.#tellWaiting(), COALESCE_MS).unref();
  }

  send(message: object): void {
    this.#write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  }

  end(): void {
    if (this.isOpen) this.#response.end();
  }

  #tellWaiting(): void {
    this.#flush = undefined;
    for (const method of this.#waiting) this.#tell(method);
    this.#waiting.clear();
  }

  #write(text: string): void {
    if (!this.isOpen) return;
    this.#response.write(text);
    if (this.#response.writableLength > MAX_UNSENT_BYTES) this.#response.destroy();
  }

  #stop(): void {
    clearInterval(this.#keepAlive);
    clearTimeout(this.#flush);
  }
}
