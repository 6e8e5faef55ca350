import { describe, expect, test } from 'vitest';
import { inspect } from 'node:util';
import { hiddenMember } from '../../../src/nest/http/hidden-member.js';

describe('13.2: a member that nobody else sees', () => {
  const one = hiddenMember<string>();
  const other = hiddenMember<string>();

  test('13.2: is there once it was set, and may be set again', () => {
    const target = {};
    expect(one.get(target)).toBeUndefined();
    one.set(target, 'first');
    one.set(target, 'second');
    expect(one.get(target)).toBe('second');
    expect(other.get(target)).toBeUndefined();
  });

  test('13.2: is in no listing, print, copy or heir, and nobody can put one there', () => {
    const target: Record<PropertyKey, unknown> = { seen: 1 };
    one.set(target, 'a secret');
    expect(Reflect.ownKeys(target)).toEqual(['seen']);
    expect(inspect(target, { showHidden: true, depth: 9 }) + JSON.stringify(target)).not.toContain(
      'secret',
    );
    for (const copy of [{ ...target }, Object.create(target) as object, new Proxy(target, {})]) {
      expect(one.get(copy)).toBeUndefined();
    }
    expect(one.get({ value: 'x', '#value': 'x' })).toBeUndefined();
  });

  test('13.2: also on what takes no other members', () => {
    const frozen = Object.freeze({});
    one.set(frozen, 'there');
    expect(one.get(frozen)).toBe('there');
  });
});
