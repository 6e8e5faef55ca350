import { brokenTextRule } from './claim-values.js';
import {
  InvalidClaimsError,
  InvalidSignatureError,
  TokenTooLongError,
} from '../errors/token-errors.js';
import type { JwsHeader, KnownHeaders } from './known-headers.js';
import { member } from '../lib/members.js';
import { parseStrictJsonObject, StrictJsonError } from '../lib/strict-json.js';

/**
 * A grammar that is stricter than that of JOSE libraries, which accept more than one spelling of a signature,
 * ignore headers that redirect trust, and set no bound on length or depth.
 */

/** A proof has no reason to be longer; of access tokens `maxTokenLength` decides. */
export const MAX_PROOF_LENGTH = 8192;
const MAX_HEADER_TEXT = 256;

/** Base64url of a text that begins with a brace. */
const JSON_OBJECT = /^e[3wy]/;
const JWT_ONLY =
  'opaque tokens and other formats cannot be verified here: have the authorization server issue ' +
  'JWTs for this resource (RFC 9068)';
const CANONICAL_SEGMENT = /^[A-Za-z0-9_-]+$/;
const THREE_SEGMENTS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * Headers that would bring a key of their own, change what is signed or wrap another token. A token
 * that carries one was not made by an authorization server we know how to trust (RFC 8725 §3.1, §3.10).
 */
const REFUSED_HEADERS = ['crit', 'b64', 'jku', 'jwk', 'x5u', 'x5c', 'zip', 'enc', 'cty'];

export interface CompactJws extends JwsHeader {
  readonly encodedHeader: string;
  /** The claims, not yet trusted. Call after the signature has been verified. */
  readonly claims: () => Record<string, unknown>;
}

export interface CompactJwsRules {
  /** Headers of {@link REFUSED_HEADERS} that this kind of token carries by definition. */
  readonly expectedHeaders?: readonly string[];
  /** In characters. Default {@link MAX_PROOF_LENGTH}. */
  readonly maxLength?: number;
  /** Of other tokens by the same rules. */
  readonly headers?: KnownHeaders;
}

/**
 * Three canonical base64url segments, bounded, with a JSON header that names every member once
 * (RFC 7515 §3.1, §7.1). Verifies no signature.
 *
 * @throws TokenTooLongError before anything of it is read.
 * @throws InvalidSignatureError when the text is no compact JWS.
 * @throws InvalidClaimsError when the header breaks a rule.
 */
export function parseCompactJws(
  token: string,
  { maxLength = MAX_PROOF_LENGTH, expectedHeaders = [], headers }: CompactJwsRules = {},
): CompactJws {
  requireLength(token, maxLength);
  const [encodedHeader, encodedClaims] = threeSegments(token);
  const header = headers?.get(encodedHeader) ?? readHeader(encodedHeader, expectedHeaders);
  return {
    encodedHeader,
    alg: header.alg,
    typ: header.typ,
    kid: header.kid,
    header: header.header,
    claims: () => decodeObject(encodedClaims, 'claims'),
  };
}

/** @throws TokenTooLongError */
export function requireLength(token: string, maxLength: number): void {
  if (token.length <= maxLength) return;
  throw new TokenTooLongError(
    `the token is longer than ${maxLength} characters; see maxTokenLength`,
  );
}

function readHeader(encoded: string, expectedHeaders: readonly string[]): JwsHeader {
  const header = decodeObject(encoded, 'header');
  for (const name of REFUSED_HEADERS) {
    if (!Object.hasOwn(header, name) || expectedHeaders.includes(name)) continue;
    throw new InvalidClaimsError(`the token header has the member ${name}, which is refused`, {
      claim: name,
      rule: 'malformed',
    });
  }
  return {
    header,
    alg: requiredString(header, 'alg'),
    typ: optionalString(header, 'typ'),
    kid: optionalString(header, 'kid'),
  };
}

function threeSegments(token: string): [header: string, claims: string] {
  const first = token.indexOf('.');
  const last = token.lastIndexOf('.');
  const header = token.slice(0, first);
  const claims = token.slice(first + 1, last);
  const hasNoSpareBits =
    isWithoutSpareBits(header) &&
    isWithoutSpareBits(claims) &&
    isWithoutSpareBits(token, token.length - last - 1);
  if (!hasNoSpareBits || !THREE_SEGMENTS.test(token)) throw noThreeSegmentsError(token);
  return [header, claims];
}

/** What is wrong with a token that has no three segments as they have to be. */
function noThreeSegmentsError(token: string): InvalidSignatureError {
  const segments = token.split('.', 4);
  const [header = ''] = segments;
  if (segments.length !== 3 || segments.includes('')) {
    return new InvalidSignatureError(
      `the token is not a signed JWT of three segments; ${JWT_ONLY}`,
    );
  }
  return new InvalidSignatureError(
    JSON_OBJECT.test(header)
      ? 'a segment of the token is not canonical base64url'
      : `the token is no JWT; ${JWT_ONLY}`,
  );
}

/** No padding, no blanks, and no spare bits set: one signature has one spelling (RFC 4648 §3.5). */
export function isCanonicalBase64url(text: string): boolean {
  return CANONICAL_SEGMENT.test(text) && isWithoutSpareBits(text);
}

/** @param length of the segment that `text` ends with. */
function isWithoutSpareBits(text: string, length = text.length): boolean {
  const last = BASE64URL.indexOf(text.at(-1) ?? '');
  switch (length % 4) {
    case 1:
      return false;
    case 2:
      return last % 16 === 0;
    case 3:
      return last % 4 === 0;
    default:
      return true;
  }
}

function decodeObject(segment: string, part: string): Record<string, unknown> {
  try {
    return parseStrictJsonObject(Buffer.from(segment, 'base64url'));
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    throw new InvalidClaimsError(`the token ${part}: ${error.message}`, {
      rule: 'malformed',
      cause: error,
    });
  }
}

function requiredString(header: Record<string, unknown>, name: string): string {
  const value = optionalString(header, name);
  if (value !== undefined) return value;
  throw new InvalidClaimsError(`the token header has no ${name}`, { claim: name, rule: 'missing' });
}

function optionalString(header: Record<string, unknown>, name: string): string | undefined {
  const value = member(header, name);
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '' && value.length <= MAX_HEADER_TEXT) return value;
  throw new InvalidClaimsError(
    `the token header member ${name} must be a string of 1 to ${MAX_HEADER_TEXT} characters`,
    { claim: name, rule: brokenTextRule(value, MAX_HEADER_TEXT) },
  );
}
