import { isJsonObject, member } from '../../core/lib/members.js';
import { sha256 } from '../../core/lib/digest.js';
import { isStandIn } from '../names/stand-ins.js';
import { UriTable } from '../../core/mcp/uri-table.js';
import type { RuleVerdict } from '../names/operation-rules.js';
import type { Offer, UpstreamNames } from '../names/upstream-names.js';
import type { ListShape } from './list-kinds.js';
import type { RawList } from './list-reader.js';

/** One tool, prompt, resource or template as it is offered. */
export interface Item {
  /** What clients call it. */
  readonly name: string;
  /** What the upstream calls it. */
  readonly own: string;
  /** JSON of its entry in a list; of a tool without `execution`, which 2026-07-28 does not have. */
  readonly text: string;
  /** JSON of how a tool may be run (2025-11-25), such as whether as a task; `undefined` where nothing is said. */
  readonly execution?: string;
  readonly verdict: RuleVerdict;
  /** Its definition is not the one that was reviewed: shown to nobody, and not called. */
  readonly isBlocked: boolean;
}

/** What an upstream offers of one kind, named and ready to be sent. Never changes. */
export class StoredList {
  readonly items: readonly Item[];
  readonly bytes: number;
  /** Of all that distinguishes it. */
  readonly digest: string;
  #byName: ReadonlyMap<string, Item> | undefined;
  #templates: UriTable<Item> | undefined;

  constructor(items: readonly Item[]) {
    this.items = items;
    this.bytes = items.reduce((sum, item) => sum + legacyText(item).length, 0);
    this.digest = sha256(items.map(distinguished).join('\n'));
  }

  /** The item of this exposed name; of two with one name neither. */
  find(name: string): Item | undefined {
    this.#byName ??= indexed(this.items);
    return this.#byName.get(name);
  }

  /** The first template that a URI may be an expansion of. */
  matching(uri: string): Item | undefined {
    this.#templates ??= new UriTable(
      this.items.map((item) => [item.name, item]),
      false,
    );
    return this.#templates.find(uri)[0];
  }
}

/** JSON of its entry in a list of a revision up to 2025-11-25. */
export function legacyText({ text, execution }: Item): string {
  return execution === undefined ? text : `${text.slice(0, -1)},"execution":${execution}}`;
}

function distinguished(item: Item): string {
  const { own, isBlocked } = item;
  return `${own.length}:${own}${legacyText(item)}${isBlocked ? ' blocked' : ''}`;
}

/** Names and texts of what is offered; the rest is left out. */
export function storedList(
  raw: RawList,
  { kind, id }: ListShape,
  names: UpstreamNames,
  isBlocked: (entry: Readonly<Record<string, unknown>>) => boolean = () => false,
): StoredList {
  const offerOf = (own: string): Offer =>
    kind === 'tools' || kind === 'prompts' ? names[kind].offer(own) : names.resource(own);
  const items = raw.entries.flatMap((entry): Item[] => {
    const own = String(member(entry, id));
    if (isStandIn(own)) return [];
    const { name, verdict } = offerOf(own);
    if (!verdict.isOffered) return [];
    const { description } = verdict;
    const { execution, ...said } = kind === 'tools' ? { ...entry, ...raw.everyTool } : entry;
    const shown = { ...said, [id]: name, ...(description === undefined ? {} : { description }) };
    const how = isJsonObject(execution) ? { execution: JSON.stringify(execution) } : {};
    return [
      { name, own, verdict, text: JSON.stringify(shown), ...how, isBlocked: isBlocked(entry) },
    ];
  });
  return new StoredList(items);
}

/** Names that are there twice lead nowhere. */
function indexed(items: readonly Item[]): ReadonlyMap<string, Item> {
  const byName = new Map<string, Item>();
  const twice = new Set<string>();
  for (const item of items) {
    if (byName.has(item.name)) twice.add(item.name);
    byName.set(item.name, item);
  }
  for (const name of twice) byName.delete(name);
  return byName;
}
