import { node } from '../platform/node.js';
import { isJsonObject } from './members.js';

/**
 * JSON from outside: fatal UTF-8, a bound on nesting, no member named twice.
 *
 * `JSON.parse` lets the last of two members with one name win, so two readers of one text can
 * disagree about what it says (RFC 8259 §4). Nothing that decides about access may depend on that.
 */

const MAX_DEPTH = 32;

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text is not JSON that this package accepts. The message never quotes the text. */
export class StrictJsonError extends Error {
  override readonly name = 'StrictJsonError';
}

/** @throws StrictJsonError on invalid UTF-8, bad JSON, deep nesting or a duplicate member. */
export function parseStrictJson(bytes: Uint8Array): unknown {
  const text = decodeUtf8(bytes);
  const members = countMembers(text, MAX_DEPTH);
  const value = parse(text);
  if (membersIn(value) < members) throw new StrictJsonError('a member is named twice');
  return value;
}

/** As {@link parseStrictJson}; anything but an object is refused too. */
export function parseStrictJsonObject(bytes: Uint8Array): Record<string, unknown> {
  const value = parseStrictJson(bytes);
  if (!isJsonObject(value)) throw new StrictJsonError('not a JSON object');
  return value;
}

/** Whether well-formed JSON is nested more deeply: functions that call themselves cannot follow any depth. */
export function isNestedBeyond(maxDepth: number, text: string): boolean {
  if (text.length <= maxDepth) return false;
  try {
    countMembers(text, maxDepth);
    return false;
  } catch {
    return true;
  }
}

/**
 * The value, frozen with all that is in it; what is frozen already is taken for done. Depth is
 * bounded by the parser, so plain recursion is safe.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}

function decodeUtf8(bytes: Uint8Array): string {
  if (node.buffer.isAscii(bytes)) {
    return bufferOf(bytes).toString('latin1');
  }
  try {
    return utf8.decode(bytes);
  } catch {
    throw new StrictJsonError('not valid UTF-8');
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The engine's own message quotes the text, which may be a token.
    throw new StrictJsonError('not valid JSON');
  }
}

/**
 * How many members the text names: in well-formed JSON a colon outside of strings each. One pass before it is
 * parsed, which need not judge the grammar, `JSON.parse` does.
 *
 * @throws StrictJsonError when it is nested too deeply, or a string has no end.
 */
function countMembers(text: string, maxDepth: number): number {
  let members = 0;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        i = endOfString(text, i);
        break;
      case COLON:
        members++;
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++depth > maxDepth) throw new StrictJsonError('nested too deeply');
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth--;
        break;
      default:
    }
  }
  return members;
}

/** Index of the closing quote of the string that starts at `start`. */
function endOfString(text: string, start: number): number {
  const next = text.indexOf('"', start + 1);
  if (next !== -1 && text.charCodeAt(next - 1) !== BACKSLASH) return next;
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) return i;
  }
  throw new StrictJsonError('not valid JSON');
}

/** Members that the value has: of two with one name `JSON.parse` keeps one. */
function membersIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let members = 0;
  if (!Array.isArray(value)) members = Object.keys(value).length;
  for (const inner of Object.values(value)) members += membersIn(inner);
  return members;
}
