/** Time as this package sees it. Token times follow the wall clock, ages and pauses the monotonic one. */
export interface Clock {
  /** Seconds since 1970 (may step when the machine's clock is set). */
  now(): number;
  /** Seconds since some fixed moment; never steps back. */
  elapsed(): number;
}

export const systemClock: Clock = {
  now: () => Date.now() / 1000,
  elapsed: () => performance.now() / 1000,
};

export function clockProblem(value: unknown): string | undefined {
  const { now, elapsed } = (value ?? {}) as Partial<Record<keyof Clock, unknown>>; // unknown members
  return typeof now === 'function' && typeof elapsed === 'function'
    ? undefined
    : 'must be an object with now and elapsed';
}
