import { beforeEach, describe, expect, test } from 'vitest';
import type { UpstreamOptions } from 'authplane-nestjs/gateway';
import { Catalogue, type ListReader } from '../../../src/gateway/listing/catalogue.js';
import { RoutingTable } from '../../../src/gateway/listing/routing-table.js';
import type { Upstream } from '../../../src/gateway/upstream/upstream.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

type Entries = Readonly<Record<string, string | undefined>>;

describe('RoutingTable', () => {
  /** What each upstream lists of each kind, or why it does not. */
  let lists: Map<Upstream, Entries | Error>;
  let asked: string[];
  let clock: ManualClock;
  let table: RoutingTable;
  beforeEach(() => {
    [lists, asked, clock] = [new Map(), [], new ManualClock()];
    const read = async (upstream: Upstream, { kind, id }: { kind: string; id: string }) => {
      asked.push(kind);
      const listed = lists.get(upstream);
      if (listed instanceof Error) throw listed;
      const entries = (listed?.[kind] ?? '').split(' ').map((name) => ({ [id]: name }));
      return { entries, ttlMs: undefined, scope: undefined, cutShort: undefined };
    };
    const warnings = { warn: () => undefined };
    const catalogue = new Catalogue(read, clock, warnings as never);
    table = new RoutingTable(() => [...lists.keys()], catalogue);
  });
  const add = (listed: Entries | Error, options: Partial<UpstreamOptions> = {}) => {
    const upstream = upstreamAt('http://127.0.0.1:9/mcp', { prefix: false, ...options });
    lists.set(upstream, listed);
    return upstream;
  };
  /** For so long that nobody knows its lists any more. */
  const away = (upstream: Upstream) => {
    clock.advance(601);
    lists.set(upstream, upstream.error('upstream_failed', 'is away', {}));
    return upstream;
  };
  const reader: ListReader = askingAs();

  test('a name leads to the one upstream that lists it, under its own name', async () => {
    const one = add({ tools: 'list write', prompts: 'plan' }, { prefix: 'one' });
    const two = add({ tools: 'list' });
    expect(await table.named('tools', 'one__list', reader)).toMatchObject({
      ...{ upstream: one, item: { own: 'list' } },
    });
    expect((await table.named('tools', 'list', reader))?.upstream).toBe(two);
    expect((await table.named('prompts', 'one__plan', reader))?.item.own).toBe('plan');
    for (const name of ['one__plan', 'two__list', 'one__', '', '\ufdd0'])
      expect(await table.named('tools', name, reader)).toBeUndefined();
  });

  test('a name that two have leads nowhere', async () => {
    add({ tools: 'same' });
    add({ tools: 'same' });
    expect(await table.named('tools', 'same', reader)).toBeUndefined();
  });

  test('whoever cannot have it is not asked; whoever might and is away is why it is not found', async () => {
    add({ tools: 'list' }, { prefix: 'one' });
    away(add({}, { prefix: 'two' }));
    const routes: string[] = [];
    const told = { ...reader, onRoute: (upstream: string) => routes.push(upstream) };
    expect(await table.named('tools', 'one__nope', told)).toBeUndefined();
    expect([asked, routes]).toEqual([['tools'], []]);
    await expect(table.named('tools', 'two__list', told)).rejects.toThrow('is away');
    expect(routes).toEqual(['cal']);
  });

  test('14.5: nobody waits for an upstream without a prefix, unless no other has the name', async () => {
    const one = add({ tools: 'list', resources: 'x://a' }, { prefix: 'one' });
    const bare = add({ tools: 'list other', resources: 'x://b' });
    expect((await table.named('tools', 'one__list', reader))?.upstream).toBe(one);
    expect(asked).toEqual(['tools']); // cold: only the one with the prefix
    expect((await table.named('tools', 'other', reader))?.upstream).toBe(bare);
    expect((await table.resource('x://a', reader))?.upstream).toBe(one);
    asked.length = 0;
    clock.advance(60); // whatever is not in a list could be in a newer one
    lists.set(bare, bare.error('upstream_timeout', 'hangs', {}));
    for (let times = 0; times < 3; times++) {
      clock.advance(6);
      expect((await table.named('tools', 'one__list', reader))?.upstream).toBe(one);
      expect((await table.named('tools', 'list', reader))?.upstream).toBe(bare);
      expect((await table.resource('x://a', reader))?.upstream).toBe(one);
    }
    expect(asked).toEqual([]);
    expect(await table.named('tools', 'nope', reader)).toBeUndefined();
    expect(asked).toEqual(['tools']);
  });

  test('a name with the prefix of another, of one without, leads nowhere', async () => {
    add({ tools: 'list' }, { prefix: 'one' });
    add({ tools: 'one__list mine' });
    await table.named('tools', 'mine', reader);
    expect(await table.named('tools', 'one__list', reader)).toBeUndefined();
  });

  test('a tool that is not the reviewed one is there, and is not called', async () => {
    add({ tools: 'list' }, { pin: 'block' });
    await expect(table.named('tools', 'list', reader)).rejects.toMatchObject({
      ...{ code: 'upstream_unavailable', maybeExecuted: false },
    });
  });

  test('a URI leads to the first that lists it, else to the first with a template for it', async () => {
    const one = add({ resourceTemplates: 'cal://{day}' });
    const two = add({ resources: 'cal://today cal://other', resourceTemplates: 'cal://{day}' });
    const other = add({ resources: 'cal://today' });
    expect((await table.resource('cal://today', reader))?.upstream).toBe(two);
    expect(await table.resource('cal://friday', reader)).toMatchObject({
      ...{ upstream: one, item: { name: 'cal://friday', own: 'cal://friday' } },
    });
    expect(await table.resource('mail://1', reader)).toBeUndefined();
    away(other);
    expect((await table.resource('cal://other', reader))?.upstream).toBe(two);
    away(one);
    await expect(table.resource('mail://2', reader)).rejects.toThrow('is away');
  });

  test('a URI that rules do not offer is looked for with nobody', async () => {
    add({ resources: 'cal://secret' }, { resources: { 'cal://secret': false } });
    expect(await table.resource('cal://secret', reader)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  test('a template is found by its text, for completions', async () => {
    const one = add({ resourceTemplates: 'cal://{day}', resources: 'cal://today' });
    for (const text of ['cal://{day}', 'cal://today'])
      expect((await table.template(text, reader))?.upstream).toBe(one);
    expect(await table.template('cal://friday', reader)).toBeUndefined();
    away(one);
    await expect(table.template('mail://{id}', reader)).rejects.toThrow('is away');
  });
});
