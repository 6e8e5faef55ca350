import { describe, expect, test } from 'vitest';
import { LISTS } from '../../../src/gateway/listing/list-kinds.js';
import { readList } from '../../../src/gateway/listing/list-reader.js';

type Page = Record<string, unknown>;
const pages =
  (all: Record<string, Page>) =>
  async ({ cursor = '' }: { cursor?: string }) =>
    all[cursor] ?? {};

describe('14.C: reading a list', () => {
  test('follows all pages, and takes the least that is said about keeping it', async () => {
    const read = await readList(
      LISTS.tools,
      pages({
        '': { tools: [{ name: 'a' }], nextCursor: 'x', ttlMs: 50, cacheScope: 'public' },
        x: { tools: [{ name: 'b' }], nextCursor: 'y', ttlMs: 20, cacheScope: 'private' },
        y: { tools: [{ name: 'c' }], ttlMs: 30, cacheScope: 'public' },
      }),
    );
    expect(read.entries.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect([read.ttlMs, read.scope, read.cutShort]).toEqual([20, 'private', undefined]);
  });

  test('a cursor that comes again, too many pages and too many entries end it', async () => {
    const again = await readList(LISTS.tools, async () => ({
      tools: [{ name: 'a' }],
      nextCursor: 'x',
    }));
    expect([again.entries.length, again.cutShort]).toEqual([2, 'a cursor came a second time']);
    let page = 0;
    const endless = async () => ({
      tools: [{ name: 'a' }, { name: 'b' }],
      nextCursor: `${page++}`,
    });
    const limited = await readList(LISTS.tools, endless, { maxPages: 3, maxEntries: 100 });
    expect([limited.entries.length, limited.cutShort]).toEqual([6, 'more than 3 pages']);
    const short = await readList(LISTS.tools, endless, { maxPages: 30, maxEntries: 5 });
    expect([short.entries.length, short.cutShort]).toEqual([5, 'more than 5 entries']);
  });

  test('what is no list and no entry is left out', async () => {
    const read = await readList(LISTS.resources, async () => ({
      resources: [1, null, {}, { uri: 2 }, { uri: 'a:b' }],
    }));
    expect(read.entries).toEqual([{ uri: 'a:b' }]);
    expect((await readList(LISTS.tools, async () => ({ tools: 'x' }))).entries).toEqual([]);
  });
});
