import { expect, test } from 'vitest';
import { InvalidRequestError } from '../../../src/core/errors/request-errors.js';
import { paramsForRule } from '../../../src/core/mcp/rule-params.js';

test('12.3: a rule gets its own arguments, names of prototypes included', () => {
  const sent: unknown = JSON.parse(
    '{"name":"x","arguments":{"tags":["b","a"],"__proto__":{"y":1}}}',
  );
  const copy = paramsForRule(sent) as { arguments: { tags: string[] } };
  expect(copy).toEqual(sent);
  copy.arguments.tags.sort();
  expect(sent).toMatchObject({ arguments: { tags: ['b', 'a'] } });
  expect(Object.getPrototypeOf(copy.arguments)).toBe(Object.prototype);
  expect([undefined, null, 'text', 1].map(paramsForRule)).toEqual([undefined, null, 'text', 1]);
});

test('12.3: what is nested without end is no fault of the server', () => {
  const sent: unknown = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
  expect(() => paramsForRule(sent)).toThrow(InvalidRequestError);
});
