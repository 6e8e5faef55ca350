import type { ServerResponse } from 'node:http';

/** The requests that the gateway is answering, and their end when the application stops. */
export class GatewayCalls {
  /** What ends each of them. */
  readonly #running = new Map<ServerResponse, AbortController>();
  #whenIdle: (() => void) | undefined;
  /** Why no call may run on. */
  #stopped: Error | undefined;
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
    const running = this.#running.get(response);
    if (running !== undefined) return running.signal;
    const stop = new AbortController();
    // Not `AbortSignal.any`, whose weak references to a signal of all calls cost each of them more than the rest of this.
    if (client.aborted || this.#stopped !== undefined) stop.abort(this.#stopped ?? client.reason);
    else client.addEventListener('abort', () => stop.abort(client.reason), { once: true });
    this.#running.set(response, stop);
    response.once('close', () => this.#end(response));
    return stop.signal;
  }

  /** Lets running calls end, and aborts those that take longer. */
  async stop(timeoutMs: number): Promise<void> {
    this.#isStopping = true;
    for (const response of this.#running.keys()) closeAfter(response);
    if (this.#running.size > 0) await this.#idle(timeoutMs);
    this.#stopped = new Error('the gateway is stopping');
    for (const stop of this.#running.values()) stop.abort(this.#stopped);
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
