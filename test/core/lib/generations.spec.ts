import { describe, expect, it } from 'vitest';
import { Generations } from '../../../src/core/lib/generations.js';

/** Names given to a memory of two generations of three. */
function filled(...keys: readonly string[]): Generations<string> {
  const generations = new Generations<string>(3);
  for (const key of keys) generations.set(key, key.toUpperCase());
  return generations;
}

const keysOf = (generations: Generations<string>) => [...generations].map(([key]) => key).sort();

describe('Generations', () => {
  it('forgets the old generation when the young one is full', () => {
    const generations = filled('a', 'b', 'c', 'd', 'e', 'f');
    expect(keysOf(generations)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    generations.set('g', 'G');
    expect(keysOf(generations)).toEqual(['d', 'e', 'f', 'g']);
    expect(generations.get('a')).toBeUndefined();
  });

  it('keeps what is used', () => {
    const generations = filled('a', 'b', 'c', 'd');
    expect([generations.isYoung('a'), generations.get('a')]).toEqual([false, 'A']);
    expect(generations.isYoung('a')).toBe(true);
    for (const key of ['e', 'f', 'g']) generations.set(key, key);
    expect(generations.get('a')).toBe('A');
  });

  it('an entry that moved or was set again counts once, with its last value', () => {
    const generations = filled('a', 'b', 'c', 'd');
    generations.get('a');
    generations.set('b', 'new');
    expect(generations.size).toBe(4);
    expect(new Map(generations)).toEqual(
      new Map(Object.entries({ a: 'A', b: 'new', c: 'C', d: 'D' })),
    );
  });

  describe('10.11d: with weights', () => {
    const heavy = () =>
      new Generations<number>(100, { weights: { of: (weight) => weight, max: 10 } });

    it('what one generation weighs is bounded as well', () => {
      const generations = heavy();
      for (const key of ['a', 'b', 'c']) generations.set(key, 4);
      expect([generations.isYoung('a'), generations.isYoung('c')]).toEqual([false, true]);
      for (const key of ['d', 'e']) generations.set(key, 4);
      expect(keysOf(generations as never)).toEqual(['c', 'd', 'e']);
    });

    it('what is replaced, deleted or moved weighs no more where it was', () => {
      const generations = heavy();
      for (let i = 0; i < 9; i++) generations.set('a', 9);
      generations.delete('a');
      generations.set('b', 9);
      expect([generations.size, generations.isYoung('b')]).toEqual([1, true]);
      generations.set('c', 9);
      expect(generations.get('b')).toBe(9);
      expect([generations.size, generations.isYoung('b')]).toEqual([2, true]);
    });

    it('one that is too heavy stands alone', () => {
      const generations = heavy();
      generations.set('a', 1000);
      generations.set('b', 1);
      generations.set('c', 1000);
      expect(generations.size).toBe(2);
    });
  });

  describe('10.14c: with tags', () => {
    const tagged = () => new Generations<string[]>(2, { tags: (value) => value });

    it('finds entries by them, in both generations, and counts that as no use', () => {
      const entries = tagged();
      entries.set('a', ['x', 'y']);
      entries.set('b', ['y']);
      entries.set('c', ['y']);
      expect(entries.tagged('y').sort()).toEqual(['a', 'b', 'c']);
      expect([entries.tagged('x'), entries.tagged('z')]).toEqual([['a'], []]);
      expect([entries.peek('a'), entries.isYoung('a')]).toEqual([['x', 'y'], false]);
    });

    it('forgets the tags of what is deleted, replaced, moved or forgotten', () => {
      const entries = tagged();
      entries.set('a', ['x']);
      entries.set('a', ['y']);
      expect([entries.tagged('x'), entries.tagged('y')]).toEqual([[], ['a']]);
      entries.set('b', ['y']);
      entries.set('c', ['z']);
      entries.get('a');
      expect(entries.tagged('y').sort()).toEqual(['a', 'b']);
      entries.delete('a');
      entries.delete('b');
      expect(entries.tagged('y')).toEqual([]);
      for (const key of ['d', 'e', 'f', 'g']) entries.set(key, ['w']);
      expect([entries.tagged('z'), entries.tagged('w').length]).toEqual([[], entries.size]);
    });
  });

  it('deletes, also while it is gone through', () => {
    const generations = filled('a', 'b', 'c', 'd');
    generations.get('a');
    generations.delete('a');
    expect(generations.get('a')).toBeUndefined();
    for (const [key] of generations) generations.delete(key);
    expect(generations.size).toBe(0);
  });
});
