import { describe, expect, test } from 'vitest';
import { UpstreamBreaker } from '../../../src/gateway/upstream/upstream-breaker.js';
import type { Health } from '../../../src/gateway/upstream/upstream-breaker.js';

function breaker() {
  let seconds = 0;
  const clock = { now: () => seconds, elapsed: () => seconds };
  const one = new UpstreamBreaker({ threshold: 2, cooldownSeconds: 30 }, clock);
  const call = (health: Health) => one.enter()?.leave(health);
  return { one, call, wait: (time: number) => void (seconds += time) };
}

describe('14.D: the breaker of an upstream', () => {
  test('opens after failures in a row, lets one call through after a pause, and closes by it', () => {
    const { one, call, wait } = breaker();
    call('down');
    call('up');
    call('down');
    expect(one.state).toBe('closed');
    call('down');
    expect([one.state, one.secondsLeft, one.enter()]).toEqual(['open', 30, undefined]);
    wait(30);
    const probe = one.enter();
    expect([one.state, one.enter()]).toEqual(['half-open', undefined]);
    probe?.leave('up');
    expect(one.state).toBe('closed');
  });

  test('what says nothing of the upstream leaves it as it is, and gives the probe to the next', () => {
    const { one, call, wait } = breaker();
    call('down');
    for (let times = 0; times < 10; times++) call('unknown');
    expect(one.state).toBe('closed');
    call('down');
    wait(30);
    one.enter()?.leave('unknown');
    expect(one.enter()).toBeDefined();
  });

  test('calls that began before it opened neither close it nor count twice', () => {
    const { one, wait, call } = breaker();
    const early = one.enter();
    call('down');
    call('down');
    early?.leave('up');
    expect(one.state).toBe('open');
    wait(30);
    call('down');
    expect(one.secondsLeft).toBe(30);
  });

  test('switched off it never opens, and knows since when calls fail', () => {
    const one = new UpstreamBreaker(false, { now: () => 0, elapsed: () => 0 });
    for (let times = 0; times < 100; times++) one.enter()?.leave('down');
    expect([one.state, one.failingSince]).toEqual(['closed', 0]);
  });

  test('14.8: it fails since the first failure in a row, until a call goes well', () => {
    const { one, call, wait } = breaker();
    wait(5);
    call('down');
    wait(5);
    call('down');
    wait(30);
    call('down');
    expect(one.failingSince).toBe(5);
    wait(30);
    call('up');
    expect(one.failingSince).toBeUndefined();
  });
});
