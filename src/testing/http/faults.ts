import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

import { send, sendTruncated, type Reply } from './reply.js';

/** All of them. */
const ENDPOINTS = [
  'metadata',
  'jwks',
  'jwks-moved',
  'token',
  'register',
  'authorize',
  'revoke',
  'introspect',
  'connect',
] as const;

/** The endpoints that are counted and can be made to fail. */
export type EndpointName = (typeof ENDPOINTS)[number];

/** An answer in place of the real one. The request is not processed. */
export interface ReplyFault {
  /** HTTP status. */
  readonly status: number;
  /** Default: empty. */
  readonly body?: string;
  /** Default `text/plain`. */
  readonly contentType?: string;
  /** Further header fields. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Without an answer of its own. */
const MODES = ['hang', 'reset', 'truncate'] as const;

/**
 * How an endpoint fails: another answer, or just its HTTP status; no answer at all (`hang`); a
 * connection reset (`reset`); the real answer broken off in the middle (`truncate`); or the real answer
 * late, in milliseconds.
 */
export type Fault =
  | ReplyFault
  | number
  | (typeof MODES)[number]
  | {
      /** How late the real answer is, in milliseconds. */
      readonly delayMs: number;
    };

/** The faults that are switched on. A fault of the endpoint itself goes before one of `all`. */
export class Faults {
  private readonly active = new Map<EndpointName | 'all', Fault>();

  constructor(private readonly closing: AbortSignal) {}

  /** @throws Error for what is no endpoint or no fault: a test would pass without the failure. */
  set(endpoint: EndpointName | 'all', fault: Fault | null): void {
    checkEndpoint(endpoint);
    if (fault !== null) checkFault(fault);
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
    if (typeof fault === 'number') return send(response, replyOf({ status: fault }));
    if ('status' in fault) return send(response, replyOf(fault));
    await delay(fault.delayMs, undefined, { ref: false, signal: this.closing });
    send(response, await reply());
  }
}

function checkEndpoint(name: unknown): void {
  const known: readonly unknown[] = ['all', ...ENDPOINTS];
  if (!known.includes(name)) {
    throw new Error(`fail: no such endpoint; there are ${known.join(', ')}`);
  }
}

function checkFault(fault: unknown): void {
  const modes: readonly unknown[] = MODES;
  if (modes.includes(fault) || isStatus(fault)) return;
  const { status, delayMs } = Object(fault) as Readonly<Record<string, unknown>>; // unknown members
  if (status === undefined ? isDelay(delayMs) : isStatus(status)) return;
  throw new Error(
    `fail: no such fault; give an HTTP status from 200 to 599, { status, body?, contentType?, ` +
      `headers? }, ${MODES.map((mode) => `'${mode}'`).join(', ')}, { delayMs }, or null to heal it`,
  );
}

function isStatus(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 200 && Number(value) <= 599;
}

function isDelay(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < Infinity;
}

function replyOf({ status, body = '', contentType = 'text/plain', headers }: ReplyFault): Reply {
  return { status, headers: { 'Content-Type': contentType, ...headers }, body };
}
