import { Logger } from '@nestjs/common';

type Level = 'debug' | 'log' | 'warn' | 'error';

/**
 * The only way from this package to the application's logger. What a logger throws, or rejects with,
 * is dropped: it must neither change the answer to a client nor end the process.
 */
export class PackageLogger {
  readonly #logger: Logger;

  constructor(context: string) {
    this.#logger = new Logger(context);
  }

  debug(message: string): void {
    this.#write('debug', message);
  }

  log(message: string): void {
    this.#write('log', message);
  }

  warn(message: string): void {
    this.#write('warn', message);
  }

  /** @param fault what was thrown; its stack goes along. */
  error(message: string, fault?: unknown): void {
    if (fault === undefined) this.#write('error', message);
    else this.#write('error', message, fault instanceof Error ? fault.stack : fault);
  }

  #write(level: Level, ...line: [message: string, detail?: unknown]): void {
    try {
      const written: unknown = this.#logger[level](...line);
      if (written instanceof Promise) written.catch(() => undefined);
    } catch {
      // There is no second place to report it to.
    }
  }
}
