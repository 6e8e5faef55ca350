import type * as Http from 'node:http';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type * as Https from 'node:https';
import type { RequestOptions } from 'node:https';
import type { LookupFunction, Socket, TcpNetConnectOpts } from 'node:net';
import { untilAborted } from '../lib/deadline.js';
import { node } from '../platform/node.js';
import type { ResolvedAddress } from './address-policy.js';
import { type Call, CappedBody, type RawAnswer, refuseUnusable } from './answer.js';
import { errorCode, noAddressError, StaleSocketError } from './errors.js';

/** Below the 5 s after which Node's own servers hang up, so that few idle sockets are found dead. */
const IDLE_SOCKET_MS = 4_000;

/** How long one address may take while there is another to try. */
const CONNECT_ATTEMPT_MS = 500;
const MAX_HEADER_BYTES = 16_384;

let http: typeof Http | undefined;
let https: typeof Https | undefined;

/**
 * `node:http` or `node:https`, when it is needed. An `import` would load it with this package and have it hand out all that is
 * in it: Node 22 then loads its WebSocket as well, which takes longer than all of this package. Looked for once: Node takes
 * 2 µs to find what it has loaded.
 */
export function transportFor({ protocol }: Pick<URL, 'protocol'>): typeof Http | typeof Https {
  if (protocol === 'https:') return (https ??= process.getBuiltinModule('node:https'));
  return (http ??= process.getBuiltinModule('node:http'));
}

export interface Route {
  readonly lookup: LookupFunction;
  readonly agent: Agent | false;
}

/** The pool of connections to a URL. @param maxSockets to its origin. */
export function agentFor(url: URL, maxSockets: number): Agent {
  return new (transportFor(url).Agent)({
    keepAlive: true,
    maxSockets,
    timeout: IDLE_SOCKET_MS, // node:http applies it to idle sockets only
    maxCachedSessions: 0, // a resumed TLS session would skip the check of the certificate's name
  });
}

/** Whether a connection stands that the next call would go over. */
export function hasIdleSocket({ freeSockets }: Agent): boolean {
  return Object.values(freeSockets).some((idle) => idle?.some(({ destroyed }) => !destroyed));
}

/** Closes idle connections now, and others when their calls are over. */
export function retire(agent: Agent): void {
  agent.maxFreeSockets = 0;
  for (const idle of Object.values(agent.freeSockets)) for (const one of idle ?? []) one.destroy();
}

/** The name resolution of the system. */
export async function lookupAll(hostname: string): Promise<readonly ResolvedAddress[]> {
  const found = await process.getBuiltinModule('node:dns/promises').lookup(hostname, { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 4 ? 4 : 6 }));
}

/** Hands back the judged addresses whatever DNS says by now; Node asks for one or for all. */
export function pinned(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (hostname, options, callback) => {
    const [first] = addresses;
    if (first === undefined) callback(noAddressError(hostname), []);
    else if (options.all === true) callback(null, [...addresses]);
    else callback(null, first.address, first.family);
  };
}

/** Resolves and judges each time a connection is made: it goes to an address that was judged. */
export function judging(
  resolve: (hostname: string) => Promise<readonly ResolvedAddress[]>,
): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => pinned(addresses)(hostname, options, callback),
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}

/** By events: a promise for each step would cost as much as all that is done here. */
export function exchangeBySocket(call: Call, route: Route): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    if (call.stop.reason !== undefined) throw call.stop.reason;
    const request = open(call, route);
    const fail = (error: unknown): void => {
      request.destroy();
      reject(error);
    };
    call.stop.onStop(fail); // a request that waits for a connection does not notice its end by itself
    whenAnswered(request, fail, (response) => {
      try {
        const status = response.statusCode ?? 0;
        const headers = joinedHeaders(response);
        refuseUnusable(call, status, headers);
        const body = new CappedBody(call);
        readTo(body, response, fail, () => resolve({ status, headers, bytes: body.bytes() }));
        // A body without a length ends for node:http as if complete when the connection breaks.
        request.on('error', fail);
      } catch (error) {
        fail(error);
      }
    });
  });
}

function readTo(
  body: CappedBody,
  response: IncomingMessage,
  fail: (error: unknown) => void,
  done: () => void,
): void {
  response.on('data', (chunk: unknown) => {
    try {
      body.add(chunk);
    } catch (error) {
      fail(error);
    }
  });
  response.on('end', done);
  response.on('error', fail);
  response.on('close', () => {
    if (!response.complete) fail(new Error('the answer has no end'));
  });
}

/** What goes out, whatever becomes of the answer. */
export interface Outgoing {
  readonly url: URL;
  readonly init: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
  };
  readonly signal: AbortSignal;
}

