import { isJsonObject } from './members.js';

/**
 * JSON from outside: fatal UTF-8, a bound on nesting, no member named twice.
 *
 * `JSON.parse` lets the last of two members with one name win, so two readers of one text can
 * disagree about what it says (RFC 8259 §4). Nothing that decides about access may depend on that.
 */

const MAX_DEPTH = 32;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text is not JSON that this package accepts. The message never quotes the text. */
export class StrictJsonError extends Error {
  override readonly name = 'StrictJsonError';
}

/** @throws StrictJsonError on invalid UTF-8, bad JSON, deep nesting or a duplicate member. */
export function parseStrictJson(bytes: Uint8Array): unknown {
  const text = decodeUtf8(bytes);
  refuseDeepOrDuplicate(text);
  return parse(text);
}

/** As {@link parseStrictJson}; anything but an object is refused too. */
export function parseStrictJsonObject(bytes: Uint8Array): Record<string, unknown> {
  const value = parseStrictJson(bytes);
  if (!isJsonObject(value)) throw new StrictJsonError('not a JSON object');
  return value;
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
  try {
    return utf8.decode(bytes);
  } catch {
    throw new StrictJsonError('not valid UTF-8');
  }
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
 * One pass over the text before it is parsed. It need not judge the grammar, `JSON.parse` does;
 * it has to find every member name of well-formed JSON and its depth.
 */
function refuseDeepOrDuplicate(text: string): void {
  const open: (Set<string> | undefined)[] = []; // the names of each open object, undefined for an array
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '"') {
      const end = endOfString(text, i);
      const names = open.at(-1);
      if (names !== undefined && followedByColon(text, end)) addName(names, text.slice(i, end));
      i = end - 1;
    } else if (char === '{' || char === '[') {
      if (open.length === MAX_DEPTH) throw new StrictJsonError('nested too deeply');
      open.push(char === '{' ? new Set() : undefined);
    } else if (char === '}' || char === ']') {
      open.pop();
    }
  }
}

/** Index behind the closing quote of the string that starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i + 1;
  }
  throw new StrictJsonError('not valid JSON');
}

function followedByColon(text: string, from: number): boolean {
  let i = from;
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++;
  return text[i] === ':';
}

function addName(names: Set<string>, quoted: string): void {
  const name = String(parse(quoted)); // "a" and "\u0061" are one name
  if (names.has(name)) throw new StrictJsonError('a member is named twice');
  names.add(name);
}
