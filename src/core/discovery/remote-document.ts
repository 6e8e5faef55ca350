import type { Clock } from '../lib/clock.js';
import type { Eventually } from '../lib/deadline.js';
import {
  AuthorizationServerUnavailableError,
  type UnavailableErrorOptions,
} from '../errors/server-errors.js';

/** Share of the refresh age, before jitter, at which the reload starts: no request waits for it. */
const REFRESH_AHEAD = 0.8;
const FIRST_PAUSE_SECONDS = 0.5;
const LONGEST_PAUSE_SECONDS = 30;

/** What a loader throws when the server answered with something that must not be used. */
export class DocumentRefused extends Error {
  readonly wrongServer: boolean;
  readonly retryAfterSeconds: number;

  constructor(
    message: string,
    options?: Pick<UnavailableErrorOptions, 'wrongServer' | 'retryAfterSeconds'>,
  ) {
    super(message);
    this.wrongServer = options?.wrongServer ?? false;
    this.retryAfterSeconds = options?.retryAfterSeconds ?? 0;
  }
}

export interface RemoteDocumentOptions<T> {
  readonly clock: Clock;
  readonly refreshSeconds: number;
  readonly maxStaleSeconds: number;
  /** Fetches and validates; whatever it returns replaces the old copy, whatever it throws does not. */
  readonly load: (previous: T | undefined) => Promise<T>;
  /** Told of every copy that was put in use, with the one before it. Must not throw. */
  readonly onLoaded?: (value: T, previous: T | undefined) => void;
  /** The error that callers see when there is no usable copy. */
  readonly errorClass: new (
    message: string,
    options: UnavailableErrorOptions,
  ) => AuthorizationServerUnavailableError;
  readonly onBackgroundFailure: (error: AuthorizationServerUnavailableError) => void;
}

interface Copy<T> {
  readonly value: T;
  readonly loadedAt: number;
}

interface Failure {
  readonly error: AuthorizationServerUnavailableError;
  readonly count: number;
  readonly retryAt: number;
}

/**
 * One document of the authorization server, kept fresh.
 *
 * - Reload ahead of age in the background, one flight for everybody who waits.
 * - After a failure a jittered, growing pause; nobody fetches during the pause.
 * - The last good copy is used until `refreshSeconds + maxStaleSeconds` after it was loaded.
 * - Ages follow the monotonic clock, so setting the machine's clock changes nothing.
 */
export class RemoteDocument<T> {
  readonly #options: RemoteDocumentOptions<T>;
  #copy: Copy<T> | undefined;
  #flight: Promise<T> | undefined;
  #failure: Failure | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RemoteDocumentOptions<T>) {
    this.#options = options;
  }

  /** The copy in hand when it may still be used, whatever its age within the bound. */
  peek(elapsed = this.#options.clock.elapsed()): T | undefined {
    return this.#copy !== undefined && elapsed - this.#copy.loadedAt <= this.#usableSeconds()
      ? this.#copy.value
      : undefined;
  }

  /** Seconds since the copy in hand was loaded; infinite without one. */
  get ageSeconds(): number {
    return this.#copy === undefined ? Infinity : this.#age(this.#copy);
  }

  /** The error of the last attempt while the pause after it lasts. */
  get pausedBy(): AuthorizationServerUnavailableError | undefined {
    return this.#pausing() ? this.#failure?.error : undefined;
  }

  /** The usable copy, or the result of a load. During the pause after a failure it throws at once. */
  get(): Eventually<T> {
    const copy = this.peek();
    if (copy !== undefined) {
      // A timer does this too; an event loop that was suspended for long makes up for it here.
      if (this.ageSeconds > this.#options.refreshSeconds && !this.#pausing()) this.#inBackground();
      return copy;
    }
    if (this.#flight === undefined && this.#failure !== undefined && this.#pausing()) {
      throw this.#failure.error;
    }
    return this.reload();
  }

  /** Loads now, or joins the load under way. */
  reload(): Promise<T> {
    this.#flight ??= this.#load().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  /** A load is under way. */
  get loading(): boolean {
    return this.#flight !== undefined;
  }

  /** No more background work. A load under way still answers those who wait for it. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #load(): Promise<T> {
    clearTimeout(this.#timer);
    const previous = this.#copy?.value;
    try {
      const value = await this.#options.load(previous);
      this.#copy = { value, loadedAt: this.#options.clock.elapsed() };
      this.#failure = undefined;
      this.#schedule(this.#options.refreshSeconds * REFRESH_AHEAD * jitter());
      this.#options.onLoaded?.(value, previous);
      return value;
    } catch (cause) {
      throw this.#noteFailure(cause);
    }
  }

  #noteFailure(cause: unknown): AuthorizationServerUnavailableError {
    const count = (this.#failure?.count ?? 0) + 1;
    const pause = Math.max(pauseSeconds(count), askedPauseSeconds(cause));
    const error = this.#toError(cause, pause);
    this.#failure = { error, count, retryAt: this.#options.clock.elapsed() + pause };
    this.#schedule(pause);
    return error;
  }

  #toError(cause: unknown, retryAfterSeconds: number): AuthorizationServerUnavailableError {
    if (cause instanceof AuthorizationServerUnavailableError) return cause;
    const message = cause instanceof Error ? cause.message : 'unknown failure';
    const wrongServer = cause instanceof DocumentRefused && cause.wrongServer;
    return new this.#options.errorClass(message, { cause, retryAfterSeconds, wrongServer });
  }

  #schedule(seconds: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => this.#inBackground(), seconds * 1000);
    this.#timer.unref();
  }

  #inBackground(): void {
    if (this.#closed) return;
    if (this.#flight !== undefined) return; // whoever waits for it hears of a failure
    this.reload().catch(() => {
      if (this.#failure === undefined || this.#closed) return;
      this.#options.onBackgroundFailure(this.#failure.error);
    });
  }

  #pausing(): boolean {
    return this.#failure !== undefined && this.#options.clock.elapsed() < this.#failure.retryAt;
  }

  #age(copy: Copy<T>): number {
    return this.#options.clock.elapsed() - copy.loadedAt;
  }

  #usableSeconds(): number {
    return this.#options.refreshSeconds + this.#options.maxStaleSeconds;
  }
}

function pauseSeconds(failures: number): number {
  return (
    Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** Math.min(failures - 1, 10)) *
    jitter()
  );
}

/** A server that answers `Retry-After` is given that time, within our own bound. */
function askedPauseSeconds(cause: unknown): number {
  return cause instanceof DocumentRefused
    ? Math.min(LONGEST_PAUSE_SECONDS, cause.retryAfterSeconds)
    : 0;
}

/** Many servers that started together must not come back together. */
function jitter(): number {
  return 0.75 + Math.random() * 0.25;
}
