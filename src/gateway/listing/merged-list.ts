import { quoted } from '../../core/lib/text.js';
import type { SparseWarnings } from '../../nest/log/sparse-warnings.js';
import type { Upstream } from '../upstream/upstream.js';
import type { Catalogue, ListReader } from './catalogue.js';
import type { ListKind, ListShape } from './list-kinds.js';
import type { Item } from './stored-list.js';

/** What all upstreams offer one caller of one kind. */
export interface MergedList {
  /** By upstream in the order of the options, then as the upstream lists them. */
  readonly items: readonly Item[];
  readonly ttlMs: number;
  /** Upstreams that could not be asked, and of which nothing is known. */
  readonly unavailable: readonly { readonly upstream: string; readonly error: unknown }[];
}

const LONGEST_TTL_MS = 60_000;
/** Names in a warning. */
const SHOWN = 5;

/** Asks all at once; one that fails hides no other. */
export async function mergedList(
  upstreams: readonly Upstream[],
  shape: ListShape,
  reader: ListReader,
  { catalogue, warnings }: { readonly catalogue: Catalogue; readonly warnings: SparseWarnings },
): Promise<MergedList> {
  const outcomes = await Promise.allSettled(
    upstreams.map(async (upstream) => catalogue.list(upstream, shape, reader)),
  );
  reader.signal.throwIfAborted();
  const items: Item[][] = [];
  const unavailable: { upstream: string; error: unknown }[] = [];
  let ttlMs = Infinity;
  outcomes.forEach((outcome, index) => {
    if (outcome.status === 'rejected') {
      unavailable.push({ upstream: upstreams[index]?.name ?? '', error: outcome.reason });
      return;
    }
    const { list, ttlMs: ttl } = outcome.value;
    items.push(list.items.filter(({ isBlocked }) => !isBlocked));
    if (ttl > 0 && list.items.length > 0) ttlMs = Math.min(ttlMs, ttl);
  });
  const own = upstreams[0]?.isLocal === true ? (items.shift() ?? []) : [];
  return {
    items: [...own, ...withoutClashes(notIn(own, items.flat(), warnings), shape, warnings)],
    ttlMs: ttlMs === Infinity ? 0 : Math.min(LONGEST_TTL_MS, Math.floor(ttlMs)),
    unavailable,
  };
}

/** What the gateway calls one of its own tools, no upstream can take. */
function notIn(
  own: readonly Item[],
  items: readonly Item[],
  warnings: SparseWarnings,
): readonly Item[] {
  if (own.length === 0) return items;
  const taken = new Set(own.map(({ name }) => name));
  const withdrawn = items.filter(({ name }) => taken.has(name)).map(({ name }) => quoted(name));
  if (withdrawn.length === 0) return items;
  warnings.warn(
    'own tools',
    `tool ${shortened(withdrawn)}: also one of the gateway (@GatewayTool), so that of the upstream is not ` +
      'offered; give the upstream a prefix, or the tool a name (as)',
  );
  return items.filter(({ name }) => !taken.has(name));
}

function shortened(names: readonly string[]): string {
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  return names.slice(0, SHOWN).join(', ') + more;
}

/** Of two with one name neither is offered, so that none can take the other's place; URIs are shared. */
function withoutClashes(
  items: readonly Item[],
  { id, operation }: ListShape,
  warnings: SparseWarnings,
): readonly Item[] {
  const count = new Map<string, number>();
  for (const { name } of items) count.set(name, (count.get(name) ?? 0) + 1);
  if (count.size === items.length) return items;
  if (id !== 'name') {
    const seen = new Set<string>();
    return items.filter(({ name }) => !seen.has(name) && seen.add(name));
  }
  const clashing = [...count].filter(([, times]) => times > 1).map(([name]) => quoted(name));
  warnings.warn(
    `clash ${operation}`,
    `${operation} ${shortened(clashing)}: offered twice, so neither is; ` +
      'give one of the upstreams a prefix, or the operation a name (as)',
  );
  return items.filter(({ name }) => count.get(name) === 1);
}

/** Where a further page begins: names the last entry, and never repeats a cursor of an upstream. */
export function cursorAfter(kind: ListKind, { name }: Item): string {
  return Buffer.from(JSON.stringify({ k: kind, a: name })).toString('base64url');
}

/** The first entry of a page; `undefined` for a cursor that is not of this list. */
export function startOf(
  cursor: unknown,
  kind: ListKind,
  items: readonly Item[],
): number | undefined {
  if (cursor === undefined) return 0;
  const last = typeof cursor === 'string' ? nameIn(cursor, kind) : undefined;
  const at = last === undefined ? -1 : items.findIndex(({ name }) => name === last);
  return at === -1 ? undefined : at + 1;
}

function nameIn(cursor: string, kind: ListKind): string | undefined {
  try {
    const said = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown;
    const { k, a } = Object(said) as { readonly k?: unknown; readonly a?: unknown };
    return k === kind && typeof a === 'string' ? a : undefined;
  } catch {
    return undefined;
  }
}
