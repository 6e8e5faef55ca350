import type { MessageSink } from './message-stream.js';

/**
 * The answers of a batch (MCP 2025-03-26) on one stream, each as soon as it is there. It ends with the last of
 * them.
 */
export class BatchStream {
  readonly #stream: MessageSink;
  #open: number;

  /** @param requests that will be answered. */
  constructor(stream: MessageSink, requests: number) {
    this.#stream = stream;
    this.#open = requests;
  }

  /** For the answer of one request. */
  get sink(): MessageSink {
    return {
      send: (message) => this.#stream.send(message),
      end: (message) =>
        --this.#open === 0 ? this.#stream.end(message) : this.#stream.send(message),
    };
  }
}
