import { describe, expect, test } from 'vitest';
import { LISTS, type ListShape } from '../../../src/gateway/listing/list-kinds.js';
import { cursorAfter, mergedList, startOf } from '../../../src/gateway/listing/merged-list.js';
import { type Item, StoredList } from '../../../src/gateway/listing/stored-list.js';

const item = (name: string, more: Partial<Item> = {}) =>
  ({ name, own: name, text: `{"name":"${name}"}`, isBlocked: false, ...more }) as Item;

/** What upstreams offer; an error: why one of them cannot be asked. */
async function merged(
  offers: Record<string, { items: readonly Item[]; ttlMs?: number } | Error>,
  shape: ListShape = LISTS.tools,
  signal = new AbortController().signal,
) {
  const warned: string[] = [];
  const catalogue = {
    list: async ({ name }: { name: string }) => {
      const offer = offers[name];
      if (offer instanceof Error) throw offer;
      return { list: new StoredList(offer?.items ?? []), ttlMs: offer?.ttlMs ?? 0 };
    },
  };
  const upstreams = Object.keys(offers).map((name) => ({ name }));
  const around = { catalogue, warnings: { warn: (_: string, text: string) => warned.push(text) } };
  const list = await mergedList(upstreams as never, shape, { signal } as never, around as never);
  return { ...list, names: list.items.map(({ name }) => name), warned };
}

describe('mergedList', () => {
  test('all that upstreams offer, in the order of the options', async () => {
    const { names, unavailable } = await merged({
      ...{ b: { items: [item('b2'), item('b1')] }, a: { items: [item('a1')] } },
    });
    expect([names, unavailable]).toEqual([['b2', 'b1', 'a1'], []]);
  });

  test('one that fails hides no other, and is named', async () => {
    const error = new Error('x');
    const { names, unavailable } = await merged({ a: error, b: { items: [item('b1')] } });
    expect([names, unavailable]).toEqual([['b1'], [{ upstream: 'a', error }]]);
  });

  test('what is not as it was reviewed is shown to nobody', async () => {
    const items = [item('a1', { isBlocked: true }), item('a2')];
    expect((await merged({ a: { items } })).names).toEqual(['a2']);
  });

  test('of two tools with one name neither is offered, which is said', async () => {
    const { names, warned } = await merged({
      ...{ a: { items: [item('x'), item('y')] }, b: { items: [item('x')] } },
    });
    expect(names).toEqual(['y']);
    expect(warned).toEqual([
      'tool "x": offered twice, so neither is; give one of the upstreams a prefix, or the operation a name (as)',
    ]);
  });

  test('of many that clash only some are named', async () => {
    const items = [1, 2, 3, 4, 5, 6, 7].map((n) => item(`t${n}`));
    const { warned } = await merged({ a: { items }, b: { items } });
    expect(warned[0]).toContain('"t5" and 2 more: offered twice');
  });

  test('of a URI that several have the first is offered', async () => {
    const [one, other] = [item('n://a', { text: '1' }), item('n://a', { text: '2' })];
    const { items, warned } = await merged(
      { a: { items: [one] }, b: { items: [other] } },
      LISTS.resources,
    );
    expect([items, warned]).toEqual([[one], []]);
  });

  test('lives as long as the shortest that is said, and at most a minute', async () => {
    const ttlOf = async (...ttls: number[]) => {
      const all = ttls.map((ttlMs, n) => [`u${n}`, { items: [item(`t${n}`)], ttlMs }] as const);
      return (await merged(Object.fromEntries(all))).ttlMs;
    };
    expect(await ttlOf(50.7, 900)).toBe(50);
    expect(await ttlOf(0, 900)).toBe(900);
    expect(await ttlOf(10_000_000)).toBe(60_000);
    expect(await ttlOf(0)).toBe(0);
  });

  test('a caller who has gone gets nothing', async () => {
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(merged({ a: { items: [] } }, LISTS.tools, gone)).rejects.toThrow('gone');
  });
});

describe('cursors', () => {
  const items = ['a', 'b'].map((name) => item(name));

  test('lead behind the entry that they name', () => {
    expect(startOf(cursorAfter('tools', item('a')), 'tools', items)).toBe(1);
    expect(startOf(cursorAfter('tools', item('b')), 'tools', items)).toBe(2);
    expect(startOf(undefined, 'tools', items)).toBe(0);
  });

  test.each<[string, unknown]>([
    ['of another list', cursorAfter('prompts', item('a'))],
    ['of an entry that is gone', cursorAfter('tools', item('c'))],
    ['of somebody else', Buffer.from('{"k":"tools","a":5}').toString('base64url')],
    ['no JSON', 'x'],
    ['no object', Buffer.from('null').toString('base64url')],
    ['no text', 5],
  ])('%s leads nowhere', (_, cursor) => {
    expect(startOf(cursor, 'tools', items)).toBeUndefined();
  });
});
