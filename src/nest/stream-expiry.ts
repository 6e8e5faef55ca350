import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionContext } from '@nestjs/common';
import { asksForUpdates } from '../core/json-rpc.js';
import { isEventStream, onResponseHead } from './mcp-response.js';
import { httpRequest, rawRequest, rawResponse } from './request.js';

type HttpContext = Pick<ExecutionContext, 'switchToHttp'>;

/** Node's timers take no more. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * Ends an event stream when its token is no longer accepted, so that the client comes back with a
 * fresh one. Only streams that have no end of their own: a GET, and `subscriptions/listen`. Any other
 * stream is the answer to a call that was allowed when it began, and ends with that.
 *
 * @param secondsLeft until the token is refused, now; asked again when the time should have come.
 */
export function endAtExpiry(context: HttpContext, secondsLeft: () => number): void {
  if (!isOpenEnded(context)) return;
  const response = rawResponse(context);
  onResponseHead(response, 'content-type', (_, type = '') => {
    if (isEventStream(type)) endStreamAtExpiry(response, secondsLeft);
  });
}

/** The same for a stream that has begun. */
export function endStreamAtExpiry(response: ServerResponse, secondsLeft: () => number): void {
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    const delay = Math.min(secondsLeft() * 1000, MAX_DELAY_MS);
    timer = setTimeout(() => (secondsLeft() > 0 ? wait() : endNow(response)), delay).unref();
  };
  wait();
  response.once('close', () => clearTimeout(timer));
}

function isOpenEnded(context: HttpContext): boolean {
  const request = httpRequest(context);
  const { method } = rawRequest(request) as IncomingMessage; // HTTP context: the platform's request
  return method === 'GET' || asksForUpdates(request.body);
}

/** The server does not know and may write on; that must not bring the process down. */
function endNow(response: ServerResponse): void {
  response.on('error', () => undefined);
  response.end();
}
