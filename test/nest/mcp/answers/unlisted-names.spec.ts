import { expect, test } from 'vitest';
import { UnlistedNames } from '../../../../src/nest/mcp/answers/unlisted-names.js';

const list = (names: readonly string[], more: object = {}) =>
  ({ id: 1, result: { tools: names.map((name) => ({ name })), ...more } }) as const;

const watching = () =>
  new UnlistedNames([
    { kind: 'tool', name: 'a' },
    { kind: 'tool', name: 'b' },
    { kind: 'resource', name: 'x://y' },
  ]);

test('9.8: names what the first list lacks, and then stops', () => {
  const names = watching();
  expect(names.see(list(['a', 'c']))).toEqual([{ kind: 'tool', name: 'b' }]);
  expect(names.isWatching).toBe(false);
  expect(names.see(list([]))).toEqual([]);
});

test('waits for the last page', () => {
  const names = watching();
  expect(names.see(list(['a'], { nextCursor: '2' }))).toEqual([]);
  expect(names.see(list(['b']))).toEqual([]);
  expect(names.isWatching).toBe(false);
});

test.each(['', undefined, null, [], { result: null }, { result: { tools: {} } }])(
  'is not misled by %j',
  (message) => {
    const names = watching();
    expect(names.see(message)).toEqual([]);
    expect(names.isWatching).toBe(true);
  },
);

test('takes entries of any shape', () => {
  expect(watching().see({ result: { tools: [null, 1, { name: 2 }, { name: 'b' }] } })).toEqual([
    { kind: 'tool', name: 'a' },
  ]);
});
