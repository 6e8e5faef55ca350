import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { headerText, textOfHeader } from '../wire/header-text.js';
import { mismatch } from '../wire/modern-request.js';
import type { Item } from './stored-list.js';

/** An argument that a header repeats. */
interface Parameter {
  readonly header: string;
  readonly path: readonly string[];
}

const ANNOTATION = 'x-mcp-header';
const EMPTY = '=?base64??=';
const TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"; // RFC 9110 §5.6.2
const MOST = 64;

const known = new WeakMap<Item, readonly Parameter[]>();

/**
 * The headers `Mcp-Param-*` that a tool's schema asks for (MCP 2026-07-28), for a call that comes without: from a
 * client of an earlier revision, or from code of the application.
 */
export function paramHeaders(item: Item, args: unknown): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const { header, path } of parametersOf(item)) {
    const text = textOf(path.reduce(memberOf, args));
    if (text !== undefined) headers[header] = text === '' ? EMPTY : headerText(text);
  }
  return headers;
}

/**
 * What a client of 2026-07-28 sends itself has to say what the body says (MCP 2026-07-28, Transports): whoever is in
 * between may have decided by it. Numbers are compared as such; a header for what the body leaves out is ignored.
 *
 * @throws RpcError -32020
 */
export function requireParamHeaders(item: Item, args: unknown, headers: IncomingHttpHeaders): void {
  for (const { header, path } of parametersOf(item)) {
    const value = path.reduce(memberOf, args);
    const expected = textOf(value);
    const given = headers[header];
    if (expected === undefined) continue;
    if (typeof given !== 'string') throw mismatch(header, 'is missing');
    const said = textOfHeader(given);
    const isSame = said === expected || (typeof value === 'number' && isNumber(said, value));
    if (!isSame) throw mismatch(header, 'differs from the body');
  }
}

function isNumber(text: string | undefined, value: number): boolean {
  return text !== undefined && text !== '' && Number(text) === value;
}

function parametersOf(item: Item): readonly Parameter[] {
  const parameters = known.get(item) ?? parametersIn(item.text);
  known.set(item, parameters);
  return parameters;
}

function parametersIn(entry: string): readonly Parameter[] {
  if (!entry.includes(ANNOTATION)) return [];
  return annotated(memberOf(JSON.parse(entry), 'inputSchema'), []).slice(0, MOST);
}

/** Only what is reached by `properties` alone has one value. */
function annotated(schema: unknown, path: readonly string[]): readonly Parameter[] {
  const properties = memberOf(schema, 'properties');
  const name = memberOf(schema, ANNOTATION);
  const own =
    isToken(name) && path.length > 0 ? [{ header: `mcp-param-${name.toLowerCase()}`, path }] : [];
  if (!isJsonObject(properties)) return own;
  const below = Object.keys(properties).flatMap((key) =>
    annotated(member(properties, key), [...path, key]),
  );
  return [...own, ...below];
}

function isToken(name: unknown): name is string {
  if (typeof name !== 'string' || name === '' || name.length > MOST) return false;
  return [...name].every((character) => TOKEN.includes(character));
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const isPlain = typeof value === 'boolean' || Number.isSafeInteger(value) || isFraction(value);
  return isPlain ? String(value) : undefined;
}

function isFraction(value: unknown): boolean {
  return Number.isFinite(value) && !Number.isInteger(value);
}
