import { isJsonObject, memberOf } from '../../core/lib/members.js';
import { LISTS, type ListKind } from '../listing/list-kinds.js';

/** What a stream of changes is about (MCP 2026-07-28, `subscriptions/listen`). */
export interface ListenFilter {
  readonly toolsListChanged?: true;
  readonly promptsListChanged?: true;
  readonly resourcesListChanged?: true;
  readonly resourceSubscriptions?: readonly string[];
  /** Of the extension for tasks. */
  readonly taskIds?: readonly string[];
}

/** Of resources, and of tasks. */
export const MAX_NAMED = 256;

const CHANGES = ['toolsListChanged', 'promptsListChanged', 'resourcesListChanged'] as const;

/** Which lists a change of that name is about, and how it is told. */
const TOLD: Readonly<
  Record<(typeof CHANGES)[number], { method: string; kinds: readonly ListKind[] }>
> = {
  toolsListChanged: { method: 'notifications/tools/list_changed', kinds: ['tools'] },
  promptsListChanged: { method: 'notifications/prompts/list_changed', kinds: ['prompts'] },
  resourcesListChanged: {
    method: 'notifications/resources/list_changed',
    kinds: ['resources', 'resourceTemplates'],
  },
};

/** @returns `undefined` for what is no filter. */
export function listenFilter(params: unknown): ListenFilter | undefined {
  const asked = memberOf(params, 'notifications');
  if (!isJsonObject(asked)) return undefined;
  const uris: unknown = memberOf(asked, 'resourceSubscriptions') ?? [];
  const taskIds: unknown = memberOf(asked, 'taskIds') ?? [];
  if (!isTexts(uris) || !isTexts(taskIds)) return undefined;
  return withUris(asked, uris, taskIds);
}

function isTexts(value: unknown): value is string[] {
  const isFew = Array.isArray(value) && value.length <= MAX_NAMED;
  return isFew && value.every((one) => typeof one === 'string');
}

/** The same for some of the resources and tasks; an upstream is asked for its own. */
export function withUris(
  filter: object,
  uris: readonly string[],
  taskIds: readonly string[] = [],
): ListenFilter {
  const changes = CHANGES.filter((name) => memberOf(filter, name) === true);
  return {
    ...Object.fromEntries(changes.map((name) => [name, true])),
    ...(uris.length === 0 ? {} : { resourceSubscriptions: uris }),
    ...(taskIds.length === 0 ? {} : { taskIds }),
  };
}

export function isEmptyFilter(filter: ListenFilter): boolean {
  return Object.keys(filter).length === 0;
}

/** All changes of lists that it asks for, as notifications say them. */
export function changesOf(filter: ListenFilter): string[] {
  return CHANGES.filter((name) => filter[name] === true).map((name) => TOLD[name].method);
}

/** The lists that a notification of this method makes old. */
export function listsChangedBy(method: string) {
  const told = Object.values(TOLD).find((one) => one.method === method);
  return told === undefined ? [] : told.kinds.map((kind) => LISTS[kind]);
}

/** All changes of all lists. */
export const ALL_LISTS: ListenFilter = {
  toolsListChanged: true,
  promptsListChanged: true,
  resourcesListChanged: true,
};

/** What several want together. */
export function unionOf(filters: readonly ListenFilter[]): ListenFilter {
  const uris = new Set(filters.flatMap(({ resourceSubscriptions = [] }) => resourceSubscriptions));
  const changes = CHANGES.filter((name) => filters.some((filter) => filter[name] === true));
  const tasks = new Set(filters.flatMap(({ taskIds = [] }) => taskIds));
  return withUris(Object.fromEntries(changes.map((name) => [name, true])), [...uris], [...tasks]);
}

/** Whether whoever hears `wide` hears all of `narrow`. */
export function covers(wide: ListenFilter, narrow: ListenFilter): boolean {
  const uris = new Set(wide.resourceSubscriptions);
  const tasks = new Set(wide.taskIds);
  return (
    CHANGES.every((name) => narrow[name] !== true || wide[name] === true) &&
    (narrow.resourceSubscriptions ?? []).every((uri) => uris.has(uri)) &&
    (narrow.taskIds ?? []).every((id) => tasks.has(id))
  );
}
