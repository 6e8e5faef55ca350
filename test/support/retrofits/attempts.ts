import { request as httpRequest } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { freePort } from '../servers/free-port.js';

export type SentHeaders = Readonly<Record<string, string>>;

/** Of the applications that are rebuilt here: where they are, and who signs their people in. */
export interface Retrofitted {
  readonly origin: string;
  readonly authorizationServer: StandInAuthorizationServer;
  close(): Promise<void>;
}

/** Where an application is to listen, and who issues its tokens. */
export interface Place {
  readonly port: number;
  readonly origin: string;
  readonly issuer: string;
}

export async function startRetrofit(
  start: (place: Place) => Promise<{ close(): Promise<void> }>,
): Promise<Retrofitted> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  // With refresh tokens, a v1 client would refresh the old scopes.
  const authorizationServer = await startAuthorizationServer({ issueRefreshTokens: false });
  try {
    const app = await start({ port, origin, issuer: authorizationServer.issuer });
    const close = async () => {
      await app.close();
      await authorizationServer.close();
    };
    return { origin, authorizationServer, close };
  } catch (error) {
    await authorizationServer.close();
    throw error;
  }
}

export interface Outcome {
  readonly status: number;
  readonly challenge: string;
  readonly text: string;
}

/** Calls a tool once, as clients of 2025-11-25 do after `initialize`; `host` where it is another one than in the URL. */
export function callTool(
  url: string,
  headers: SentHeaders,
  name: string,
  args: object = {},
): Promise<Outcome> {
  const params = { name, arguments: args };
  return sendMessage(url, headers, { jsonrpc: '2.0', id: 1, method: 'tools/call', params });
}

export function listTools(url: string, headers: SentHeaders): Promise<Outcome> {
  return sendMessage(url, headers, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
}

function sendMessage(url: string, headers: SentHeaders, message: object): Promise<Outcome> {
  return send(url, 'POST', headers, JSON.stringify(message));
}

/** `fetch` neither sends another `Host` nor shows everything. */
export function send(
  url: string,
  method: 'GET' | 'POST',
  headers: SentHeaders,
  body?: string,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, {
      method,
      headers: {
        accept: 'application/json, text/event-stream',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      textOf(response).then(
        (text) =>
          resolve({
            status: response.statusCode ?? 0,
            challenge: response.headers['www-authenticate'] ?? '',
            text,
          }),
        reject,
      );
    });
    sent.end(body);
  });
}

/** An access token in its header. */
export async function bearer(
  { authorizationServer }: Pick<Retrofitted, 'authorizationServer'>,
  aud: string,
  scope: string,
  sub = 'alice',
): Promise<SentHeaders> {
  const token = await authorizationServer.issueToken({ aud: [aud], scope, sub });
  return { authorization: `Bearer ${token}` };
}
