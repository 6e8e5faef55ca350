import { describe, expect, it } from 'vitest';
import { SharedValues } from '../../../src/core/token/shared-values.js';

const copyOf = (text: string) => Buffer.from(text).toString();

describe('13.4: SharedValues', () => {
  it('give one frozen list for equal ones', () => {
    const values = new SharedValues();
    const list = values.list(['a', 'b']);
    expect(values.list([copyOf('a'), copyOf('b')])).toBe(list);
    expect(values.list([])).toBe(values.list([]));
    expect(list).toEqual(['a', 'b']);
    expect([Object.isFrozen(list), Object.isFrozen(values.list([]))]).toEqual([true, true]);
    expect(values.list(list)).toBe(list);
    const own = ['x'];
    expect(values.list(own)).not.toBe(own); // nobody can change it any more
    expect(values.list(['a,b'])).not.toBe(list);
    expect(values.list(['b', 'a'])).toEqual(['b', 'a']);
  });

  it('split a text once, on blanks alone, and name each word once', () => {
    const values = new SharedValues();
    const words = values.words(' a  b a\tc ');
    expect(words).toEqual(['a', 'b', 'a\tc']);
    expect(values.words(copyOf(' a  b a\tc '))).toBe(words);
    expect(values.words('')).toEqual([]);
    expect(values.only('a')).toEqual(['a']);
    expect(values.only(copyOf('a'))).toBe(values.only('a'));
    expect([Object.isFrozen(words), Object.isFrozen(values.only('a'))]).toEqual([true, true]);
  });

  it('leave claims as they are, whatever they are', () => {
    const values = new SharedValues();
    const claims = JSON.parse(
      '{"iss":"i","client_id":1,"scope":["a"],"__proto__":{"agent_id":"x"},"sub":"s"}',
    ) as Record<string, unknown>;
    const before = JSON.stringify(claims);
    values.shareIn(claims);
    expect(JSON.stringify(claims)).toBe(before);
    expect(Object.hasOwn(claims, 'agent_id')).toBe(false);
  });

  it('are shared by what tokens have said before', () => {
    const values = new SharedValues();
    const read = () => JSON.parse('{"aud":["a","b"],"agent_chain":["x"],"iss":"i","groups":["g"]}');
    const [one, other] = [read(), read()] as Record<string, unknown>[];
    for (const claims of [one, other]) values.shareIn(claims ?? {});
    expect(one).toEqual(read());
    expect(one?.['aud']).toBe(other?.['aud']);
    expect(one?.['agent_chain']).toBe(other?.['agent_chain']);
    expect(one?.['groups']).not.toBe(other?.['groups']);
  });

  it('are bounded, and long ones are not kept', () => {
    const values = new SharedValues();
    const long = 'x'.repeat(2000);
    expect(values.text(long)).toBe(long);
    for (let i = 0; i < 12_000; i++) expect(values.list([`text-${i}`])).toEqual([`text-${i}`]);
    expect(values.text('text-1')).toBe('text-1');
  });
});
