import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionContext } from '@nestjs/common';
import { asksForUpdates } from '../../../core/mcp/json-rpc.js';
import { isEventStream, onResponseHead } from '../../http/response-rewrite.js';
import { httpRequest, rawRequest, rawResponse } from '../../http/request.js';

type HttpContext = Pick<ExecutionContext, 'switchToHttp'>;

/** Node's timers take no more. */
const MAX_DELAY_MS = 2 ** 31 - 1;

const REVOCATION_CHECK_MS = 30_000;

/** Until when the token of a stream is good. */
export interface StreamToken {
  /** Until the token is refused, now; asked again when the time should have come. */
  readonly secondsLeft: () => number;
  /** Whether it is known to be revoked; left out where nobody is asked. */
  readonly isRevoked?: () => Promise<boolean>;
}

/**
 * Ends event streams when their token is no longer accepted, so that the client comes back with a fresh
 * one, and when the application stops, which would wait for them otherwise. Only streams that have no
 * end of their own: a GET, and `subscriptions/listen`. Any other stream is the answer to a call that was
 * allowed when it began, and ends with that.
 */
export class GuardedStreams {
  readonly #watched = new WeakSet<ServerResponse>();
  readonly #open = new Set<ServerResponse>();
  readonly #revocationCheckMs: number;
  #isStopping = false;

  /** @param revocationCheckMs how often it is asked whether the token of an open stream was revoked. */
  constructor(revocationCheckMs = REVOCATION_CHECK_MS) {
    this.#revocationCheckMs = revocationCheckMs;
  }

  /** Once for each answer, however many guards are on its way. */
  watch(context: HttpContext, token: StreamToken): void {
    const response = rawResponse(context);
    if (!isOpenEnded(context) || this.#watched.has(response)) return;
    this.#watched.add(response);
    onResponseHead(response, 'content-type', (_, type = '') => {
      if (isEventStream(type)) this.#begin(response, token);
    });
  }

  /** From now on there are none. */
  endAll(): void {
    this.#isStopping = true;
    for (const response of this.#open) endNow(response);
  }

  #begin(response: ServerResponse, token: StreamToken): void {
    this.#open.add(response);
    const stop = endWithToken(response, token, this.#revocationCheckMs);
    response.once('close', () => {
      stop();
      this.#open.delete(response);
    });
    if (this.#isStopping) setImmediate(() => endNow(response)); // its head is still to be sent
  }
}

/** @returns what stops the watch. */
function endWithToken(
  response: ServerResponse,
  token: StreamToken,
  revocationCheckMs: number,
): () => void {
  const { secondsLeft, isRevoked } = token;
  const longest = isRevoked === undefined ? MAX_DELAY_MS : revocationCheckMs;
  let timer: NodeJS.Timeout;
  let isOver = false;
  const wait = () => {
    timer = setTimeout(() => void check(), Math.min(secondsLeft() * 1000, longest)).unref();
  };
  const check = async () => {
    const hasEnded = secondsLeft() <= 0 || (await isRevoked?.()) === true;
    if (isOver) return;
    if (hasEnded) endNow(response);
    else wait();
  };
  wait();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

function isOpenEnded(context: HttpContext): boolean {
  const request = httpRequest(context);
  const { method } = rawRequest(request) as IncomingMessage; // HTTP context: the platform's request
  return method === 'GET' || listens(request.body);
}

/** Plain handlers may get anything. */
function listens(body: unknown): boolean {
  try {
    return asksForUpdates(body);
  } catch {
    return false;
  }
}

/** The server does not know and may write on; that must not bring the process down. */
function endNow(response: ServerResponse): void {
  response.on('error', () => undefined);
  response.end();
}