/**
 * The answer as soon as its head is there; the body is the caller's to read, bound and end.
 *
 * @throws StaleSocketError when a kept connection was dead; the reason of the signal; what Node throws.
 */
export async function streamBySocket(call: Outgoing, route: Route): Promise<IncomingMessage> {
  const request = open(call, route, call.signal);
  request.on('error', () => undefined); // reported where it is waited for, and by the answer's end
  try {
    // A request that waits for a connection does not notice the signal by itself.
    return await untilAborted(responseTo(request), call.signal);
  } catch (error) {
    request.destroy();
    throw error;
  }
}

/**
 * What is the same for all requests to one URL, with places for what is not: V8 takes twenty times as long to add a
 * member to a copy as to make the copy.
 */
type Destination = RequestOptions & TcpNetConnectOpts;

/** URLs of endpoints stand for as long as these do. */
const destinations = new WeakMap<URL, Destination>();

function destinationOf(url: URL): Destination {
  const known = destinations.get(url);
  if (known !== undefined) return known;
  const host = unbracketed(url.hostname);
  const byDefault = url.protocol === 'https:' ? 443 : 80;
  const destination: Destination = {
    host,
    port: url.port === '' ? byDefault : Number(url.port),
    path: `${url.pathname}${url.search}`,
    // Tries the next judged address when one is dead, all within the deadline.
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: CONNECT_ATTEMPT_MS,
    // Explicit, so that neither the environment nor the command line can weaken them.
    maxHeaderSize: MAX_HEADER_BYTES,
    insecureHTTPParser: false,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    servername: node.net.isIP(host) ? '' : host, // RFC 6066 §3: no address in SNI; the check uses `host` then
    lookup: undefined,
    agent: undefined,
    method: undefined,
    headers: undefined,
    signal: undefined,
  };
  destinations.set(url, destination);
  return destination;
}

/** @param signal ends it, and its answer, for as long as somebody reads it. */
function open(
  { url, init }: Pick<Outgoing, 'url' | 'init'>,
  { lookup, agent }: Route,
  signal?: AbortSignal,
): ClientRequest {
  const { method, headers, body = '' } = init;
  const options = { ...destinationOf(url) };
  options.lookup = lookup;
  options.agent = agent;
  options.method = method;
  options.headers =
    method === 'POST' ? headersOfPost(headers, url, body) : { ...headers, host: url.host };
  options.signal = signal;
  return transportFor(url).request(options).end(body);
}

type Headers = Record<string, string | number>;

/** As {@link Destination}; of headers that are the same object in many requests. */
const withPlaces = new WeakMap<object, Headers>();

function headersOfPost(headers: Readonly<Record<string, string>>, { host }: URL, body: string) {
  const own = { ...(withPlaces.get(headers) ?? placesIn(headers)) };
  own['content-length'] = Buffer.byteLength(body);
  own['host'] = host;
  return own;
}

function placesIn(headers: Readonly<Record<string, string>>): Headers {
  const places = { ...headers, 'content-length': 0, host: '' };
  if (Object.isFrozen(headers)) withPlaces.set(headers, places);
  return places;
}

function responseTo(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => whenAnswered(request, reject, resolve));
}

/** `fail` takes a `StaleSocketError` where a kept connection was dead. */
function whenAnswered(
  request: ClientRequest,
  fail: (error: unknown) => void,
  answered: (response: IncomingMessage) => void,
): void {
  let socket: Socket | undefined;
  let alreadyRead = 0;
  let isAnswered = false;
  // Not `once`, which makes two functions for an event that comes once anyway.
  request.on('socket', (used: Socket) => {
    socket = used;
    alreadyRead = used.bytesRead;
  });
  request.on('response', (response: IncomingMessage) => {
    isAnswered = true;
    answered(response);
  });
  request.on('error', (error) => {
    if (isAnswered) return;
    const stale = request.reusedSocket && isHangUp(error);
    fail(stale && socket?.bytesRead === alreadyRead ? new StaleSocketError(error) : error);
  });
  // Without an error when the server switches protocols.
  request.on('close', () => {
    if (!isAnswered) fail(new Error('closed without an answer'));
  });
}

function isHangUp(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ECONNRESET' || code === 'EPIPE';
}

/** All of them, as `headersDistinct` has them and `headers` has not. */
function joinedHeaders({ rawHeaders }: IncomingMessage): Readonly<Record<string, string>> {
  const headers = Object.create(null) as Record<string, string>; // a header may be named `__proto__`
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? '';
    const value = rawHeaders[i + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return Object.freeze(headers);
}

/** The host of a URL as node:net takes it. */
export function unbracketed(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}
