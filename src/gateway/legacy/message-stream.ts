import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { isJsonObject } from '../../core/lib/members.js';
import type { UpstreamReply } from '../upstream/upstream.js';
import { eventsOf, readText } from '../wire/read-message.js';

export type Message = Readonly<Record<string, unknown>>;

const MAX_BYTES = 10_485_760;

/** The messages of an answer, as they come. What is no message is left out. */
export async function* messagesOf({ body, isEvents }: UpstreamReply): AsyncGenerator<Message> {
  if (!isEvents) {
    const message = parsed(await readText(body, MAX_BYTES));
    if (message !== undefined) yield message;
    return;
  }
  for await (const data of eventsOf(body, MAX_BYTES)) {
    const message = parsed(data);
    if (message !== undefined) yield message;
  }
}

/**
 * An answer to a client, which becomes an event stream with the first message that is not the last one. The
 * upstream is read no faster than the client reads.
 */
export class MessageStream {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  async send(message: object): Promise<void> {
    const response = this.#response;
    if (!response.headersSent) {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
    }
    const isFull = !response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
    if (isFull && !response.destroyed)
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
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

function parsed(text: string): Message | undefined {
  try {
    const message: unknown = JSON.parse(text);
    return isJsonObject(message) ? message : undefined;
  } catch {
    return undefined;
  }
}
