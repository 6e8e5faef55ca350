import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

import { send, sendTruncated, type Reply } from './reply.js';

/** The endpoints that are counted and can be made to fail. */
export type EndpointName =
  | 'metadata'
  | 'jwks'
  | 'jwks-moved'
  | 'token'
  | 'register'
  | 'authorize'
  | 'revoke'
  | 'introspect'
  | 'connect';

/** An answer in place of the real one. The request is not processed. */
export interface ReplyFault {
  /** HTTP status. */
  readonly status: number;
  /** Default: empty. */
  readonly body?: string;
  /** Default `text/plain`. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * How an endpoint fails: another answer; no answer at all (`hang`); a connection reset (`reset`); the
 * real answer broken off in the middle (`truncate`); or the real answer late, in milliseconds.
 */
export type Fault = ReplyFault | 'hang' | 'reset' | 'truncate' | { readonly delayMs: number };

/** The faults that are switched on. A fault of the endpoint itself goes before one of `all`. */
export class Faults {
  private readonly active = new Map<EndpointName | 'all', Fault>();

  constructor(private readonly closing: AbortSignal) {}

  set(endpoint: EndpointName | 'all', fault: Fault | null): void {
    if (fault !== null) this.active.set(endpoint, fault);
    else if (endpoint === 'all') this.active.clear();
    else this.active.delete(endpoint);
  }

  /** Sends what `reply` makes, unless and until the fault of the endpoint says otherwise. */
  async respond(
    endpoint: EndpointName,
    response: ServerResponse,
    reply: () => Promise<Reply>,
  ): Promise<void> {
    const fault = this.active.get(endpoint) ?? this.active.get('all');
    if (fault === undefined) return send(response, await reply());
    if (fault === 'hang') return;
    if (fault === 'reset') return void response.socket?.resetAndDestroy();
    if (fault === 'truncate') return sendTruncated(response, await reply());
    if ('status' in fault) return send(response, replyOf(fault));
    await delay(fault.delayMs, undefined, { ref: false, signal: this.closing });
    send(response, await reply());
  }
}

function replyOf({ status, body = '', contentType = 'text/plain', headers }: ReplyFault): Reply {
  return { status, headers: { 'Content-Type': contentType, ...headers }, body };
}
