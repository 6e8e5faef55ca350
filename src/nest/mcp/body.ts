import type { IncomingMessage } from 'node:http';
import { InvalidRequestError, UnsupportedCharsetError } from '../../core/errors/request-errors.js';
import { isObject } from '../../core/lib/members.js';
import { type FrameworkRequest, rawRequest } from '../http/request.js';

/** What a body parser leaves; `rawBody` is Nest's option of that name. */
type ParsedRequest = FrameworkRequest & { rawBody?: unknown };

/** Deeper than any message of MCP, and far from where `JSON.stringify` runs out of stack. */
const MAX_DEPTH = 500;

const NOT_PARSED =
  'no parsed JSON body: let the body parser of the platform run. For a server that reads the bytes ' +
  'itself, create the application with rawBody: true instead of bodyParser: false';

/**
 * Why this body is not judged: because nobody has parsed it, or because a server that reads the bytes
 * could read something else in it. `undefined`: it has been read, or there is none.
 */
export function unreadableBody(request: ParsedRequest): InvalidRequestError | undefined {
  const raw = nodeRequest(request);
  if (!isParsed(request.body, raw)) {
    const isEmpty = BODILESS.has(raw.method ?? '') && !hasUnreadBody(raw);
    return isEmpty ? undefined : new InvalidRequestError(NOT_PARSED);
  }
  if (namesOtherCharset(contentType(raw))) return charsetError();
  return request.rawBody === undefined ? undefined : rewritingProblem(request.body);
}

/**
 * Why what was judged cannot be written as JSON again, for whoever reads the text: it is nested too deeply, or has
 * a number beyond those of a computer, such as `1e400` (RFC 8259 §6), of which `null` would be written. Level by
 * level, because recursion would end where the stack does.
 */
export function rewritingProblem(body: object): InvalidRequestError | undefined {
  let level: object[] = [body];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === MAX_DEPTH) {
      return new InvalidRequestError(`JSON in more than ${MAX_DEPTH} levels`);
    }
    const values = level.flatMap((value): unknown[] => Object.values(value));
    if (values.some(isTooLarge)) return new InvalidRequestError('JSON with a number out of range');
    level = values.filter(isObject);
  }
  return undefined;
}

/**
 * The same on a path where a body may be anything: only what nobody has read is refused, and only JSON,
 * unless all bodies there are messages.
 */
export function unreadJson(
  request: ParsedRequest,
  { isBelowEndpoint }: { readonly isBelowEndpoint: boolean },
): InvalidRequestError | undefined {
  const raw = nodeRequest(request);
  const type = contentType(raw);
  const mentionsJson = type.includes('json');
  if (mentionsJson && namesOtherCharset(type)) return charsetError();
  const isUnread = !isParsed(request.body, raw) && hasUnreadBody(raw);
  return isUnread && (mentionsJson || isBelowEndpoint)
    ? new InvalidRequestError(NOT_PARSED)
    : undefined;
}

/** Methods without a body: streams, the end of a session, and what no MCP server serves. */
export const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

/**
 * Express 4 leaves `{}` where it parsed nothing. The server would then read the stream itself, and
 * run what nobody has checked.
 */
export function isParsed(body: unknown, request: IncomingMessage): body is object {
  if (typeof body !== 'object' || body === null) return false;
  if (ArrayBuffer.isView(body) || isStream(body)) return false;
  const isEmpty = Array.isArray(body) ? body.length === 0 : Object.keys(body).length === 0;
  return !isEmpty || !hasUnreadBody(request);
}

/** Parsers may leave a text or bytes, which HTTP+SSE servers of SDK 1.x parse once more. */
export function parsedText(body: unknown): unknown {
  if (typeof body !== 'string' && !Buffer.isBuffer(body)) return body;
  try {
    return JSON.parse(String(body));
  } catch {
    return undefined; // an empty text, or another format
  }
}

/**
 * Makes the bytes say what was judged: a server that reads `rawBody` could decode them otherwise, or
 * take another one of two members with the same name.
 */
export function renewRawBody(request: ParsedRequest): void {
  if (request.rawBody === undefined || typeof request.body !== 'object') return;
  request.rawBody = Buffer.from(JSON.stringify(request.body));
}

function isStream(body: object): boolean {
  return 'pipe' in body && typeof body.pipe === 'function';
}

export function hasUnreadBody({ headers, readableDidRead }: IncomingMessage): boolean {
  const length = headers['content-length'] ?? '0';
  return !readableDidRead && (headers['transfer-encoding'] !== undefined || Number(length) !== 0);
}

/**
 * JSON is UTF-8 (RFC 8259 §8.1). Express decodes by `charset`, Fastify and servers that read the bytes
 * do not. Every mention counts, also one that stands in a quoted value: parsers differ there.
 */
export function namesOtherCharset(type: string): boolean {
  if (!type.includes('charset')) return false;
  const mentions = type.split('charset').slice(1);
  return mentions.some((rest) => !/^ ?= ?(?:utf-?8|"utf-?8") ?(?:;|$)/.test(rest));
}

export function charsetError(): UnsupportedCharsetError {
  return new UnsupportedCharsetError('JSON in another charset than UTF-8');
}

function contentType({ headers }: IncomingMessage): string {
  return (headers['content-type'] ?? '').toLowerCase();
}

/** The parser has made it infinite. */
function isTooLarge(value: unknown): boolean {
  return typeof value === 'number' && !Number.isFinite(value);
}

function nodeRequest(request: ParsedRequest): IncomingMessage {
  return rawRequest(request) as IncomingMessage; // HTTP context: the platform's request
}
