/**
 * Calls `giveUp` after so long, but not before this process has read what arrived in time: after a
 * pause of the process the timer comes first.
 *
 * @returns calls it off.
 */
export function afterDeadline(
  deadlineMs: number,
  giveUp: () => void,
  { unref = false }: { readonly unref?: boolean } = {},
): () => void {
  let reading: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    reading = setImmediate(giveUp);
  }, deadlineMs);
  if (unref) timer.unref();
  return () => {
    clearTimeout(timer);
    clearImmediate(reading);
  };
}

/**
 * The answer of something that may never come: a callback of the application, or a store. What answers at once
 * costs no timer.
 *
 * @throws what `late` makes when the time is over, and whatever `ask` throws, at once or later.
 */
export async function within<T>(
  deadlineMs: number,
  ask: () => T | Promise<T>,
  timeoutError: () => Error,
): Promise<T> {
  const answer = ask();
  if (!isThenable(answer)) return answer;
  let callOff: (() => void) | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    callOff = afterDeadline(deadlineMs, () => reject(timeoutError()));
  });
  try {
    // The race keeps a handler on the loser, so an answer that fails too late is nobody's crash.
    return await Promise.race([answer, deadline]);
  } finally {
    callOff?.();
  }
}

/** What `await` would wait for. */
export function isThenable(answer: unknown): boolean {
  return typeof (answer as { readonly then?: unknown } | null | undefined)?.then === 'function';
}

/** The result of `work`, or the abort reason as soon as there is one: `work` may ignore the signal. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', stop));
  });
}

/** Known now, or later: what functions of an application give may be either. */
export type Eventually<T> = T | Promise<T>;

/** No promise is made where everything is known already. */
export function whenKnown<T, Result>(
  value: Eventually<T>,
  next: (known: T) => Eventually<Result>,
): Eventually<Result> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** All of them, in their order; a failure of one is that of all. */
export function whenAllKnown<T, Result>(
  values: readonly Eventually<T>[],
  next: (known: readonly T[]) => Eventually<Result>,
): Eventually<Result> {
  return areKnown(values) ? next(values) : Promise.all(values).then(next);
}

/** Whether none of them has to be waited for. */
export function areKnown<T>(values: readonly Eventually<T>[]): values is readonly T[] {
  return !values.some(isPromise);
}

function isPromise(value: unknown): boolean {
  return value instanceof Promise;
}
