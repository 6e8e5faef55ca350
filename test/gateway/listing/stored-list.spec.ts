import { describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { LISTS } from '../../../src/gateway/listing/list-kinds.js';
import {
  type Item,
  legacyText,
  StoredList,
  storedList,
} from '../../../src/gateway/listing/stored-list.js';
import { UpstreamNames } from '../../../src/gateway/names/upstream-names.js';
import { resolveUpstream } from '../../../src/gateway/options/upstream-options.js';

const item = (name: string, more: Partial<Item> = {}) =>
  ({ name, own: name, text: `{"name":"${name}"}`, isBlocked: false, ...more }) as Item;

describe('StoredList', () => {
  test('finds what is offered by its name; of two with one name neither', () => {
    const [a, b] = [item('a'), item('b')];
    const list = new StoredList([a, b, item('b'), item('b')]);
    expect([list.find('a'), list.find('b'), list.find('c')]).toEqual([a, undefined, undefined]);
  });

  test('finds the first template that a URI may be an expansion of', () => {
    const [one, other] = [item('notes://{id}'), item('mail://{id}')];
    const list = new StoredList([one, other]);
    expect(list.matching('notes://5')).toBe(one);
    expect(list.matching('mail://5')).toBe(other);
    expect(list.matching('note://5')).toBeUndefined();
  });

  test('tells one list from another, and how large it is', () => {
    const digests = [
      new StoredList([item('a')]),
      new StoredList([item('a', { text: '{}' })]),
      new StoredList([item('a', { own: 'x' })]),
      new StoredList([item('a', { isBlocked: true })]),
      new StoredList([item('a'), item('b')]),
      new StoredList([]),
    ].map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(digests.length);
    expect(new StoredList([item('a')]).digest).toBe(digests[0]);
    expect(new StoredList([item('a'), item('b')]).bytes).toBe(24);
  });
});

describe('storedList', () => {
  const names = new UpstreamNames(
    resolveUpstream('cal', {
      ...{ url: 'https://cal.example.com/mcp', token: none(), prefix: 'cal' },
      tools: { secret: false, list: { description: 'ours' }, write: { as: 'book' } },
      resources: { 'cal://private': false },
    }),
    64,
  );
  const listed = (shape: keyof typeof LISTS, entries: object[]) =>
    storedList({ entries } as never, LISTS[shape], names, (entry) => entry['changed'] === true);
  const shown = (list: StoredList) => list.items.map(({ text }) => JSON.parse(text) as object);

  test('names and texts are those of the gateway, the rest that of the upstream', () => {
    const day = { type: 'string', 'x-mcp-header': 'Day' };
    const more = {
      inputSchema: { type: 'object', properties: { day } },
      _meta: { ui: { resourceUri: 'ui://cal/board' } }, // of MCP Apps
      unheardOf: [1.5, null],
    };
    const list = listed('tools', [
      { name: 'list', description: 'theirs', inputSchema: {} },
      { name: 'write', title: 'Write', ...more },
    ]);
    const exposed = names.tools.offer('list').name;
    expect(exposed).not.toBe('list');
    expect(shown(list)).toEqual([
      { name: exposed, description: 'ours', inputSchema: {} },
      { name: 'book', title: 'Write', ...more },
    ]);
    expect(list.find('book')?.own).toBe('write');
  });

  test('what rules refuse is left out, and so is a name that the guard uses for what is hidden', () => {
    const entries = ['secret', 'li\ufdd0t', 'open'].map((name) => ({ name }));
    expect(listed('tools', entries).items.map(({ own }) => own)).toEqual(['open']);
    const resources = [{ uri: 'cal://private' }, { uri: 'cal://a', name: 'a' }];
    expect(shown(listed('resources', resources))).toEqual([{ uri: 'cal://a', name: 'a' }]);
  });

  test('what is not as it was reviewed is marked', () => {
    const list = listed('tools', [{ name: 'a', changed: true }, { name: 'b' }]);
    expect(list.items.map(({ isBlocked }) => isBlocked)).toEqual([true, false]);
  });
});

test('14.2 tasks: how a tool may be run is said to clients of 2025-11-25 alone', () => {
  const entries = [{ name: 'a', execution: { taskSupport: 'required' } }, { name: 'b' }];
  const raw = { entries, ttlMs: undefined, scope: undefined, cutShort: undefined };
  const names = {
    tools: { offer: (name: string) => ({ name, verdict: { isOffered: true } }) },
  } as never;
  const [a, b] = storedList(raw, LISTS.tools, names).items;
  expect([a!.text, legacyText(a!), legacyText(b!)]).toEqual([
    '{"name":"a"}',
    '{"name":"a","execution":{"taskSupport":"required"}}',
    '{"name":"b"}',
  ]);
  const everyTool = { execution: { taskSupport: 'optional' } };
  const [, every] = storedList({ ...raw, everyTool }, LISTS.tools, names).items;
  expect(legacyText(every!)).toBe('{"name":"b","execution":{"taskSupport":"optional"}}');
});
