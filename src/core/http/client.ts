/**
 * The calls to the authorization server. Nobody else opens outbound sockets.
 *
 * The URLs come from documents that somebody else serves, so for each connection the host name is resolved
 * once, every address it has is judged, and the connection goes to exactly the judged addresses. Nothing is
 * followed, decompressed or read without an end.
 */

import type { Agent } from 'node:http';
import type { LookupFunction } from 'node:net';
import { node } from '../platform/node.js';
import { afterDeadline, untilAborted } from '../lib/deadline.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { type AddressPolicy, judgedAddress, type ResolvedAddress } from './address-policy.js';
import { type Call, type HttpAnswer, type Init, type RawAnswer, toAnswer } from './answer.js';
import { CallStop } from './call-stop.js';
import {
  closedError,
  failureOf,
  timeoutError,
  noAddressError,
  OutboundHttpError,
  overloadError,
  refusedUrlError,
  StaleSocketError,
} from './errors.js';
import { exchangeByFetch, type OutboundFetch } from './fetch.js';
import { Lane, type Turn } from './lane.js';
import { OUTBOUND_SETTINGS } from './settings.js';
import {
  agentFor,
  exchangeBySocket,
  hasIdleSocket,
  judging,
  lookupAll,
  pinned,
  type Route,
  unbracketed,
} from './socket.js';

const DEFAULT_TIMEOUT_MS = OUTBOUND_SETTINGS.requestTimeoutSeconds.byDefault * 1000;
const DEFAULT_MAX_BYTES = 262_144;
const DEFAULT_MAX_SOCKETS = OUTBOUND_SETTINGS.maxSockets.byDefault;
/** An authorization server has five that are called here. */
const MAX_ENDPOINTS = 16;
const LARGEST_TIMER_MS = 2_147_483_647; // setTimeout fires at once beyond this

/** RFC 7517 §8.5 has a media type for key sets, and some servers give nothing else. */
const ACCEPT = 'application/json, application/jwk-set+json, application/problem+json;q=0.9';

const FORM_TYPE = 'application/x-www-form-urlencoded';

const REQUEST_HEADERS = {
  accept: ACCEPT,
  'accept-encoding': 'identity',
  'user-agent': 'authplane-nestjs',
};

/** Name resolution. Called once for each connection; every address it answers is judged. */
export type AddressLookup = (
  hostname: string,
  signal?: AbortSignal,
) => Promise<readonly ResolvedAddress[]>;

export interface OutboundHttpOptions {
  /** Allows `http:` and loopback and private addresses. Never cloud metadata. Default `false`. */
  readonly devMode?: boolean;
  /**
   * One deadline over name resolution, connecting, TLS, headers and body, counted from when the
   * request has its turn. As long it waits for that, see `maxSockets`. Default 5000.
   */
  readonly timeoutMs?: number;
  /** Longest body accepted, counted while it arrives. Default 262144. */
  readonly maxBytes?: number;
  /**
   * Most requests under way to one URL, each on a connection of its own; further ones wait in order.
   * Trouble with one URL costs another no connection. Default 32.
   */
  readonly maxSockets?: number;
  /**
   * Replaces the built-in client, for example to go through an egress proxy. It is trusted with the
   * addresses: the address policy, the pinning and the TLS settings do **not** apply to it.
   */
  readonly fetch?: OutboundFetch;
  /** Replaces the system's name resolution. Its answers are judged like any other. */
  readonly lookup?: AddressLookup;
}

/** What one URL has for itself. */
interface Endpoint {
  readonly lane: Lane;
  readonly agent: Agent;
  /** For a connection in place of an idle one that turns out to be dead: resolves and judges then. */
  readonly lookup: LookupFunction;
}

/**
 * HTTP client for the authorization server.
 *
 * Checks the URL, every resolved address, the certificate against the URL's host name, the media
 * type and the size; connects to nothing but the judged addresses. Does **not** check that a URL
 * belongs to the issuer, and treats every status but 3xx as an answer. Proxy variables, cookies and
 * `.netrc` play no part, and `NODE_TLS_REJECT_UNAUTHORIZED=0` has no effect.
 *
 * @example
 * ```ts
 * const http = new OutboundHttp();
 * const { status, json, notJson } = await http.getJson('https://as.example.com/jwks');
 * http.close();
 * ```
 */
