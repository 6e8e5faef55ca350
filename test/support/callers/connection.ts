import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

interface Pending {
  readonly request: string;
  readonly isAgain?: boolean;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A connection that is kept, for one JSON request after the other. The client of Node takes as long for a
 * request as the server that is under test, which counts when there are a hundred thousand.
 */
export class Connection {
  readonly #url: URL;
  #socket: Socket | undefined;
  #pending: Pending | undefined;
  #received = '';

  constructor(origin: string) {
    this.#url = new URL(origin);
  }

  post(path: string, headers: Readonly<Record<string, string>>, body: string): Promise<Answer> {
    const lines = Object.entries({
      host: this.#url.host,
      ...headers,
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    const request = `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
    return new Promise((resolve, reject) => {
      this.#pending = { request, resolve, reject };
      this.#received = '';
      this.#socket ??= this.#connected();
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  #connected(): Socket {
    const { hostname, port } = this.#url;
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      this.#received += chunk;
      this.#answer();
    });
    socket.on('error', () => undefined); // closes
    socket.once('close', () => {
      this.#socket = undefined;
      this.#sendAgain();
    });
    return socket;
  }

  /** Servers close a connection that was idle, also when a request is on its way. */
  #sendAgain(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    if (this.#received !== '' || pending.isAgain) {
      return pending.reject(new Error(`closed after: ${this.#received}`));
    }
    this.#pending = { ...pending, isAgain: true };
    this.#socket = this.#connected();
    this.#socket.write(pending.request);
  }

  /** To the request that waits, once all of it is there. */
  #answer(): void {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = /^content-length: (\d+)$/im.exec(this.#received.slice(0, end))?.[1];
    const text = this.#received.slice(end + 4);
    if (text.length < Number(length)) return;
    const { resolve, reject } = this.#pending ?? {};
    this.#pending = undefined;
    if (text.length === Number(length))
      resolve?.({ status: Number(this.#received.slice(9, 12)), text });
    else reject?.(new Error(`not the whole answer, or more: ${this.#received}`));
  }
}
