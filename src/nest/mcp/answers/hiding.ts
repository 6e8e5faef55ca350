import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { type FoundName, type McpOperation, renameOperation } from '../../../core/mcp/json-rpc.js';
import { HiddenNames } from './hidden-names.js';
import { rawRequest } from '../../http/request.js';

/** What the server is asked for instead. */
export interface HiddenName extends FoundName {
  readonly standIn: string;
}

/** Makes a server answer as if what is hidden from the caller, operations and tasks, did not exist. */
export class McpHiding {
  readonly #names = new HiddenNames();
  #isUsed = false;

  /** Whether any server was asked for anything instead, and may have it in its answers. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** The names to ask for instead, the best first. */
  standInsFor(operation: McpOperation): Iterable<string> {
    return this.#names.standInsFor(operation);
  }

  /** A task, as what the server is not to be asked for. */
  hidden(task: FoundName): HiddenName {
    return { ...task, standIn: this.#names.standInFor(task) };
  }

  /** In the body and the header that repeats the name. */
  hide(request: Parameters<typeof rawRequest>[0], hidden: readonly HiddenName[]): void {
    this.#isUsed = true;
    const standIns = new Map<string, string>();
    for (const one of hidden) {
      standIns.set(nameInBody(one), one.standIn);
      renameOperation(one, one.standIn);
    }
    renameInHeaders(rawRequest(request) as IncomingMessage, standIns);
  }

  /** Puts the names back into an answer. */
  restore(json: string): string {
    return this.#names.restore(json);
  }
}

/** Which is a stand-in already where the request was judged before. */
function nameInBody({ holder, member }: FoundName): string {
  return String(Reflect.get(holder, member));
}

/**
 * In 2026-07-28 a header repeats the name, and a server refuses one that differs. It was not read for
 * the decision and only follows the body here.
 */
function renameInHeaders(
  { headers, rawHeaders }: IncomingMessage,
  standIns: ReadonlyMap<string, string>,
): void {
  const { 'mcp-name': joined } = headers;
  if (typeof joined === 'string') headers['mcp-name'] = renamed(joined, standIns);
  rawHeaders.forEach((value, index) => {
    const isName = index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'mcp-name';
    if (isName) rawHeaders[index] = renamed(value, standIns);
  });
}

function renamed(header: string, standIns: ReadonlyMap<string, string>): string {
  const name = namedBy(header);
  const standIn = name === undefined ? undefined : standIns.get(name);
  return standIn === undefined ? header : `${ENCODED}${base64(standIn)}${ENCODED_END}`;
}

const ENCODED = '=?base64?';
const ENCODED_END = '?=';

/**
 * Whether every server reads the same name in `Mcp-Name`: printable ASCII, or canonical base64 of UTF-8.
 * A hidden name cannot follow any other spelling, and a server that takes it would tell.
 */
export function hasPlainNameHeader({ headers }: IncomingMessage): boolean {
  const { 'mcp-name': joined } = headers;
  return typeof joined !== 'string' || namedBy(joined) !== undefined;
}

function namedBy(header: string): string | undefined {
  const value = header.trim();
  if (!value.startsWith('=?')) return /^[\x20-\x7e]*$/.test(value) ? value : undefined;
  if (!value.startsWith(ENCODED) || !value.endsWith(ENCODED_END)) return undefined;
  const encoded = value.slice(ENCODED.length, -ENCODED_END.length);
  const bytes = Buffer.from(encoded, 'base64');
  return isUtf8(bytes) && bytes.toString('base64') === encoded ? bytes.toString() : undefined;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
