import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { transportFor } from './socket.js';

/** Where a server of this process listens: a port, or the path of a socket. */
export interface LocalServer {
  readonly address: AddressInfo | string;
  readonly isTls: boolean;
}

export interface LocalRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface LocalAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The beginning, of a document; streams are left at once. */
  readonly text: string;
}

const TIMEOUT_MS = 5000;
const MAX_BYTES = 65_536;

/** Asks a server of this process, over its own socket, whose certificate is its own matter. */
export function askLocally(
  { address, isTls }: LocalServer,
  { method, path, headers, body }: LocalRequest,
  signal: AbortSignal,
): Promise<LocalAnswer> {
  const target =
    typeof address === 'string'
      ? { socketPath: address }
      : { host: reachable(address.address), port: address.port };
  const transport = transportFor({ protocol: isTls ? 'https:' : 'http:' });
  return new Promise((resolve, reject) => {
    const request = transport.request({
      ...target,
      method,
      path,
      headers: { ...headers, Connection: 'close' },
      agent: false,
      rejectUnauthorized: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const { statusCode: status = 0, headers: received } = response;
      let text = '';
      const finish = () => {
        resolve({ status, headers: received, text });
        request.destroy();
      };
      if (received['content-type']?.startsWith('text/event-stream')) return finish();
      response.setEncoding('utf8');
      response.on('error', reject);
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_BYTES) finish();
      });
      response.on('end', finish);
    });
    request.end(body);
  });
}

/** Of a server that listens everywhere, the address of this machine. */
function reachable(address: string): string {
  if (address === '::') return '::1';
  return address === '0.0.0.0' ? '127.0.0.1' : address;
}
