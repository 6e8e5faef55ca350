import type { IncomingMessage } from 'node:http';
import { type FoundName, type McpOperation, renameOperation } from '../core/json-rpc.js';
import type { OperationScopes } from '../core/operation-scopes.js';
import { HiddenNames } from './hidden-names.js';
import { rawRequest } from './request.js';

/** Makes a server answer as if what is hidden from the caller, operations and tasks, did not exist. */
export class McpHiding {
  readonly #names = new HiddenNames();

  /** Where the stand-in itself is a forbidden URI, a server would run what must not run. */
  canHide({ kind, name }: McpOperation, scopes: OperationScopes): boolean {
    return !scopes.knows({ kind, name: this.#names.standInFor(name) });
  }

  /** In the body and the header that repeats the name. */
  hide(request: Parameters<typeof rawRequest>[0], operations: readonly FoundName[]): void {
    const standIns = new Map<string, string>();
    for (const operation of operations) {
      const standIn = this.#names.standInFor(operation.name);
      standIns.set(operation.name, standIn);
      renameOperation(operation, standIn);
    }
    renameInHeaders(rawRequest(request) as IncomingMessage, standIns);
  }

  /** Puts the names back into an answer. */
  restore(json: string): string {
    return this.#names.restore(json);
  }
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
  if (typeof joined === 'string') headers['mcp-name'] = standIns.get(namedBy(joined)) ?? joined;
  rawHeaders.forEach((value, index) => {
    const isName = index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'mcp-name';
    if (isName) rawHeaders[index] = standIns.get(namedBy(value)) ?? value;
  });
}

function namedBy(header: string): string {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(header.trim())?.[1];
  return encoded === undefined ? header.trim() : Buffer.from(encoded, 'base64').toString();
}