export class OutboundHttp {
  readonly #devMode: boolean;
  readonly #timeoutMs: number;
  readonly #maxBytes: number;
  readonly #fetch: OutboundFetch | undefined;
  readonly #lookup: AddressLookup;
  readonly #maxSockets: number;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #inFlight = new Set<Call>();
  readonly #urls = new Map<string, URL>();
  #closed = false;

  /** @throws ConfigurationError when a limit is not a positive whole number. */
  constructor(options: OutboundHttpOptions = {}) {
    this.#devMode = options.devMode === true;
    this.#timeoutMs = limit('timeoutMs', options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    this.#maxBytes = limit('maxBytes', options.maxBytes ?? DEFAULT_MAX_BYTES);
    this.#fetch = options.fetch;
    this.#lookup = options.lookup ?? lookupAll;
    this.#maxSockets = limit('maxSockets', options.maxSockets ?? DEFAULT_MAX_SOCKETS);
  }

  /**
   * @param maxBytes instead of the limit of this client.
   * @throws OutboundHttpError (`outbound_http_error`), see its `reason`.
   * @throws OutboundOverloadError when its turn never came.
   */
  async getJson(url: string, maxBytes = this.#maxBytes): Promise<HttpAnswer> {
    return this.#send(url, { method: 'GET', headers: REQUEST_HEADERS }, maxBytes);
  }

  /**
   * Sent at most once, see `OutboundHttpError.stale`. The client's own headers win over `headers`.
   *
   * @param ownConnection takes a new connection instead of a kept one.
   * @throws OutboundHttpError (`outbound_http_error`), see its `reason`.
   * @throws OutboundOverloadError when its turn never came.
   */
  postForm(
    url: string,
    form: URLSearchParams | string,
    headers: Readonly<Record<string, string>> = {},
    ownConnection = false,
  ): Promise<HttpAnswer> {
    const init: Init = {
      method: 'POST',
      headers: headersOfForm(headers),
      body: String(form),
    };
    return this.#send(url, init, this.#maxBytes, ownConnection);
  }

