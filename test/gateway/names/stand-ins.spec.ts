import { expect, test } from 'vitest';
import { isStandIn } from '../../../src/gateway/names/stand-ins.js';
import { HiddenNames } from '../../../src/nest/mcp/answers/hidden-names.js';

test.each(['\ufdd0', '\ufdef', 'calend\ufdd1r', 'notes://a/\ufde9'])('%j is one', (name) => {
  expect(isStandIn(name)).toBe(true);
});

test.each(['', 'calendar', 'notes://a/b', '\ufdcf', '\ufdf0', 'é', '😀'])('%j is none', (name) => {
  expect(isStandIn(name)).toBe(false);
});

test('what the guard asks for in place of a hidden tool is one', () => {
  expect(isStandIn(new HiddenNames().standInFor({ kind: 'tool', name: 'calendar' }))).toBe(true);
});
