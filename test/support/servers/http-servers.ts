/** Servers on loopback and observers for the specs of `src/core/http`. */

import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import net from 'node:net';
import type { AddressInfo, LookupFunction, Server, Socket } from 'node:net';

import { OutboundHttp } from '../../../src/core/http/client.js';
import type { AddressLookup, OutboundHttpOptions } from '../../../src/core/http/client.js';
import { type OutboundFailure, OutboundHttpError } from '../../../src/core/http/errors.js';

const cleanups: (() => unknown)[] = [];

/** Call in `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const clean of cleanups.splice(0).reverse()) await clean();
}

export function later(clean: () => unknown): void {
  cleanups.push(clean);
}

/** A client for loopback that is closed after the test. */
export function client(options: OutboundHttpOptions = {}): OutboundHttp {
  const http = new OutboundHttp({ devMode: true, timeoutMs: 3_000, ...options });
  later(() => http.close());
  return http;
}

/** Resolves every name to these addresses and counts the calls. */
export function lookupOf(...addresses: string[]): AddressLookup & { calls: string[] } {
  const calls: string[] = [];
  const lookup: AddressLookup = async (hostname) => {
    calls.push(hostname);
    return addresses.map((address) => ({ address, family: net.isIPv6(address) ? 6 : 4 }));
  };
  return Object.assign(lookup, { calls });
}

export interface Served {
  readonly port: number;
  readonly url: string;
  /** Connections accepted so far. */
  readonly sockets: Socket[];
}

export async function serve(handler: RequestListener, host = '127.0.0.1', port = 0) {
  return listen(createHttpServer(handler), host, port);
}

/** A server below HTTP: the test writes the bytes. */
export async function serveRaw(onConnection: (socket: Socket) => void, host = '127.0.0.1') {
  return listen(net.createServer(onConnection), host, 0);
}

export async function listen(server: Server, host: string, port: number): Promise<Served> {
  const sockets: Socket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined); // the client may hang up at any time
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  later(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  const bound = (server.address() as AddressInfo).port;
  const name = net.isIPv6(host) ? `[${host}]` : host;
  return { port: bound, url: `http://${name}:${bound}`, sockets };
}

export function sendJson(response: ServerResponse, value: unknown, type = 'application/json') {
  response.writeHead(200, { 'content-type': type });
  response.end(JSON.stringify(value));
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

/** The error of a request that has to fail. */
export async function failure(work: Promise<unknown>): Promise<OutboundHttpError> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome && outcome.error instanceof OutboundHttpError) return outcome.error;
  throw new Error('expected an OutboundHttpError', { cause: outcome });
}

export async function reasonOf(work: Promise<unknown>): Promise<OutboundFailure> {
  return (await failure(work)).reason;
}

export interface ConnectAttempt {
  readonly host?: string;
  readonly port?: number;
  readonly lookup?: LookupFunction;
}

/**
 * Records every attempt of this process to open a socket, TLS included. With `refuse` none leaves
 * the process, so that public addresses can be used as targets.
 */
export function watchConnections({ refuse = false } = {}): ConnectAttempt[] {
  const attempts: ConnectAttempt[] = [];
  const connect = Reflect.get(net.Socket.prototype, 'connect') as (...args: unknown[]) => Socket;
  function watched(this: Socket, ...args: unknown[]): Socket {
    const [first] = args.flat();
    attempts.push(first as ConnectAttempt);
    if (!refuse) return connect.apply(this, args);
    process.nextTick(() => this.destroy(new Error('refused by the test')));
    return this;
  }
  Object.assign(net.Socket.prototype, { connect: watched });
  later(() => Object.assign(net.Socket.prototype, { connect }));
  return attempts;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
