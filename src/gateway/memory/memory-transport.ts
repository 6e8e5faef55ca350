import { PassThrough } from 'node:stream';
import { randomUUID } from 'node:crypto';
import { member } from '../../core/lib/members.js';

type Message = Readonly<Record<string, unknown>>;

/** An answer as one of HTTP is read, of a server in this process. */
export class MemoryAnswer extends PassThrough {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  /** What has come so far, by which it is seen to be alive. */
  readonly socket = { bytesRead: 0 };

  constructor(statusCode: number, headers: Readonly<Record<string, string>> = {}) {
    super();
    this.statusCode = statusCode;
    this.headers = headers;
    this.on('error', () => undefined); // whoever waits for it hears of it
  }

  tell(message: object): void {
    const text = `data: ${JSON.stringify(message)}\n\n`;
    this.socket.bytesRead += text.length;
    if (!this.destroyed) this.write(text);
  }
}

/** Where a message of the server belongs, as both SDKs say it. */
interface SendOptions {
  readonly relatedRequestId?: string | number;
}

/**
 * The end of a session that a server of either MCP SDK is connected to, without a network in between. What it sends
 * goes to the answer of the request that it is about.
 */
export class MemoryTransport {
  readonly sessionId = randomUUID();
  onmessage?: (message: Message, extra?: object) => void;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  /** For what is about no request. */
  standalone: MemoryAnswer | undefined;
  readonly #answers = new Map<unknown, MemoryAnswer>();

  async start(): Promise<void> {
    // There is nothing to open.
  }

  /** The answer to this request, of which messages come until it is there. */
  answer(id: unknown, answer: MemoryAnswer): void {
    this.#answers.set(id, answer);
    answer.once('close', () => {
      if (this.#answers.get(id) === answer) this.#answers.delete(id);
    });
  }

  async send(message: Message, { relatedRequestId }: SendOptions = {}): Promise<void> {
    if (Object.hasOwn(message, 'method')) {
      (this.#answers.get(relatedRequestId) ?? this.standalone)?.tell(message);
      return;
    }
    const answer = this.#answers.get(member(message, 'id'));
    answer?.tell(message);
    answer?.end();
  }

  async close(): Promise<void> {
    for (const answer of this.#answers.values()) answer.destroy();
    this.standalone?.destroy();
    this.onclose?.();
  }
}
