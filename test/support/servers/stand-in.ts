import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';

import { expect } from 'vitest';
import {
  startAuthorizationServer,
  type AuthorizationServerOptions,
  type StandInAuthorizationServer,
} from 'authplane-nestjs/testing';

export const RESOURCE = 'http://localhost:8080/mcp';
export const CALLBACK = 'http://localhost:3333/callback';
export const START = 1_790_000_000;

/** A clock that stands still until it is moved. */
export class Clock {
  seconds = START;
  readonly now = () => this.seconds;
}

/** Starts servers and closes them after the test. */
export class Servers {
  private readonly running: StandInAuthorizationServer[] = [];

  async start(options?: AuthorizationServerOptions): Promise<StandInAuthorizationServer> {
    const server = await startAuthorizationServer(options);
    this.running.push(server);
    return server;
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.running.splice(0).map((server) => server.close()));
  }
}

export interface Pkce {
  readonly verifier: string;
  readonly challenge: string;
}

export function pkce(): Pkce {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

export type Parameters = Readonly<Record<string, string | undefined>>;

/** An authorization URL of `app` that is right until a parameter is changed or, if `undefined`, left out. */
export function authorizationUrl(
  server: StandInAuthorizationServer,
  challenge: string,
  changes: Parameters = {},
): string {
  const parameters = search({
    client_id: 'app',
    redirect_uri: CALLBACK,
    response_type: 'code',
    scope: 'mcp:echo',
    state: 'a&b="c"',
    resource: RESOURCE,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  });
  return `${server.issuer}/oauth/authorize?${parameters}`;
}

export function post(url: string, form: Parameters, headers: Record<string, string> = {}) {
  return fetch(url, { method: 'POST', body: search(form), headers });
}

export function token(
  server: StandInAuthorizationServer,
  form: Parameters,
  headers?: Record<string, string>,
) {
  return post(`${server.issuer}/oauth/token`, form, headers);
}

export async function jsonOf(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}

export async function refused(response: Response, error: string, status = 400): Promise<void> {
  expect(await jsonOf(response)).toMatchObject({ error, status });
  expect(response.status).toBe(status);
}

/** Claims without verification; for verification see the tests of the key set. */
export function claimsOf(jwt: unknown): Record<string, unknown> {
  return part(jwt, 1);
}

export function headerOf(jwt: unknown): Record<string, unknown> {
  return part(jwt, 0);
}

function part(jwt: unknown, index: number): Record<string, unknown> {
  const encoded = String(jwt).split('.')[index] ?? '';
  return JSON.parse(Buffer.from(encoded, 'base64url').toString()) as Record<string, unknown>;
}

function search(parameters: Parameters): URLSearchParams {
  const present = Object.entries(parameters).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  return new URLSearchParams(present);
}

/** Sends bytes as they are and gives what comes back until the connection ends. */
export async function exchangeRaw(issuer: string, request: string): Promise<string> {
  const socket = connect(Number(new URL(issuer).port), '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
  socket.on('error', () => undefined);
  socket.end(request);
  await once(socket, 'close');
  return answer;
}
