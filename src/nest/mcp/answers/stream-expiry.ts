import type { ServerResponse } from 'node:http';
import type { AdmittedCaller } from '../../../core/token/caller.js';
import { memberOf } from '../../../core/lib/members.js';
import { asksForUpdates, LISTEN } from '../../../core/mcp/json-rpc.js';
import { endStream, isEventStream, onResponseHead } from '../../http/response-head.js';
import { type HttpExchange, nodeRequest, nodeResponse } from '../../http/exchange.js';

/** Node's timers take no more. */
const MAX_DELAY_MS = 2 ** 31 - 1;

const REVOCATION_CHECK_MS = 30_000;

/** For how long a stream may go on; asked again when the time should have come. */
type Admission = Pick<AdmittedCaller, 'secondsLeft' | 'isRevoked'>;

/**
 * Ends event streams when what their caller has shown is no longer accepted, so that the client comes back with a fresh
 * one, and when the application stops, which would wait for them otherwise. Only streams that have no
 * end of their own: a GET, and `subscriptions/listen`. Any other stream is the answer to a call that was
 * allowed when it began, and ends with that.
 */
export class GuardedStreams {
  readonly #watched = new WeakSet<ServerResponse>();
  readonly #open = new Set<ServerResponse>();
  readonly #revocationCheckMs: number;
  #isStopping = false;

  /** @param revocationCheckMs how often it is asked whether the caller of an open stream still may go on. */
  constructor(revocationCheckMs = REVOCATION_CHECK_MS) {
    this.#revocationCheckMs = revocationCheckMs;
  }

  /** Once for each answer, however many guards are on its way. */
  watch(exchange: HttpExchange, admission: Admission): void {
    const response = nodeResponse(exchange);
    if (!isOpenEnded(exchange) || this.#watched.has(response)) return;
    this.#watched.add(response);
    onResponseHead(response, 'content-type', (_, type = '') => {
      if (isEventStream(type)) this.#begin(response, admission);
    });
  }

  /** From now on there are none. */
  endAll(): void {
    this.#isStopping = true;
    for (const response of this.#open) endStream(response);
  }

  #begin(response: ServerResponse, admission: Admission): void {
    this.#open.add(response);
    const stop = endWithAdmission(response, admission, this.#revocationCheckMs);
    response.once('close', () => {
      stop();
      this.#open.delete(response);
    });
    if (this.#isStopping) setImmediate(() => endStream(response)); // its head is still to be sent
  }
}

/** @returns what stops the watch. */
function endWithAdmission(
  response: ServerResponse,
  admission: Admission,
  revocationCheckMs: number,
): () => void {
  const longest = admission.isRevoked === undefined ? MAX_DELAY_MS : revocationCheckMs;
  let timer: NodeJS.Timeout;
  let isOver = false;
  const wait = () => {
    timer = setTimeout(
      () => void check(),
      Math.min(admission.secondsLeft() * 1000, longest),
    ).unref();
  };
  const check = async () => {
    const hasEnded = admission.secondsLeft() <= 0 || (await admission.isRevoked?.()) === true;
    if (isOver) return;
    if (hasEnded) endStream(response);
    else wait();
  };
  wait();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

function isOpenEnded(exchange: HttpExchange): boolean {
  const { body } = exchange.request;
  return nodeRequest(exchange).method === 'GET' || (mayListen(body) && listens(body));
}

/** Without a look at all the rest of it, which nearly all messages get. */
function mayListen(body: unknown): boolean {
  return Array.isArray(body) ? body.some(opensUpdates) : opensUpdates(body);
}

function opensUpdates(message: unknown): boolean {
  return memberOf(message, 'method') === LISTEN;
}

/** Plain handlers may get anything. */
function listens(body: unknown): boolean {
  try {
    return asksForUpdates(body);
  } catch {
    return false;
  }
}
