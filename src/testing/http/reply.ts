import type { ServerResponse } from 'node:http';

/** What a handler answers. It is written to the socket elsewhere, so that a fault can spoil it. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export function json(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  };
}

export function text(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, body };
}

export function send(response: ServerResponse, reply: Reply): void {
  const body = Buffer.from(reply.body ?? '');
  writeHead(response, reply, body);
  response.end(body);
}

/** Promises the whole body, delivers the first half of it and drops the connection. */
export function sendTruncated(response: ServerResponse, reply: Reply): void {
  const body = Buffer.from(reply.body ?? '');
  writeHead(response, reply, body);
  response.write(body.subarray(0, Math.ceil(body.length / 2)), () => response.destroy());
}

function writeHead(response: ServerResponse, reply: Reply, body: Buffer): void {
  const length = reply.status === 204 ? {} : { 'Content-Length': body.length };
  response.writeHead(reply.status, { ...reply.headers, ...length });
}
