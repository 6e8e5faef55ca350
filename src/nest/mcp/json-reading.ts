import type { IncomingMessage } from 'node:http';
import { InvalidRequestError, RequestTooLargeError } from '../../core/errors/request-errors.js';
import { type FrameworkRequest, rawRequest, replaceHeader, requestState } from '../http/request.js';
import {
  charsetError,
  hasUnreadBody,
  isParsed,
  namesOtherCharset,
  rewritingProblem,
} from './body.js';

const MAX_BYTES = 4 * 1024 * 1024;
/** Fatal, and a mark at the beginning is no JSON (RFC 8259 §8.1). */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Why a body could not be read; `undefined`: it was, or there is nothing to read. */
type Problem = InvalidRequestError | undefined;

/**
 * Reads a JSON body that no parser has read, and leaves it at `request.body`. Whoever reads the stream
 * after that gets the same value, written anew: of two members with one name the one that was judged.
 *
 * What is no JSON stays unread, and is refused where messages are judged.
 *
 * @returns why it could not be read: too long, not UTF-8, compressed, or no JSON.
 */
export async function readJson(request: FrameworkRequest): Promise<Problem> {
  const raw = rawRequest(request) as IncomingMessage; // of an HTTP exchange: the platform's request
  if (isParsed(request.body, raw) || !hasUnreadBody(raw)) return undefined;
  const type = (raw.headers['content-type'] ?? '').toLowerCase();
  if (!isJson(type)) return undefined;
  if (namesOtherCharset(type)) return charsetError();
  if (isCompressed(raw)) return new InvalidRequestError('a compressed body: send it as it is');
  if (Number(raw.headers['content-length'] ?? 0) > MAX_BYTES) return tooLarge();
  return replaced(raw, (value) => {
    const read = { body: value };
    requestState(request).readBody = read;
    for (const target of [request, raw]) Object.assign(target, read);
  });
}

function isJson(type: string): boolean {
  return type.split(';', 1)[0]?.trim() === 'application/json';
}

function isCompressed({ headers }: IncomingMessage): boolean {
  return (headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity';
}

/**
 * All in one step once the last byte is there: Node takes bytes back until it has told that the body has
 * ended, which it does right after this.
 */
function replaced(raw: IncomingMessage, leave: (value: object) => void): Promise<Problem> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (problem: Problem) => {
      for (const [event, listener] of listeners) raw.off(event, listener);
      if (problem !== undefined) raw.resume(); // the rest is dropped, and the connection goes on
      resolve(problem);
    };
    const read = () => {
      for (let chunk = next(raw); chunk !== null; chunk = next(raw)) {
        size += chunk.length;
        if (size > MAX_BYTES) return settle(tooLarge());
        chunks.push(chunk);
      }
      if (raw.complete) settle(replace(raw, Buffer.concat(chunks), leave));
    };
    const cut = () => settle(new InvalidRequestError('the body ended before its end'));
    const listeners = [
      ['readable', read],
      ['error', cut],
      ['close', cut],
    ] as const;
    for (const [event, listener] of listeners) raw.on(event, listener);
  });
}

function next(raw: IncomingMessage): Buffer | null {
  return raw.read() as Buffer | null;
}

function replace(raw: IncomingMessage, bytes: Buffer, leave: (value: object) => void): Problem {
  const value = parsed(bytes);
  if (value instanceof InvalidRequestError) return value;
  const again = Buffer.from(JSON.stringify(value));
  raw.unshift(again);
  if (raw.headers['content-length'] !== undefined) {
    replaceHeader(raw, 'content-length', String(again.length));
  }
  leave(value);
  return undefined;
}

function parsed(bytes: Buffer): object {
  const text = decoded(bytes);
  if (text === undefined) return charsetError();
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) {
      return new InvalidRequestError('a JSON body that is neither a message nor a batch');
    }
    return rewritingProblem(value) ?? value;
  } catch {
    return new InvalidRequestError('a body that is not JSON');
  }
}

function decoded(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function tooLarge(): RequestTooLargeError {
  return new RequestTooLargeError(`a body of more than ${MAX_BYTES} bytes`);
}
