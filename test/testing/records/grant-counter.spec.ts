import { expect, it } from 'vitest';
import { GrantCounter } from '../../../src/testing/records/grant-counter.js';

it('counts requests by grant type, whatever clients call it, until it is reset', () => {
  const counter = new GrantCounter();
  for (const name of ['a', 'b', 'a', '__proto__', 'constructor']) counter.add(name);
  const before = counter.snapshot();
  expect(Object.entries(before)).toEqual([
    ['a', 2],
    ['b', 1],
    ['__proto__', 1],
    ['constructor', 1],
  ]);
  counter.reset();
  expect([counter.snapshot(), before['a']]).toEqual([{}, 2]);
});
