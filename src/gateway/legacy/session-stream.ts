import type { ServerResponse } from 'node:http';
import { type ChangeListener, EventStream } from '../changes/event-stream.js';
import type { Message } from '../upstream/reply-messages.js';

/** The stream that a client of the 2025 revisions opens with GET, for what belongs to no call. */
export class SessionStream implements ChangeListener {
  readonly closed: Promise<unknown>;
  readonly #gone = new AbortController();
  readonly #events: EventStream;

  constructor(response: ServerResponse) {
    this.#events = new EventStream(response, (method) => this.send({ method }));
    this.closed = this.#events.closed.finally(() => this.#gone.abort());
  }

  /** Aborted when it is closed. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get isOpen(): boolean {
    return this.#events.isOpen;
  }

  changed(method: string): void {
    this.#events.changed(method);
  }

  updated(uri: string): void {
    this.send({ method: 'notifications/resources/updated', params: { uri } });
  }

  send(message: Message): void {
    this.#events.send({ jsonrpc: '2.0', ...message });
  }

  end(): void {
    this.#events.end();
  }
}
