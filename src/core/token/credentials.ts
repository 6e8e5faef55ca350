import { withoutStack } from '../errors/without-stack.js';
import { MalformedCredentialsError, TokenMissingError } from '../errors/token-errors.js';

/**
 * Header lines of one request: Node's `rawHeaders` (name, value, name, value, …), which alone tells
 * two lines from one, a plain record, or pairs, such as a `Headers` object of `fetch`.
 */
export type HeaderLines =
  | readonly string[]
  | Iterable<readonly [name: string, value: string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** What the `Authorization` header carries. */
export interface Credentials {
  /** Scheme of the header, in its registered spelling. */
  readonly scheme: 'Bearer' | 'DPoP';
  /** The access token, unverified. */
  readonly token: string;
}

/** What an unset variable leaves of a header; such a caller is told to sign in. */
const NOTHING_BEHIND = /^(?:[A-Za-z][A-Za-z0-9-]{0,31})? *$/;
const NO_TOKEN = 'the Authorization header is empty, or a scheme without a token';
/** `1*SP` between scheme and token (RFC 9110 §11.4); the token is a `token68` (RFC 6750 §2.1). */
const AUTHORIZATION = /^[A-Za-z]+ +([A-Za-z0-9._~+/-]+=*)$/;
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]* +\S/;

/**
 * The access token of a request. It comes from the `Authorization` header and nowhere else: the
 * query string and the body are not looked at (MCP authorization; RFC 6750 §2.2, §2.3 not supported).
 *
 * @throws TokenMissingError when there is no `Authorization` header, an empty one, a scheme with nothing
 * behind it, or another scheme: the client does not know yet what is asked of it (RFC 6750 §3.1).
 * @throws MalformedCredentialsError for two header lines or a broken value.
 */
export function parseCredentials(headers: HeaderLines): Credentials {
  const lines = headerLines(headers, 'authorization');
  const [line] = lines;
  if (line === undefined) throw withoutStack(() => new TokenMissingError());
  if (lines.length > 1) {
    throw new MalformedCredentialsError('the request has more than one Authorization header');
  }
  return usualCredentials(line) ?? anyCredentials(line);
}

/** As nearly all clients write it; the other spellings are read below. */
function usualCredentials(line: string): Credentials | undefined {
  const scheme = line.startsWith('Bearer ')
    ? 'Bearer'
    : line.startsWith('DPoP ')
      ? 'DPoP'
      : undefined;
  if (scheme === undefined) return undefined;
  const token = line.slice(scheme.length + 1);
  return TOKEN68.test(token) ? { scheme, token } : undefined;
}

function anyCredentials(line: string): Credentials {
  if (NOTHING_BEHIND.test(line)) {
    throw withoutStack(() => new TokenMissingError(NO_TOKEN));
  }
  const scheme = schemeOf(/^[^\s]*/.exec(line)?.[0]);
  if (scheme === undefined && SCHEME.test(line)) {
    throw new TokenMissingError(
      'the Authorization header is of another scheme than Bearer and DPoP',
    );
  }
  const token = AUTHORIZATION.exec(line)?.[1];
  if (scheme === undefined || token === undefined) {
    throw new MalformedCredentialsError(
      'the Authorization header is not of the form "Bearer <token>" or "DPoP <token>"',
    );
  }
  return { scheme, token };
}

/** Whether the request shows no credential at all; one that nobody here takes is one, too. */
export function isWithoutCredentials(headers: HeaderLines): boolean {
  const [line, ...others] = headerLines(headers, 'authorization');
  return others.length === 0 && (line === undefined || NOTHING_BEHIND.test(line));
}

/** The scheme a request came with, for the challenge; whether the rest is good does not matter. */
export function presentedScheme(headers: HeaderLines): Credentials['scheme'] | undefined {
  return schemeOf(/^[A-Za-z]+/.exec(headerLines(headers, 'authorization')[0] ?? '')?.[0]);
}

/** All lines of a header, in order. Only raw headers and pairs tell apart lines that others join. */
export function headerLines(headers: HeaderLines, name: string): readonly string[] {
  if (isRawHeaders(headers)) return linesOfRaw(headers, name);
  return linesOfEntries(isPairs(headers) ? headers : Object.entries(headers), name);
}

/** The line of a header that has one; `undefined` where it has none or several. */
export function onlyLine(headers: HeaderLines, name: string): string | undefined {
  if (!isRawHeaders(headers)) {
    const lines = headerLines(headers, name);
    return lines.length === 1 ? lines[0] : undefined;
  }
  let found: string | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!isNamed(headers[i], name)) continue;
    if (found !== undefined) return undefined;
    found = headers[i + 1];
  }
  return found;
}

function isRawHeaders(headers: HeaderLines): headers is readonly string[] {
  return Array.isArray(headers) && (headers.length === 0 || typeof headers[0] === 'string');
}

function isPairs(headers: HeaderLines): headers is Iterable<readonly [string, string]> {
  return Symbol.iterator in headers;
}

const NONE: readonly string[] = Object.freeze([]);

function linesOfRaw(rawHeaders: readonly string[], name: string): readonly string[] {
  let lines: string[] | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (isNamed(rawHeaders[i], name)) (lines ??= []).push(rawHeaders[i + 1] ?? '');
  }
  return lines ?? NONE;
}

function isNamed(text: string | undefined, name: string): boolean {
  return text?.length === name.length && (text === name || text.toLowerCase() === name);
}

function linesOfEntries(
  entries: Iterable<readonly [string, string | readonly string[] | undefined]>,
  name: string,
): string[] {
  return [...entries].flatMap(([key, value]) =>
    key.toLowerCase() === name && value !== undefined ? value : [],
  );
}

/** RFC 9110 §11.1, and RFC 6749 §5.1 of a `token_type`: the case means nothing. */
export function schemeOf(text: string | undefined): Credentials['scheme'] | undefined {
  switch (text?.toLowerCase()) {
    case 'bearer':
      return 'Bearer';
    case 'dpop':
      return 'DPoP';
    default:
      return undefined;
  }
}
