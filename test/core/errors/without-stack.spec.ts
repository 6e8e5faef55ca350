import { expect, test } from 'vitest';
import { withoutStack } from '../../../src/core/errors/without-stack.js';

test('an error without a stack, and all others have theirs', () => {
  const limit = Error.stackTraceLimit;
  expect(withoutStack(() => new RangeError('short')).stack).toBe('RangeError: short');
  const fail = () => {
    throw new Error('not made');
  };
  expect(() => withoutStack(fail)).toThrow('not made');
  expect(Error.stackTraceLimit).toBe(limit);
  expect(new Error('long').stack).toContain('without-stack.spec');
});