  /** Ends requests in flight with `closed`, drops idle connections, refuses later requests. */
  close(): void {
    this.#closed = true;
    for (const { url, stop } of [...this.#inFlight]) stop.stop(closedError(url.host));
    for (const { agent } of this.#endpoints.values()) agent.destroy();
  }

  async #send(
    input: string,
    init: Init,
    maxBytes: number,
    ownConnection = false,
  ): Promise<HttpAnswer> {
    const url = this.#accepted(input);
    if (this.#closed) throw closedError(url.host);
    const stop = new CallStop();
    const call: Call = { url, init, stop, maxBytes, ownConnection };
    const endpoint = this.#endpointAt(url);
    this.#inFlight.add(call);
    try {
      if (!endpoint.lane.enter()) await endpoint.lane.wait(this.#turnOf(call));
      return await this.#inTime(call, endpoint);
    } finally {
      this.#inFlight.delete(call);
    }
  }

  #accepted(input: string): URL {
    const known = this.#urls.get(input);
    if (known !== undefined) return known;
    const url = acceptedUrl(input, this.#devMode);
    if (this.#urls.size < MAX_ENDPOINTS) this.#urls.set(input, url);
    return url;
  }

  /** Trouble at one endpoint must not keep another from its connections. */
  #endpointAt(url: URL): Endpoint {
    const { origin, pathname, host, hostname } = url;
    const key = origin + pathname;
    const known = this.#endpoints.get(key);
    if (known !== undefined) return known;
    if (this.#endpoints.size >= MAX_ENDPOINTS) this.#dropIdle();
    const policy = { host, devMode: this.#devMode };
    const endpoint = {
      lane: new Lane(this.#maxSockets),
      agent: agentFor(url, this.#maxSockets),
      lookup: judging(async () => judgedAll(await this.#lookup(unbracketed(hostname)), policy)),
    };
    this.#endpoints.set(key, endpoint);
    return endpoint;
  }

  /** Metadata may name ever new URLs. */
  #dropIdle(): void {
    for (const [key, { lane, agent }] of this.#endpoints) {
      if (!lane.isIdle) continue;
      this.#endpoints.delete(key);
      agent.destroy();
    }
  }

  #turnOf({ url, stop }: Call): Turn {
    const timeoutError = () => overloadError(url.host, this.#maxSockets);
    return { stop, patienceMs: this.#timeoutMs, timeoutError };
  }

  /** Leaves the place that it has. */
  async #inTime(call: Call, endpoint: Endpoint): Promise<HttpAnswer> {
    const { url, stop } = call;
    const giveUp = (): void => stop.stop(timeoutError(url.host, this.#timeoutMs));
    const callOff = afterDeadline(this.#timeoutMs, giveUp, { unref: true });
    try {
      return toAnswer(await this.#exchange(call, endpoint));
    } catch (error) {
      throw failureOf(error, url.host, stop.reason);
    } finally {
      callOff();
      endpoint.lane.leave();
    }
  }

  #exchange(call: Call, { agent, lookup }: Endpoint): Promise<RawAnswer> {
    if (this.#fetch !== undefined) return exchangeByFetch(this.#fetch, call);
    // A connection that stands goes to an address that was judged.
    if (!call.ownConnection && hasIdleSocket(agent)) return sent(call, { lookup, agent });
    return this.#judgedAddresses(call).then((addresses) =>
      sent(call, { lookup: pinned(addresses), agent: call.ownConnection ? false : agent }),
    );
  }

  async #judgedAddresses({ url, stop }: Call): Promise<readonly ResolvedAddress[]> {
    const host = unbracketed(url.hostname);
    // node:net asks no lookup function about an IP literal, so it is judged here like an answer.
    const found = node.net.isIP(host)
      ? [{ address: host }]
      : await untilAborted(this.#lookup(host, stop.signal), stop.signal);
    return judgedAll(found, { host: url.host, devMode: this.#devMode });
  }
}

/** Those of credentials that never change are the same object in all calls. */
const knownHeaders = new WeakMap<object, Readonly<Record<string, string>>>();

function headersOfForm(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const known = Object.isFrozen(given) ? knownHeaders.get(given) : undefined;
  if (known !== undefined) return known;
  const own = Object.entries(given).map(([name, value]) => [name.toLowerCase(), value] as const);
  const headers = { ...Object.fromEntries(own), ...REQUEST_HEADERS, 'content-type': FORM_TYPE };
  if (Object.isFrozen(given)) knownHeaders.set(given, Object.freeze(headers));
  return headers;
}

function sent(call: Call, route: Route): Promise<RawAnswer> {
  const answer = exchangeBySocket(call, route);
  // RFC 9110 §9.2.2: a POST may have been acted on. Its sender knows whether that matters.
  if (call.init.method !== 'GET') return answer;
  return answer.catch((error: unknown) => {
    if (!(error instanceof StaleSocketError)) throw error;
    // The pool may hold more dead sockets: this time a connection of its own.
    return exchangeBySocket(call, { ...route, agent: false });
  });
}

function judgedAll(
  found: readonly Pick<ResolvedAddress, 'address'>[],
  policy: AddressPolicy,
): readonly ResolvedAddress[] {
  if (found.length === 0) throw noAddressError(policy.host);
  return found.map(({ address }) => judgedAddress(address, policy));
}

// ---- URL -----------------------------------------------------------------------------------------

function acceptedUrl(input: string, devMode: boolean): URL {
  if (!URL.canParse(input))
    throw new OutboundHttpError('the URL is not an absolute URL', { reason: 'url' });
  const url = new URL(input);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new OutboundHttpError(`the scheme ${url.protocol} is not supported; use https:`, {
      reason: 'url',
    });
  }
  if (url.protocol === 'http:' && !devMode) {
    throw refusedUrlError(url, 'is not https; use https, or set devMode for local development');
  }
  if (url.username !== '' || url.password !== '') {
    throw refusedUrlError(url, 'contains user information; remove it');
  }
  // node:http would take port 0 for "no port"
  if (url.port === '0') throw refusedUrlError(url, 'has port 0; correct it');
  // url.hash is empty for a bare "#" too
  if (input.includes('#')) throw refusedUrlError(url, 'has a fragment; remove it');
  return url;
}

function limit(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= LARGEST_TIMER_MS) return value;
  throw new ConfigurationError(`${name} must be a whole number from 1 to ${LARGEST_TIMER_MS}`);
}
