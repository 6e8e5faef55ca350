import type { ServerResponse } from 'node:http';

/** Where the messages of one answer go. */
export interface MessageSink {
  send(message: object): Promise<void>;
  /** The last one. */
  end(message: object): Promise<void>;
}

/**
 * An answer to a client, which becomes an event stream with the first message that is not the last one. The
 * upstream is read no faster than the client reads.
 */
export class MessageStream implements MessageSink {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  /** As an event stream, however few messages there are. */
  begin(): void {
    const head = { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' };
    if (!this.#response.headersSent) this.#response.writeHead(200, head);
  }

  async send(message: object): Promise<void> {
    const response = this.#response;
    this.begin();
    const isFull = !response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
    if (isFull && !response.destroyed) await drained(response);
  }

  /** The last message. */
  async end(message: object): Promise<void> {
    if (this.#response.headersSent) {
      await this.send(message);
      this.#response.end();
    } else {
      const headers = { 'Content-Type': 'application/json' };
      this.#response.writeHead(200, headers).end(JSON.stringify(message));
    }
  }
}

/** Has taken what was written, or takes nothing any more; of a stream that is slow for long nothing stays behind. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
