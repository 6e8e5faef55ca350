import { AuthorizationServerUnavailableError } from '../../core/errors/server-errors.js';
import { CallbackError } from '../../core/errors/request-errors.js';
import { AuthplaneError } from '../../core/errors/authplane-error.js';
import {
  InvalidClaimsError,
  TokenRevokedError,
  TokenTooLongError,
} from '../../core/errors/token-errors.js';
import { httpStatus } from '../../core/challenge.js';
import { logText } from '../../core/lib/log-text.js';
import { ReplayStoreError } from '../../core/dpop/replay-store.js';
import type { PackageLogger } from './package-logger.js';
import { SparseWarnings } from './sparse-warnings.js';

/** Mistakes of a configuration, and outages that clients see as 503. */
const WORTH_A_WARNING = [
  InvalidClaimsError,
  TokenRevokedError,
  TokenTooLongError,
  AuthorizationServerUnavailableError,
  ReplayStoreError,
  CallbackError,
];

/**
 * Every refusal at `debug`; what an operator can do something about also at `warn`. A failure that its
 * client learns nothing of is an error, with its stack.
 */
export class RefusalLog {
  readonly #warnings: SparseWarnings;

  constructor(private readonly logger: Pick<PackageLogger, 'debug' | 'warn' | 'error'>) {
    this.#warnings = new SparseWarnings(logger);
  }

  write(error: unknown): void {
    if (!(error instanceof AuthplaneError)) return;
    if (error.code === 'token_missing') {
      this.logger.debug(`refused: ${error.code}: ${error.message}`); // what strangers meet, and no more to say
      return;
    }
    const reason = `${error.code}: ${logText(error)}${causeOf(error)}`;
    if (httpStatus(error) === 500) {
      this.logger.error(`answered with 500: ${reason}`, error);
      return;
    }
    this.logger.debug(`refused: ${reason}`);
    if (WORTH_A_WARNING.some((type) => error instanceof type)) {
      const isHinting = error instanceof TokenRevokedError && error.hint !== undefined;
      this.#warnings.warn(`${error.code} ${isHinting}`, `refused a request: ${reason}`);
    }
  }
}

/** Its name and code only: the text of a foreign error may hold anything, a password too. */
function causeOf({ cause }: AuthplaneError): string {
  if (!(cause instanceof Error) || cause instanceof AuthplaneError) return '';
  const { code } = cause as NodeJS.ErrnoException;
  const detail = typeof code === 'string' && /^\w{1,40}$/.test(code) ? ` ${code}` : '';
  return ` (${cause.name}${detail})`;
}
