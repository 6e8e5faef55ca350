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
