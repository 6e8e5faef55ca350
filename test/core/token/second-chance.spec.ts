import { describe, expect, it } from 'vitest';
import { SecondChance } from '../../../src/core/token/second-chance.js';

const entry = (weight = 1) => ({ isUsed: false, weight });
const keysOf = (memory: SecondChance<ReturnType<typeof entry>>) => [...memory].map(([key]) => key);

function filled(...keys: string[]) {
  const memory = new SecondChance<ReturnType<typeof entry>>(3);
  for (const key of keys) memory.set(key, entry());
  return memory;
}

describe('SecondChance', () => {
  it('forgets what came first', () => {
    expect(keysOf(filled('a', 'b', 'c', 'd', 'e'))).toEqual(['c', 'd', 'e']);
  });

  it('and not what was asked for since, once', () => {
    const memory = filled('a', 'b', 'c');
    memory.get('a');
    memory.set('d', entry());
    expect(keysOf(memory)).toEqual(['c', 'a', 'd']);
    memory.set('e', entry());
    memory.set('f', entry());
    expect(keysOf(memory)).toEqual(['d', 'e', 'f']);
  });

  it('takes the oldest when all were asked for', () => {
    const memory = filled('a', 'b', 'c');
    for (const key of ['a', 'b', 'c']) memory.get(key);
    memory.set('d', entry());
    expect(keysOf(memory)).toEqual(['b', 'c', 'd']);
  });

  it('looks at no more than a few for one that comes', () => {
    const memory = new SecondChance<ReturnType<typeof entry>>(1000);
    for (let i = 0; i < 1000; i++) memory.set(`x${i}`, entry());
    for (let i = 0; i < 1000; i++) memory.get(`x${i}`);
    memory.set('new', entry());
    expect([memory.size, memory.get('x16'), memory.get('x17')]).toEqual([
      1000,
      undefined,
      expect.anything(),
    ]);
  });

  it('puts a later value in the place of an earlier one', () => {
    const memory = filled('a', 'a');
    expect(memory.size).toBe(1);
  });

  it('goes on after it was empty', () => {
    const memory = filled('a', 'b', 'c', 'd');
    for (const key of ['b', 'c', 'd', 'unknown']) memory.delete(key);
    expect(memory.size).toBe(0);
    for (const key of ['e', 'f', 'g', 'h', 'i']) memory.set(key, entry());
    expect(keysOf(memory)).toEqual(['g', 'h', 'i']);
  });

  it('is bounded by what its entries weigh, too', () => {
    const memory = new SecondChance<ReturnType<typeof entry>>(10, 10);
    for (const key of ['a', 'b', 'c']) memory.set(key, entry(4));
    expect(keysOf(memory)).toEqual(['b', 'c']);
    memory.set('d', entry(10));
    expect(keysOf(memory)).toEqual(['d']);
    memory.set('e', entry(11));
    expect(keysOf(memory)).toEqual(['d']);
  });

  it('of no entries keeps none', () => {
    const memory = new SecondChance<ReturnType<typeof entry>>(0);
    memory.set('a', entry());
    expect([memory.size, memory.get('a')]).toEqual([0, undefined]);
  });

  it('knows no names of built-in members', () => {
    expect(filled().get('constructor')).toBeUndefined();
  });
});
