import { describe, expect, test } from 'vitest';
import {
  ALL_LISTS,
  changesOf,
  covers,
  isEmptyFilter,
  listenFilter,
  listsChangedBy,
  unionOf,
  withUris,
} from '../../../src/gateway/changes/listen-filter.js';

const tools = { toolsListChanged: true } as const;
const uris = (...resourceSubscriptions: string[]) => ({ resourceSubscriptions });

describe('MCP 2026-07-28: what a client listens to', () => {
  test.each<[unknown, object | undefined]>([
    [{ notifications: {} }, {}],
    [{ notifications: { toolsListChanged: true, promptsListChanged: false } }, tools],
    [{ notifications: { toolsListChanged: 1, other: true } }, {}],
    [{ notifications: { resourceSubscriptions: ['a'] } }, uris('a')],
    [{ notifications: { resourceSubscriptions: [] } }, {}],
    [{ notifications: { resourceSubscriptions: 'a' } }, undefined],
    [{ notifications: { resourceSubscriptions: ['a', 5] } }, undefined],
    [{ notifications: [] }, undefined],
    [{}, undefined],
    [undefined, undefined],
  ])('%j is %j', (params, filter) => {
    expect(listenFilter(params)).toEqual(filter);
  });

  test('14.6: names 256 resources and 256 tasks at most', () => {
    const names = (count: number) => Array.from({ length: count }, (_, at) => `a://${at}`);
    for (const member of ['resourceSubscriptions', 'taskIds']) {
      const of = (count: number) => listenFilter({ notifications: { [member]: names(count) } });
      expect([of(256), of(257), of(100_000)]).toEqual([
        { [member]: names(256) },
        undefined,
        undefined,
      ]);
    }
  });

  test('for some of the resources', () => {
    expect(withUris({ ...tools, ...uris('a', 'b') }, ['b'])).toEqual({ ...tools, ...uris('b') });
    expect(withUris({ ...tools, ...uris('a') }, [])).toEqual(tools);
  });

  test('may be nothing', () => {
    expect([{}, tools, uris('a')].map(isEmptyFilter)).toEqual([true, false, false]);
  });
});

describe('changes', () => {
  test('are told by their notifications', () => {
    expect(changesOf({ ...tools, ...uris('a') })).toEqual(['notifications/tools/list_changed']);
    expect(changesOf(ALL_LISTS)).toHaveLength(3);
  });

  test('make lists old', () => {
    const kinds = (method: string) => listsChangedBy(method).map(({ kind }) => kind);
    expect(kinds('notifications/tools/list_changed')).toEqual(['tools']);
    expect(kinds('notifications/resources/list_changed')).toEqual([
      ...['resources', 'resourceTemplates'],
    ]);
    expect(kinds('notifications/resources/updated')).toEqual([]);
  });
});

describe('filters of several', () => {
  test('together', () => {
    const union = unionOf([tools, uris('a', 'b'), { promptsListChanged: true, ...uris('b') }]);
    expect(union).toEqual({ ...tools, promptsListChanged: true, ...uris('a', 'b') });
    expect(unionOf([])).toEqual({});
  });

  test.each<[object, object, boolean]>([
    [ALL_LISTS, tools, true],
    [tools, ALL_LISTS, false],
    [uris('a', 'b'), uris('b'), true],
    [uris('a'), uris('b'), false],
    [tools, {}, true],
    [{}, tools, false],
  ])('who hears %j hears all of %j: %s', (wide, narrow, all) => {
    expect(covers(wide, narrow)).toBe(all);
  });
});
