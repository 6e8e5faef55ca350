import type { ServerResponse } from 'node:http';

/** The requests that the gateway is answering, and their end when the application stops. */
export class GatewayCalls {
  readonly #stop = new AbortController();
  readonly #running = new Set<ServerResponse>();
  #whenIdle: (() => void) | undefined;
  #isStopping = false;

  /** No further call is to begin. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Also aborted when the time for the last calls is over. */
  begin(response: ServerResponse, client: AbortSignal): AbortSignal {
    if (!this.#running.has(response)) {
      this.#running.add(response);
      response.once('close', () => this.#end(response));
    }
    return AbortSignal.any([client, this.#stop.signal]);
  }

  /** Lets running calls end, and aborts those that take longer. */
  async stop(timeoutMs: number): Promise<void> {
    this.#isStopping = true;
    for (const response of this.#running) closeAfter(response);
    if (this.#running.size > 0) await this.#idle(timeoutMs);
    this.#stop.abort(new Error('the gateway is stopping'));
  }

  #idle(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      const whenIdle = () => (clearTimeout(timer), resolve());
      this.#whenIdle = whenIdle;
    });
  }

  #end(response: ServerResponse): void {
    this.#running.delete(response);
    if (this.#running.size === 0) this.#whenIdle?.();
  }
}

/** A connection that is kept would keep the server from closing. */
export function closeAfter(response: ServerResponse): void {
  const { socket } = response;
  if (!response.headersSent) response.setHeader('Connection', 'close');
  else response.once('finish', () => socket?.end());
}
