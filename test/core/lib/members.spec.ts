import { describe, expect, it } from 'vitest';
import { isJsonObject, member, putMember, textOf } from '../../../src/core/lib/members.js';

describe('members of what came from outside', () => {
  it('an own member, and nothing that the prototype has', () => {
    const object = JSON.parse('{"a":1,"__proto__":2}') as Record<string, unknown>;
    expect(member(object, 'a')).toBe(1);
    expect(member(object, '__proto__')).toBe(2);
    for (const name of ['constructor', 'toString', 'b']) {
      expect(member(object, name)).toBeUndefined();
    }
  });

  it.each([[null], [[]], ['text'], [1], [undefined]])('%j is no JSON object', (value) => {
    expect(isJsonObject(value)).toBe(false);
  });

  it('what is put there is a member like any other', () => {
    const target: { name?: () => number } = {};
    putMember(target, 'name', () => 1);
    expect([Object.keys(target), target.name?.()]).toEqual([['name'], 1]);
  });

  it('a text is itself, anything else is none', () => {
    expect(['', 'a', 1, null, ['a']].map(textOf)).toEqual([
      '',
      'a',
      undefined,
      undefined,
      undefined,
    ]);
  });
});
