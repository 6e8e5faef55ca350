import { lookup as systemLookup } from 'node:dns/promises';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import { isIP } from 'node:net';
import type { LookupFunction, Socket, TcpNetConnectOpts } from 'node:net';
import { untilAborted } from '../lib/deadline.js';
import type { ResolvedAddress } from './address-policy.js';
import { type Call, CappedBody, lowerCaseNames, type RawAnswer, refuseUnusable } from './answer.js';
import { errorCode, noAddressError, StaleSocketError } from './errors.js';

/** Below the 5 s after which Node's own servers hang up, so that few idle sockets are found dead. */
const IDLE_SOCKET_MS = 4_000;

/** How long one address may take while there is another to try. */
const CONNECT_ATTEMPT_MS = 500;
const MAX_HEADER_BYTES = 16_384;

/** The pools of connections. */
export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

export interface Route {
  readonly lookup: LookupFunction;
  readonly agent: HttpAgent | HttpsAgent | false;
}

/** @param maxSockets to one origin. */
export function agents(maxSockets: number): Agents {
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

/** Whether a connection stands that the next call would go over. */
export function hasIdleSocket({ freeSockets }: HttpAgent | HttpsAgent): boolean {
  return Object.values(freeSockets).some((idle) => idle?.some(({ destroyed }) => !destroyed));
}

/** Closes all connections. */
export function destroy({ http, https }: Agents): void {
  http.destroy();
  https.destroy();
}

/** Closes idle connections now, and others when their calls are over. */
export function retire({ http, https }: Agents): void {
  for (const agent of [http, https]) {
    agent.maxFreeSockets = 0;
    for (const idle of Object.values(agent.freeSockets))
      for (const one of idle ?? []) one.destroy();
  }
}

/** The name resolution of the system. */
export async function lookupAll(hostname: string): Promise<readonly ResolvedAddress[]> {
  const found = await systemLookup(hostname, { all: true });
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

export async function exchangeBySocket(call: Call, route: Route): Promise<RawAnswer> {
  call.signal.throwIfAborted();
  const request = open(call, route);
  const failures: Error[] = [];
  request.on('error', (error) => failures.push(error));
  try {
    // A request that waits for a connection does not notice its end by itself.
    const response = await Promise.race([responseTo(request), endOf(request, call)]);
    const status = response.statusCode ?? 0;
    const headers = joinedHeaders(response);
    refuseUnusable(call, status, headers);
    const body = new CappedBody(call);
    await readTo(body, response);
    // A body without a length ends for node:http as if complete when the connection breaks.
    const [broken] = failures;
    if (broken !== undefined) throw broken;
    return { status, headers, bytes: body.bytes() };
  } catch (error) {
    request.destroy();
    throw error;
  }
}

/** Rejects when the call is ended, and ends its request. The signal is that of this call alone. */
function endOf(request: ClientRequest, { signal }: Call): Promise<never> {
  const ended = new Promise<never>((_resolve, reject) => {
    const giveUp = (): void => {
      request.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', giveUp, { once: true });
  });
  ended.catch(() => undefined); // later than the answer
  return ended;
}

/** By events, which cost less than to iterate. */
function readTo(body: CappedBody, response: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    response.on('data', (chunk: unknown) => {
      try {
        body.add(chunk);
      } catch (error) {
        reject(error);
      }
    });
    response.once('end', resolve);
    response.once('error', reject);
    response.once('close', () => {
      if (!response.complete) reject(new Error('the answer has no end'));
    });
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

/** @param signal ends it, and its answer, for as long as somebody reads it. */
function open(
  { url, init }: Pick<Outgoing, 'url' | 'init'>,
  route: Route,
  signal?: AbortSignal,
): ClientRequest {
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
    ...(signal === undefined ? {} : { signal }),
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

async function responseTo(request: ClientRequest): Promise<IncomingMessage> {
  let socket: Socket | undefined;
  let alreadyRead = 0;
  request.once('socket', (used: Socket) => {
    socket = used;
    alreadyRead = used.bytesRead;
  });
  try {
    return await answered(request);
  } catch (error) {
    const stale = request.reusedSocket && isHangUp(error);
    if (stale && socket?.bytesRead === alreadyRead) throw new StaleSocketError(error);
    throw error;
  }
}

function answered(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    request.once('response', (response: IncomingMessage) => {
      isAnswered = true;
      resolve(response);
    });
    request.once('error', reject);
    // Without an error when the server switches protocols.
    request.once('close', () => {
      if (!isAnswered) reject(new Error('closed without an answer'));
    });
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

/** The host of a URL as node:net takes it. */
export function unbracketed(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}
