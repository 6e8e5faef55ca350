import { describe, expect, it } from 'vitest';
import {
  count,
  firstProblem,
  mapOf,
  nested,
  oneOf,
  orFalse,
  pauses,
  problemsOf,
  seconds,
  switchOr,
  textListProblem,
  textProblem,
} from '../../../src/core/lib/option-checks.js';

const checks = { name: textProblem, ttlSeconds: seconds(1, 60) };

describe('checks', () => {
  it('an option that is undefined was left out; null was not', () => {
    expect(problemsOf({ name: undefined }, checks, false)).toEqual([]);
    expect(problemsOf({ name: null }, checks, false)).toEqual(['name: must be a string']);
  });

  it.each(['constructor', 'toString', 'nam'])('%s is unknown', (name) => {
    expect(problemsOf({ [name]: 'x' }, checks, false)).toEqual([`${name}: unknown option`]);
  });

  it.each(['ttl_seconds', 'TTLSeconds', 'TTL_SECONDS'])('%s is nearly known', (name) => {
    expect(problemsOf({ [name]: 5 }, checks, false)).toEqual([
      `${name}: unknown option; did you mean ttlSeconds?`,
    ]);
  });

  it('bounds belong to what is allowed', () => {
    for (const check of [seconds(1, 60), count(1, 60)]) {
      expect([1, 60].map((value) => check(value, false))).toEqual([undefined, undefined]);
      for (const value of [0, 61, NaN, '5', null])
        expect(check(value, false)).toMatch(/from 1 to 60/);
    }
    expect(seconds(1, 60)(1.5, false)).toBeUndefined();
    expect(count(1, 60)(1.5, false)).toMatch(/whole number/);
    expect(pauses(2, 10)([0, 10], false)).toBeUndefined();
    expect(pauses(2, 10)([0, 0, 0], false)).toMatch(/at most 2 pauses/);
  });

  it('options inside an option are named with it, and know devMode', () => {
    const devOnly = nested({
      inner: (_value, devMode) => (devMode ? undefined : 'is for devMode'),
    });
    expect(devOnly({ inner: 1 }, false)).toBe('inner: is for devMode');
    expect(devOnly({ inner: 1 }, true)).toBeUndefined();
    expect(mapOf(oneOf('a', 'b'))({ x: 'a', y: 'c' }, false)).toBe("'y': must be one of 'a', 'b'");
  });

  it('a switch may be a boolean, and what may be false nothing else besides', () => {
    const onOff = switchOr(checks);
    expect([true, false, {}].map((value) => onOff(value, false))).toEqual(Array(3).fill(undefined));
    expect(onOff('on', false)).toBe('must be true, false or an object');
    expect(orFalse(textProblem)(false, false)).toBeUndefined();
    expect(orFalse(textProblem)(true, false)).toBe('must be a string');
  });

  it('of a list the first entry that is not good is named, also a hole', () => {
    const inWords = (bad: unknown, at: number): string => `${String(bad)} at ${at}`;
    expect(firstProblem([1, 'a', 'b'], Number.isInteger, inWords)).toBe('a at 1');
    expect(firstProblem([1, , 2], Number.isInteger, inWords)).toBe('undefined at 1');
    expect(firstProblem([], Number.isInteger, inWords)).toBeUndefined();
    expect(textListProblem(['a', 1])).toBe('must be a list of strings');
  });
});
