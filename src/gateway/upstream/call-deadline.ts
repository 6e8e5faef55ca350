import { afterDeadline } from '../../core/lib/deadline.js';
import type { AnswerBody } from '../wire/answer-head.js';

/** However alive it is. */
const LONGEST_MS = 600_000;

/**
 * Ends a call when its caller has gone, when no answer begins in time, or when an answer that has begun
 * stands still.
 */
export class CallDeadline {
  readonly #stop = new AbortController();
  readonly #client: AbortSignal;
  readonly #timeoutError: () => Error;
  #callOff: (() => void) | undefined;

  constructor(client: AbortSignal, timeoutError: () => Error) {
    this.#client = client;
    this.#timeoutError = timeoutError;
    if (client.aborted) this.#onClient();
    else client.addEventListener('abort', this.#onClient);
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  begin(timeoutMs: number): void {
    this.#callOff = afterDeadline(timeoutMs, () => this.#stop.abort(this.#timeoutError()), {
      unref: true,
    });
  }

  /** From now on each byte is a sign of life; with `undefined` silence is none of death. */
  follow(body: AnswerBody, timeoutMs: number | undefined): void {
    this.#callOff?.();
    body.once('close', () => this.end());
    if (timeoutMs !== undefined) this.#watch(body, timeoutMs, performance.now() + LONGEST_MS);
  }

  end(): void {
    this.#callOff?.();
    this.#client.removeEventListener('abort', this.#onClient);
  }

  readonly #onClient = (): void => this.#stop.abort(this.#client.reason);

  /** Looks now and then instead of at each byte. */
  #watch(body: AnswerBody, timeoutMs: number, end: number): void {
    const { bytesRead } = body.socket;
    const check = (): void => {
      const isAlive = body.socket.bytesRead !== bytesRead && performance.now() < end;
      if (isAlive) this.#watch(body, timeoutMs, end);
      else this.#stop.abort(this.#timeoutError());
    };
    this.#callOff = afterDeadline(timeoutMs, check, { unref: true });
  }
}
