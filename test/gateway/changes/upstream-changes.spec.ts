import { expect, test } from 'vitest';
import { noteChange, pauseAfter } from '../../../src/gateway/changes/upstream-changes.js';

test.each([
  ['notifications/tools/list_changed', ['tools'], true],
  ['notifications/resources/list_changed', ['resources', 'resourceTemplates'], true],
  ['notifications/resources/updated', [], false],
  ['notifications/message', [], false],
])('after %s the lists %j are read anew', (method, kinds, isChange) => {
  const forgotten: string[] = [];
  const catalogue = { forget: (_: unknown, { kind }: { kind: string }) => forgotten.push(kind) };
  expect(noteChange({} as never, method, { catalogue } as never)).toBe(isChange);
  expect(forgotten).toEqual(kinds);
});

test('pauses get longer, up to half a minute', () => {
  expect([0, 1, 2, 4, 5, 6, 1000].map(pauseAfter)).toEqual([
    ...[1000, 2000, 4000, 16_000, 30_000, 30_000, 30_000],
  ]);
});
