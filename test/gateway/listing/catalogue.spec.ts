import { beforeEach, describe, expect, test } from 'vitest';
import type { UpstreamOptions } from 'authplane-nestjs/gateway';
import { Catalogue, type ListEntry } from '../../../src/gateway/listing/catalogue.js';
import { LISTS } from '../../../src/gateway/listing/list-kinds.js';
import type { RawList } from '../../../src/gateway/listing/list-reader.js';
import type { Upstream } from '../../../src/gateway/upstream/upstream.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

const ann = askingAs('ann', { scopes: ['a', 'b'] });
const bob = askingAs('bob');

/** Which tools an upstream has, and what it says about keeping them. */
function tools(names: readonly string[], more: Partial<RawList> = {}): RawList {
  const entries = names.map((name) => ({ name }));
  return { entries, ttlMs: undefined, scope: undefined, cutShort: undefined, ...more };
}

describe('14.C: Catalogue', () => {
  let clock: ManualClock;
  let warned: string[];
  let answer: () => Promise<RawList>;
  let read: number;
  let catalogue: Catalogue;
  let upstream: Upstream;
  beforeEach(() => {
    [clock, warned, read] = [new ManualClock(), [], 0];
    answer = async () => tools(['list']);
    catalogue = catalogueWith();
    upstream = upstreamWith();
  });

  function catalogueWith(pins?: ConstructorParameters<typeof Catalogue>[3]): Catalogue {
    const reading = () => (read++, answer());
    const warnings = { warn: (_: string, text: string) => warned.push(text) };
    return new Catalogue(reading, clock, warnings as never, pins);
  }
  const upstreamWith = (options: Partial<UpstreamOptions> = {}) =>
    upstreamAt('http://127.0.0.1:9/mcp', { prefix: false, ...options });
  const list = (reader = ann, of = upstream) => catalogue.list(of, LISTS.tools, reader);
  const namesIn = (entry: Pick<ListEntry, 'list'>) => entry.list.items.map(({ name }) => name);
  const unreachable = (status = 500) => upstream.error('upstream_failed', 'is away', { status });

  test('a list is kept as long as the upstream says, else a minute, and never over ten', async () => {
    for (const [ttlMs, kept] of [
      [5000, 5],
      [undefined, 60],
      [86_400_000, 600],
    ] as const) {
      answer = async () => tools(['list'], { ttlMs });
      catalogue.forget(upstream);
      await list();
      const before = read;
      clock.advance(kept - 1);
      await list();
      expect(read).toBe(before);
      clock.advance(2);
      await list();
      expect(read).toBe(before + 1);
    }
  });

  test('a public one is read once for all, a private one for each caller and set of scopes', async () => {
    answer = async () => tools(['list'], { scope: 'public' });
    const everybody = [ann, bob, askingAs('ann', { scopes: ['b', 'a'] }), askingAs('ann')];
    for (const reader of everybody) await list(reader);
    expect(read).toBe(1);
    const own = upstreamWith({ listsAre: 'private' }); // whatever it says
    for (const reader of everybody) await list(reader, own);
    expect(read).toBe(1 + 3);
  });

  test('what clients declare tells the lists of older upstreams apart', async () => {
    await list();
    const declared = [{}, { sampling: {} }, { sampling: { tools: {} } }, { sampling: {} }];
    for (const capabilities of declared) await list({ ...ann, capabilities } as never);
    expect(read).toBe(3); // every member counts: a server may offer something for it
  });

  test('many who ask at once wait for one answer, if it turns out to be for all', async () => {
    answer = async () => tools(['list'], { scope: 'public' });
    await Promise.all([ann, bob, ann, askingAs('eve')].map((reader) => list(reader)));
    expect(read).toBe(1);
    answer = async () => tools(['list'], { scope: 'private' });
    const other = upstreamWith();
    await Promise.all([ann, bob, ann].map((reader) => list(reader, other)));
    expect(read).toBe(1 + 2);
  });

  test('the same bytes are kept once, whoever has read them', async () => {
    const [one, two] = [await list(ann), await list(bob)];
    expect(two).not.toBe(one);
    expect(two.list).toBe(one.list);
  });

  test('one that fails is shown as it was, for ten minutes', async () => {
    answer = async () => tools(['list'], { ttlMs: 0 });
    await list();
    answer = () => Promise.reject(unreachable());
    clock.advance(599);
    expect(namesIn(await list())).toEqual(['list']);
    clock.advance(10);
    await expect(list()).rejects.toThrow('is away');
  });

  test('an outage is everybody’s for five seconds, a refusal is of one caller', async () => {
    answer = () => Promise.reject(unreachable());
    for (const reader of [ann, bob]) await expect(list(reader)).rejects.toThrow('is away');
    expect(read).toBe(1);
    clock.advance(6);
    await expect(list(bob)).rejects.toThrow('is away');
    expect(read).toBe(2);
    clock.advance(6);
    answer = () => Promise.reject(unreachable(403));
    for (const reader of [ann, bob]) await expect(list(reader)).rejects.toThrow('is away');
    expect(read).toBe(4);
  });

  test('one that takes too long has timed out, and whoever goes away waits for nothing', async () => {
    const slow = upstreamWith({ listTimeoutMs: 1 });
    const gone = new AbortController();
    gone.abort(new Error('gone'));
    catalogue = new Catalogue(
      (_upstream, _shape, { signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      clock,
      { warn: () => undefined } as never,
    );
    const leading = list(ann, slow);
    const leaving = list(askingAs('bob', { signal: gone.signal }), slow);
    await expect(leading).rejects.toMatchObject({ code: 'upstream_timeout', maybeExecuted: true });
    await expect(leaving).rejects.toThrow('gone');
  });

  test('a name is looked for in an old list, and anew where it is missing, but not by every nonsense', async () => {
    const find = (name: string) =>
      catalogue.listFor(upstream, LISTS.tools, ann, (known) => known.find(name) === undefined);
    await find('list');
    clock.advance(500); // no longer fresh
    await find('list');
    expect(read).toBe(1);
    answer = async () => tools(['list', 'new']);
    expect((await find('new')).find('new')).toBeDefined();
    for (let times = 0; times < 5; times++) await find('nonsense');
    expect(read).toBe(2);
  });

  test('what is forgotten is read anew, failures included; other kinds and upstreams stay', async () => {
    const other = upstreamWith();
    await list();
    await list(ann, other);
    await catalogue.list(upstream, LISTS.prompts, ann);
    expect(read).toBe(3);
    catalogue.forget(upstream, LISTS.tools);
    await catalogue.list(upstream, LISTS.prompts, ann);
    await list(ann, other);
    expect(read).toBe(3);
    answer = () => Promise.reject(unreachable());
    await expect(list()).rejects.toThrow('is away');
    catalogue.forget(upstream);
    answer = async () => tools(['list']);
    expect(namesIn(await list())).toEqual(['list']);
  });

  test('the newest is that of whoever has read last', async () => {
    expect(catalogue.newest(upstream, LISTS.tools)).toBeUndefined();
    await list(ann);
    clock.advance(1);
    answer = async () => tools(['list', 'new']);
    const newest = await list(bob);
    expect(catalogue.newest(upstream, LISTS.tools)).toBe(newest);
  });

  test('says when a list was cut short, and which tools are not those that were reviewed', async () => {
    answer = async () => tools(['list'], { cutShort: 'more than 64 pages' });
    await list();
    expect(warned).toEqual([expect.stringContaining('tools/list was cut short: more than 64')]);
    catalogue = catalogueWith({ version: 1, tools: { cal: { list: 'another digest' } } });
    const entry = await list(ann, upstreamWith({ pin: 'block' }));
    expect(entry.list.items[0]?.isBlocked).toBe(true);
    expect(warned[2]).toMatch(/"?list"? is not the one that was reviewed; it is blocked/);
    const shown = await list(ann, upstreamWith({ pin: 'warn' }));
    expect(shown.list.items[0]?.isBlocked).toBe(false);
  });
});
