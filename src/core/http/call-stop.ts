/**
 * What ends a call before it is answered: its deadline, or the end of the client. A signal is made for those only who
 * know nothing else, such as `fetch`: with its listener it costs more than all the steps of a call.
 */
export class CallStop {
  #reason: Error | undefined;
  #tell: ((reason: Error) => void) | undefined;
  #controller: AbortController | undefined;

  /** Why the call was ended, if it was: the first reason counts. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  stop(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#tell?.(reason);
  }

  /** @param tell in the place of the one before, as a call waits for one thing at a time. */
  onStop(tell: (reason: Error) => void): void {
    this.#tell = tell;
    if (this.#reason !== undefined) tell(this.#reason);
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }
}
