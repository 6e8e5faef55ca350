import { RpcError } from '../wire/gateway-errors.js';
import { INVALID_PARAMS } from '../wire/json-rpc-answer.js';
import type { ListShape } from './list-kinds.js';
import { cursorAfter, type MergedList, startOf } from './merged-list.js';
import type { Item } from './stored-list.js';

/** One page of a list, as text that can be put into an answer of any revision. */
export interface ListPage {
  /** JSON of the entries, between commas. */
  readonly entries: string;
  readonly nextCursor: string | undefined;
  readonly ttlMs: number;
  /** Which upstreams are missing; `undefined`: none. */
  readonly meta: Readonly<Record<string, unknown>> | undefined;
}

const UNAVAILABLE = 'ai.authplane/unavailable';

/**
 * @param textOf JSON of an entry in the revision of whoever asks.
 * @throws RpcError for a cursor that is not of this list
 */
export function listPage(
  { items, ttlMs, unavailable }: MergedList,
  { kind }: ListShape,
  cursor: unknown,
  size: number,
  textOf: (item: Item) => string = ({ text }) => text,
): ListPage {
  const start = startOf(cursor, kind, items);
  if (start === undefined) {
    const message = 'Invalid params: the cursor is not of this list';
    throw new RpcError(200, { code: INVALID_PARAMS, message });
  }
  const page = items.slice(start, start + size);
  const last = page.at(-1);
  const isLast = last === undefined || start + size >= items.length;
  return {
    entries: page.map(textOf).join(','),
    nextCursor: isLast ? undefined : cursorAfter(kind, last),
    ttlMs,
    meta:
      unavailable.length === 0
        ? undefined
        : { [UNAVAILABLE]: unavailable.map(({ upstream }) => upstream) },
  };
}
