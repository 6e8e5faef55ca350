import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

/** An answer as it is read: of HTTP, or of a server in this process. */
export interface AnswerBody extends Readable {
  readonly statusCode?: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly bytesRead: number };
}

const LONGEST_DISCARDED = 16_384;
const MAX_PAUSE_SECONDS = 3600;

/** In small letters, without parameters. */
export function mediaType({ headers }: Pick<AnswerBody, 'headers'>): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** Lets go of a body that nobody reads; a short one is read, so that its connection can be used again. */
export function discard(body: AnswerBody): void {
  body.on('error', () => undefined);
  const length = Number(body.headers['content-length'] ?? Infinity);
  if (length <= LONGEST_DISCARDED) body.resume();
  else body.destroy();
}

/** RFC 9110 §10.2.3: seconds, or a date. */
export function secondsUntilRetry(header: string | undefined): number {
  const value = header?.trim() ?? '';
  const seconds = Number(value === '' ? Number.NaN : value);
  const pause = Number.isFinite(seconds) ? seconds : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(pause) ? Math.min(MAX_PAUSE_SECONDS, Math.max(1, Math.ceil(pause))) : 1;
}
