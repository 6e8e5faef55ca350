import { isJsonObject, member } from '../../core/lib/members.js';
import type { ListShape } from './list-kinds.js';

/** Every entry of a list, and what the upstream says about keeping it. */
export interface RawList {
  readonly entries: readonly Readonly<Record<string, unknown>>[];
  /** `undefined`: it says nothing. */
  readonly ttlMs: number | undefined;
  readonly scope: 'public' | 'private' | undefined;
  /** Why there may be more than this. */
  readonly cutShort: string | undefined;
  /** What takes the place of what a tool says itself. */
  readonly everyTool?: Readonly<Record<string, unknown>>;
}

export interface ListLimits {
  readonly maxPages: number;
  readonly maxEntries: number;
}

type Ask = (params: { readonly cursor?: string }) => Promise<Readonly<Record<string, unknown>>>;

const LIMITS: ListLimits = { maxPages: 64, maxEntries: 10_000 };

/**
 * Follows all pages. A cursor that comes again, or too many pages or entries, end the list with what there
 * is. What is no list, or no entry with a name, is left out.
 */
export async function readList(shape: ListShape, ask: Ask, limits = LIMITS): Promise<RawList> {
  const entries: Readonly<Record<string, unknown>>[] = [];
  const seen = new Set<string>();
  let ttlMs: number | undefined;
  let isPublic = true;
  let isSaid = false;
  let cursor: string | undefined;
  let cutShort: string | undefined;
  for (let page = 0; cutShort === undefined; page++) {
    const result = await ask(cursor === undefined ? {} : { cursor });
    entries.push(...entriesIn(result, shape).slice(0, limits.maxEntries - entries.length));
    ttlMs = lesser(ttlMs, member(result, 'ttlMs'));
    const scope = member(result, 'cacheScope');
    isSaid ||= scope === 'public' || scope === 'private';
    isPublic &&= scope === 'public';
    const next = member(result, 'nextCursor');
    if (typeof next !== 'string') break;
    if (seen.has(next)) cutShort = 'a cursor came a second time';
    else if (page + 1 >= limits.maxPages) cutShort = `more than ${limits.maxPages} pages`;
    else if (entries.length >= limits.maxEntries)
      cutShort = `more than ${limits.maxEntries} entries`;
    seen.add(next);
    cursor = next;
  }
  const scope = isPublic ? 'public' : 'private';
  return { entries, ttlMs, scope: isSaid ? scope : undefined, cutShort };
}

function entriesIn(result: Readonly<Record<string, unknown>>, { kind, id }: ListShape) {
  const list = member(result, kind);
  if (!Array.isArray(list)) return [];
  return (list as unknown[]).filter(
    (entry): entry is Record<string, unknown> =>
      isJsonObject(entry) && typeof member(entry, id) === 'string',
  );
}

function lesser(known: number | undefined, given: unknown): number | undefined {
  if (typeof given !== 'number' || !(given >= 0)) return known;
  return known === undefined ? given : Math.min(known, given);
}
