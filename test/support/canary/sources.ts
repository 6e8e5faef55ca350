import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Logger } from '@nestjs/common';
import { AuthplaneError } from '../../../src/core/errors/authplane-error.js';
import { beginning, type Watch } from './watch.js';

/** Told what was printed or thrown, and where. */
export type Heard = (where: string, ...values: readonly unknown[]) => void;

type Undo = () => void;

const FORM_SECRETS = [
  ...['client_secret', 'client_assertion', 'subject_token', 'actor_token'],
  ...['token', 'refresh_token', 'code', 'code_verifier'],
];
const JSON_SECRETS = /"(access_token|refresh_token|id_token)"\s*:\s*"([\w.~+/=-]+)"/g; // RFC 6750 §2.1
const MAX_BODY_BYTES = 1_000_000;

// ---- secrets ---------------------------------------------------------------------------------------

/** Makes secrets of what travels over HTTP in this process, whoever sends it. */
export function noteTraffic(watch: Watch): Undo {
  const channels: Readonly<Record<string, (message: never) => void>> = {
    'http.server.request.start': ({ request }: { request: IncomingMessage }) => {
      noteHeaders(watch, request.rawHeaders);
      if (isOf(request, 'x-www-form-urlencoded')) tap(request, (body) => noteForm(watch, body));
    },
    'http.client.request.start': ({ request }: { request: ClientRequest }) => {
      noteHeaders(watch, Object.entries(request.getHeaders()).flat());
    },
    'http.client.response.finish': ({ response }: { response: IncomingMessage }) => {
      if (isOf(response, 'json')) tap(response, (body) => noteTokens(watch, body));
    },
    // Of the global fetch.
    'undici:request:create': ({ request }: { request: { headers: readonly unknown[] } }) => {
      noteHeaders(watch, request.headers);
    },
  };
  const listeners = Object.entries(channels) as [string, (message: unknown) => void][];
  for (const [channel, listener] of listeners) subscribe(channel, listener);
  return () => listeners.forEach(([channel, listener]) => unsubscribe(channel, listener));
}

function isOf({ headers }: IncomingMessage, mediaType: string): boolean {
  return headers['content-type']?.includes(mediaType) ?? false;
}

/** Sees a body pass on its way from the parser to its reader, and leaves its flow and timing alone. */
function tap(message: IncomingMessage, seen: (body: string) => void): void {
  const { push } = message;
  const chunks: Buffer[] = [];
  let bytes = 0;
  message.push = (chunk: Buffer | null, encoding) => {
    if (chunk === null) seen(Buffer.concat(chunks).toString());
    else if ((bytes += chunk.length) <= MAX_BODY_BYTES) chunks.push(chunk);
    return push.call(message, chunk, encoding);
  };
}

/** Names and values in turn. */
function noteHeaders(watch: Watch, headers: readonly unknown[]): void {
  headers.map(String).forEach((name, at, all) => {
    const value = all[at + 1] ?? '';
    if (/^dpop$/i.test(name)) note(watch, 'a proof', value);
    if (/^authorization$/i.test(name)) noteCredentials(watch, value);
  });
}

function noteCredentials(watch: Watch, authorization: string): void {
  const credentials = authorization.replace(/^\S+ +/, '');
  note(watch, 'a credential', credentials);
  if (/^basic /i.test(authorization)) noteBasic(watch, credentials);
}

/** RFC 6749 §2.3.1: the secret is form-encoded before it is put in. */
function noteBasic(watch: Watch, credentials: string): void {
  const [, secret = ''] = Buffer.from(credentials, 'base64').toString().split(/:(.*)/s);
  const [[, decoded] = ['', '']] = new URLSearchParams(`secret=${secret}`);
  for (const value of [secret, decoded]) note(watch, 'the client secret', value);
}

function noteForm(watch: Watch, body: string): void {
  const form = new URLSearchParams(body);
  for (const name of FORM_SECRETS) {
    for (const value of form.getAll(name)) note(watch, `the ${name}`, value);
  }
}

function noteTokens(watch: Watch, body: string): void {
  for (const [, name = '', value = ''] of body.matchAll(JSON_SECRETS)) {
    note(watch, `the ${name}`, value);
  }
}

function note(watch: Watch, kind: string, value: string): void {
  const name = `${kind} ${beginning(value)}`;
  if (/^eyJ[^.]*\.[^.]+\.[^.]*$/.test(value)) watch.jwt(name, value);
  else watch.secret(name, value);
}

// ---- texts -----------------------------------------------------------------------------------------

export interface OutputOptions {
  /** Nothing of it gets to the terminal. */
  readonly mute?: boolean;
}

/** All that this process writes. */
export function hearOutput(heard: Heard, { mute = false }: OutputOptions = {}): Undo {
  const { stdout, stderr } = process;
  const undo = Object.entries({ stdout, stderr }).map(([name, stream]) => {
    const { write } = stream;
    stream.write = (chunk: string | Uint8Array, ...more: unknown[]) => {
      heard(name, typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
      return mute || write.call(stream, chunk, ...(more as []));
    };
    return () => (stream.write = write);
  });
  return () => undo.forEach((step) => step());
}

/** All that Nest's loggers are given, also when the application has switched them off. */
export function hearNestLogger(heard: Heard): Undo {
  const levels = ['log', 'error', 'warn', 'debug', 'verbose', 'fatal'] as const;
  const undo = [Logger, Logger.prototype].flatMap((owner) =>
    levels.map((level) => {
      const log = owner[level] as (...values: unknown[]) => void;
      owner[level] = function (this: unknown, ...values: unknown[]) {
        heard(`Nest logger, ${level}`, ...values);
        return log.apply(this, values);
      };
      return () => (owner[level] = log);
    }),
  );
  return () => undo.forEach((step) => step());
}

/**
 * Each error of this package. It assigns its name when it is made, and an assignment asks the prototype
 * first: a setter there sees the errors of all classes, and the sources need no hook.
 */
export function hearErrorsMade(made: (error: AuthplaneError) => void): void {
  Object.defineProperty(AuthplaneError.prototype, 'name', {
    configurable: true,
    get: () => Error.prototype.name,
    set(this: AuthplaneError, value: string) {
      const own = { value, writable: true, enumerable: true, configurable: true };
      Object.defineProperty(this, 'name', own);
      made(this);
    },
  });
}
