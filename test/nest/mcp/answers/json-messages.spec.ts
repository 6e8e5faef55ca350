import { expect, it } from 'vitest';
import { rewritten } from '../../../../src/nest/mcp/answers/json-messages.js';

const spaced = '{ "id" : 1 }';
const without = (id: number) => (message: unknown) =>
  (message as { id: number }).id === id ? undefined : message;

it.each([spaced, `[${spaced}]`, '[]', 'no json', '', '\ufeff{"id":1}'])(
  '%j that stays as it is keeps its very text',
  (text) => {
    expect(rewritten(text, (message) => message)).toBe(text);
  },
);

it('a message is replaced, or taken away', () => {
  expect(rewritten(spaced, () => ({ id: 2 }))).toBe('{"id":2}');
  expect(rewritten(spaced, without(1))).toBeUndefined();
});

it('of a batch only the message that is taken away is missing', () => {
  expect(rewritten(`[${spaced},{"id":2}]`, without(1))).toBe('[{"id":2}]');
});

it('a byte order mark hides nothing', () => {
  expect(rewritten(`\ufeff${spaced}`, without(1))).toBeUndefined();
});
