import { expect, test } from 'vitest';
import { LISTS, listShapeOf } from '../../../src/gateway/listing/list-kinds.js';

test.each([
  ['tools/list', LISTS.tools],
  ['prompts/list', LISTS.prompts],
  ['resources/list', LISTS.resources],
  ['resources/templates/list', LISTS.resourceTemplates],
])('%s lists %o', (method, shape) => {
  expect(listShapeOf(method)).toBe(shape);
  expect(shape.method).toBe(method);
});

test.each(['tools/call', 'tasks/list', 'TOOLS/LIST', ''])('%j lists nothing', (method) => {
  expect(listShapeOf(method)).toBeUndefined();
});

test('each kind is known by its name', () => {
  expect(Object.entries(LISTS).filter(([name, { kind }]) => name !== kind)).toEqual([]);
});
