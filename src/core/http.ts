/**
 * The calls to the authorization server: the only place that opens outbound sockets.
 *
 * The URLs come from documents that somebody else serves, so each host name is resolved once, every
 * address it has is judged, and the connection goes to exactly the judged addresses. Nothing is
 * followed, decompressed or read without an end.
 */

import { lookup as systemLookup } from 'node:dns/promises';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import { isIP } from 'node:net';
import type { LookupFunction, Socket, TcpNetConnectOpts } from 'node:net';
import { types } from 'node:util';

import { judgedAddress, type ResolvedAddress } from './address-policy.js';
import { ConfigurationError } from './errors.js';
import {
  closed,
  encoded,
  late,
  noAddress,
  OutboundHttpError,
  redirected,
  refusedUrl,
  tooLarge,
} from './outbound-errors.js';
import { parseStrictJson, StrictJsonError } from './strict-json.js';

const DEFAULT_TIMEOUT_MS = 5_000;
const DEFAULT_MAX_BYTES = 262_144;
const DEFAULT_MAX_SOCKETS = 32;
const LARGEST_TIMER_MS = 2_147_483_647; // setTimeout fires at once beyond this

/** Below the 5 s after which Node's own servers hang up, so that few idle sockets are found dead. */
const IDLE_SOCKET_MS = 4_000;

/** How long one address may take while there is another to try. */
const CONNECT_ATTEMPT_MS = 500;
const MAX_HEADER_BYTES = 16_384;

const REQUEST_HEADERS = {
  accept: 'application/json, application/problem+json;q=0.9',
  'accept-encoding': 'identity',
  'user-agent': 'authplane-nestjs',
};

/** Name resolution. Called once per request; every address it answers is judged. */
export type AddressLookup = (
  hostname: string,
  signal?: AbortSignal,
) => Promise<readonly ResolvedAddress[]>;

/** The shape of `fetch` that is needed here; `globalThis.fetch` fits. */
export type OutboundFetch = (
  url: string,
  init: {
    method: 'GET' | 'POST';
    headers: Record<string, string>;
    body?: string;
    redirect: 'manual';
    signal: AbortSignal;
  },
) => Promise<Response>;

export interface OutboundHttpOptions {
  /** Allows `http:` and loopback and private addresses. Never cloud metadata. Default `false`. */
  readonly devMode?: boolean;
  /** One deadline over name resolution, connecting, TLS, headers and body. Default 5000. */
  readonly timeoutMs?: number;
  /** Longest body accepted, counted while it arrives. Default 262144. */
  readonly maxBytes?: number;
  /** Most connections to one origin; further requests wait, within their deadline. Default 32. */
  readonly maxSockets?: number;
  /**
   * Replaces the built-in client, for example to go through an egress proxy. It is trusted with the
   * addresses: the address policy, the pinning and the TLS settings do **not** apply to it.
   */
  readonly fetch?: OutboundFetch;
  /** Replaces the system's name resolution. Its answers are judged like any other. */
  readonly lookup?: AddressLookup;
}

/** An answer of any status but 3xx. */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; repeated headers joined with a comma. No prototype. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body, when it is strict JSON under a JSON media type. `undefined` otherwise. */
  readonly json: unknown;
  /** Why `json` is undefined. Never quotes the body. */
  readonly notJson?: string;
}

interface Init {
  readonly method: 'GET' | 'POST';
  readonly headers: Record<string, string>;
  readonly body?: string;
}

interface Call {
  readonly url: URL;
  readonly init: Init;
  readonly signal: AbortSignal;
  readonly maxBytes: number;
}

interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
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
  readonly #agents: Agents;
  readonly #inFlight = new Set<() => void>();
  #closed = false;

  /** @throws ConfigurationError when a limit is not a positive whole number. */
  constructor(options: OutboundHttpOptions = {}) {
    this.#devMode = options.devMode === true;
    this.#timeoutMs = limit('timeoutMs', options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    this.#maxBytes = limit('maxBytes', options.maxBytes ?? DEFAULT_MAX_BYTES);
    this.#fetch = options.fetch;
    this.#lookup = options.lookup ?? lookupAll;
    this.#agents = agents(limit('maxSockets', options.maxSockets ?? DEFAULT_MAX_SOCKETS));
  }

  /** @throws OutboundHttpError (`outbound_http_error`), see its `reason`. */
  async getJson(url: string): Promise<HttpAnswer> {
    return this.#send(url, { method: 'GET', headers: { ...REQUEST_HEADERS } });
  }

  /**
   * Sent at most once. The client's own headers win over `headers`.
   *
   * @throws OutboundHttpError (`outbound_http_error`), see its `reason`.
   */
  async postForm(
    url: string,
    form: URLSearchParams,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> {
    return this.#send(url, {
      method: 'POST',
      headers: {
        ...lowerCaseNames(Object.entries(headers)),
        ...REQUEST_HEADERS,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: form.toString(),
    });
  }

  /** Ends requests in flight with `closed`, drops idle connections, refuses later requests. */
  close(): void {
    this.#closed = true;
    for (const end of [...this.#inFlight]) end();
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  async #send(input: string, init: Init): Promise<HttpAnswer> {
    const url = acceptedUrl(input, this.#devMode);
    if (this.#closed) throw closed(url.host);
    const stop = new AbortController();
    const end = (): void => stop.abort(closed(url.host));
    const timer = setTimeout(() => stop.abort(late(url.host, this.#timeoutMs)), this.#timeoutMs);
    timer.unref();
    this.#inFlight.add(end);
    try {
      return toAnswer(
        await this.#exchange({ url, init, signal: stop.signal, maxBytes: this.#maxBytes }),
      );
    } catch (error) {
      throw failureOf(error, url.host, stop.signal);
    } finally {
      clearTimeout(timer);
      this.#inFlight.delete(end);
    }
  }

  async #exchange(call: Call): Promise<RawAnswer> {
    if (this.#fetch !== undefined) return exchangeByFetch(this.#fetch, call);
    const lookup = pinned(await this.#judgedAddresses(call));
    const agent = call.url.protocol === 'https:' ? this.#agents.https : this.#agents.http;
    try {
      return await exchangeBySocket(call, { lookup, agent });
    } catch (error) {
      if (!(error instanceof StaleSocketError)) throw error;
      // The pool may hold more dead sockets: this time a connection of its own.
      return exchangeBySocket(call, { lookup, agent: false });
    }
  }

  async #judgedAddresses({ url, signal }: Call): Promise<readonly ResolvedAddress[]> {
    const host = unbracketed(url.hostname);
    // node:net asks no lookup function about an IP literal, so it is judged here like an answer.
    const found = isIP(host)
      ? [{ address: host }]
      : await untilAborted(this.#lookup(host, signal), signal);
    if (found.length === 0) throw noAddress(url.host);
    const policy = { host: url.host, devMode: this.#devMode };
    return found.map(({ address }) => judgedAddress(address, policy));
  }
}

// ---- URL -----------------------------------------------------------------------------------------

function acceptedUrl(input: string, devMode: boolean): URL {
  if (!URL.canParse(input)) throw new OutboundHttpError('url', 'the URL is not an absolute URL');
  const url = new URL(input);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new OutboundHttpError('url', `the scheme ${url.protocol} is not supported; use https:`);
  }
  if (url.protocol === 'http:' && !devMode) {
    throw refusedUrl(url, 'is not https; use https, or set devMode for local development');
  }
  if (url.username !== '' || url.password !== '') {
    throw refusedUrl(url, 'contains user information; remove it');
  }
  // node:http would take port 0 for "no port"
  if (url.port === '0') throw refusedUrl(url, 'has port 0; correct it');
  // url.hash is empty for a bare "#" too
  if (input.includes('#')) throw refusedUrl(url, 'has a fragment; remove it');
  return url;
}

function unbracketed(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

// ---- over a socket of our own ----------------------------------------------------------------------

interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

interface Route {
  readonly lookup: LookupFunction;
  readonly agent: HttpAgent | HttpsAgent | false;
}

/** An idle connection turned out to be dead before it brought a byte of the answer. */
class StaleSocketError extends Error {}

function agents(maxSockets: number): Agents {
  const options = {
    keepAlive: true,
    maxSockets,
    timeout: IDLE_SOCKET_MS, // node:http applies it to idle sockets only
  };
  // A resumed TLS session would skip the check of the certificate's name: none is kept.
  return {
    http: new HttpAgent(options),
    https: new HttpsAgent({ ...options, maxCachedSessions: 0 }),
  };
}

async function lookupAll(hostname: string): Promise<readonly ResolvedAddress[]> {
  const found = await systemLookup(hostname, { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 4 ? 4 : 6 }));
}

/** Hands back the judged addresses whatever DNS says by now; Node asks for one or for all. */
function pinned(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (hostname, options, callback) => {
    const [first] = addresses;
    if (first === undefined) callback(noAddress(hostname), []);
    else if (options.all === true) callback(null, [...addresses]);
    else callback(null, first.address, first.family);
  };
}

async function exchangeBySocket(call: Call, route: Route): Promise<RawAnswer> {
  const request = open(call, route);
  const failures: Error[] = [];
  request.on('error', (error) => failures.push(error));
  try {
    const response = await responseTo(request, call);
    const status = response.statusCode ?? 0;
    const headers = joinedHeaders(response);
    refuseUnusable(call, status, headers);
    const body = new CappedBody(call);
    for await (const chunk of response) body.add(chunk);
    // A body without a length ends for node:http as if complete when the connection breaks.
    const [broken] = failures;
    if (broken !== undefined) throw broken;
    return { status, headers, bytes: body.bytes() };
  } catch (error) {
    request.destroy();
    throw error;
  }
}

function open({ url, init, signal }: Call, route: Route): ClientRequest {
  const host = unbracketed(url.hostname);
  const secure = url.protocol === 'https:';
  const body = init.body ?? '';
  const length = init.method === 'POST' ? { 'content-length': Buffer.byteLength(body) } : {};
  const options: RequestOptions & TcpNetConnectOpts = {
    ...route,
    // Tries the next judged address when one is dead, all within the deadline.
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: CONNECT_ATTEMPT_MS,
    method: init.method,
    host,
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    headers: { ...init.headers, ...length, host: url.host },
    signal,
    // Explicit, so that neither the environment nor the command line can weaken them.
    maxHeaderSize: MAX_HEADER_BYTES,
    insecureHTTPParser: false,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    servername: isIP(host) ? '' : host, // RFC 6066 §3: no address in SNI; the check uses `host` then
  };
  const request = secure ? httpsRequest(options) : httpRequest(options);
  return request.end(body);
}

async function responseTo(request: ClientRequest, call: Call): Promise<IncomingMessage> {
  let socket: Socket | undefined;
  let alreadyRead = 0;
  request.once('socket', (used: Socket) => {
    socket = used;
    alreadyRead = used.bytesRead;
  });
  try {
    // A request that waits for a connection does not notice the signal by itself.
    return await untilAborted(answered(request), call.signal);
  } catch (error) {
    // A POST may have been acted on before the connection broke: only a GET is worth repeating.
    const repeatable = call.init.method === 'GET' && request.reusedSocket && isHangUp(error);
    if (repeatable && socket?.bytesRead === alreadyRead) throw new StaleSocketError();
    throw error;
  }
}

function answered(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
    // Without an error when the server switches protocols.
    request.once('close', () => reject(new Error('closed without an answer')));
  });
}

function isHangUp(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function joinedHeaders(response: IncomingMessage): Readonly<Record<string, string>> {
  const entries = Object.entries(response.headersDistinct);
  return lowerCaseNames(entries.map(([name, values]) => [name, (values ?? []).join(', ')]));
}

// ---- over the user's fetch -------------------------------------------------------------------------

async function exchangeByFetch(fetch: OutboundFetch, call: Call): Promise<RawAnswer> {
  const { url, init, signal } = call;
  const pending = fetch(url.href, { ...init, redirect: 'manual', signal });
  try {
    const response = await untilAborted(pending, signal);
    const headers = lowerCaseNames(response.headers.entries());
    // The fetch standard hides a redirect behind status 0; Node's fetch shows it.
    const status = response.type === 'opaqueredirect' ? 302 : response.status;
    refuseUnusable(call, status, headers);
    return { status, headers, bytes: await readBody(response, call) };
  } catch (error) {
    release(pending);
    throw error;
  }
}

async function readBody(response: Response, call: Call): Promise<Uint8Array> {
  const body = new CappedBody(call);
  if (response.body === null) return body.bytes();
  const reader = (response.body as ReadableStream<Uint8Array>).getReader(); // `any` in Node's types
  try {
    for (;;) {
      const { done, value } = await untilAborted(reader.read(), call.signal);
      if (done) return body.bytes();
      body.add(value);
    }
  } catch (error) {
    reader.cancel().catch(ignore);
    throw error;
  }
}

/** Lets go of an answer that nobody will read, also of one that comes after the deadline. */
function release(pending: Promise<Response>): void {
  pending.then((response) => response.body?.cancel()).catch(ignore);
}

// ---- the answer ------------------------------------------------------------------------------------

function refuseUnusable(
  { url, maxBytes }: Call,
  status: number,
  headers: Readonly<Record<string, string>>,
): void {
  if (status >= 300 && status < 400) throw redirected(url.host, status);
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (encoding !== '' && encoding !== 'identity') throw encoded(url.host);
  if (Number(headers['content-length']) > maxBytes) throw tooLarge(url.host, maxBytes);
}

class CappedBody {
  readonly #host: string;
  readonly #maxBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  constructor({ url, maxBytes }: Call) {
    this.#host = url.host;
    this.#maxBytes = maxBytes;
  }

  add(chunk: unknown): void {
    if (!types.isUint8Array(chunk)) throw new TypeError('a body chunk is not a byte array');
    this.#size += chunk.byteLength;
    if (this.#size > this.#maxBytes) throw tooLarge(this.#host, this.#maxBytes);
    this.#chunks.push(chunk);
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#chunks, this.#size);
  }
}

function toAnswer({ status, headers, bytes }: RawAnswer): HttpAnswer {
  const notJson = bytes.byteLength === 0 ? 'empty body' : whyNotJson(headers['content-type']);
  if (notJson !== undefined) return { status, headers, json: undefined, notJson };
  try {
    return { status, headers, json: parseStrictJson(bytes) };
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    return { status, headers, json: undefined, notJson: error.message };
  }
}

/** RFC 8259 §11 and RFC 6839 §3.1. Parameters mean nothing, except a charset that is not UTF-8. */
function whyNotJson(contentType: string | undefined): string | undefined {
  if (contentType === undefined) return 'no media type';
  const [mediaType = '', ...parameters] = contentType.toLowerCase().split(';');
  const type = /^[\w!#$&^.+-]{1,80}\/[\w!#$&^.+-]{1,80}$/.exec(mediaType.trim())?.[0];
  if (type === undefined) return 'unreadable media type';
  if (type !== 'application/json' && !/^application\/.+\+json$/.test(type)) {
    return `media type ${type}`;
  }
  return parameters.every(isUtf8OrNoCharset) ? undefined : 'charset other than utf-8';
}

function isUtf8OrNoCharset(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=', 2);
  return name.trim() !== 'charset' || /^(?:utf-?8|"utf-?8")$/.test(value.trim());
}

function lowerCaseNames(
  entries: Iterable<readonly [string, string]>,
): Readonly<Record<string, string>> {
  const headers = Object.create(null) as Record<string, string>; // a header may be named `__proto__`
  for (const [name, value] of entries) headers[name.toLowerCase()] = value;
  return Object.freeze(headers);
}

// ---- deadline and failures -------------------------------------------------------------------------

/** The result of `work`, or the abort reason as soon as there is one: `work` may ignore the signal. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', stop));
  });
}

/** For the late failures of work that was given up: its caller has been told already. */
function ignore(): void {}

function limit(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= LARGEST_TIMER_MS) return value;
  throw new ConfigurationError(`${name} must be a whole number from 1 to ${LARGEST_TIMER_MS}`);
}

function failureOf(error: unknown, host: string, signal: AbortSignal): OutboundHttpError {
  if (error instanceof OutboundHttpError) return error;
  const ended: unknown = signal.reason;
  if (ended instanceof OutboundHttpError) return ended;
  const code = errorCode(error);
  // A parser error carries the bytes it stumbled over, which may be a token.
  const options = code?.startsWith('HPE_') === true ? {} : { cause: error };
  return new OutboundHttpError(
    'connection',
    `${host} gave no complete HTTP answer${code === undefined ? '' : ` (${code})`}; ` +
      `check that this host can reach it and trusts its certificate`,
    options,
  );
}

/** Of the error or, as `fetch` wraps the error of the connection, of its cause. */
function errorCode(error: unknown): string | undefined {
  if (!types.isNativeError(error)) return undefined;
  return ownCode(error) ?? ownCode(error.cause);
}

function ownCode(error: unknown): string | undefined {
  if (!types.isNativeError(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
