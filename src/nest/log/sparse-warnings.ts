import type { PackageLogger } from './package-logger.js';

const PAUSE_MS = 60_000;

/** One warning of each kind a minute: a flood of them helps nobody. */
export class SparseWarnings {
  /** When each kind was last warned of. */
  readonly #warnedAt = new Map<string, number>();

  constructor(private readonly logger: Pick<PackageLogger, 'warn'>) {}

  /** @param kind nothing that a client chooses. */
  warn(kind: string, message: string): void {
    const now = performance.now();
    for (const [other, at] of this.#warnedAt) {
      if (now - at >= PAUSE_MS) this.#warnedAt.delete(other);
    }
    if (this.#warnedAt.has(kind)) return;
    this.#warnedAt.set(kind, now);
    this.logger.warn(message);
  }
}
