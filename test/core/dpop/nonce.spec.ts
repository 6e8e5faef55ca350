import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';

import { type DPoPNonceOptions, DPoPNonces, NONCE_SETTINGS } from '../../../src/core/dpop/nonce.js';
import { type Clock, systemClock } from '../../../src/core/lib/clock.js';
import { problemsOf } from '../../../src/core/lib/option-checks.js';
import { checksOf } from '../../../src/core/lib/settings.js';

const SECRET = 'a secret of thirty-two bytes, at least';

function clockAt(start: number) {
  const clock = { time: start, now: () => clock.time, elapsed: () => 0 };
  return clock;
}

function noncesWith({
  clock = systemClock,
  clockSkewSeconds = 30,
  ...options
}: DPoPNonceOptions & { readonly clock?: Clock; readonly clockSkewSeconds?: number } = {}) {
  return new DPoPNonces(options, { clock, clockSkewSeconds });
}

describe('DPoPNonces (RFC 9449 §9)', () => {
  it('§8.1: makes nonces of the allowed characters', () => {
    expect(noncesWith().current()).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it('12.4: one that was handed out for another resource is not accepted', () => {
    const nonceOf = (resource: string) =>
      new DPoPNonces({ secret: SECRET }, { clock: systemClock, clockSkewSeconds: 30, resource });
    const [a, b] = [nonceOf('https://a.example'), nonceOf('https://b.example')];
    expect([a.check(a.current()), b.check(a.current())]).toEqual([true, false]);
  });

  it('T36: accepts its own, refuses missing, foreign and malformed ones', () => {
    const nonces = noncesWith();
    const nonce = nonces.current();
    expect(nonces.check(nonce)).toBe(true);
    const foreign = noncesWith().current();
    for (const bad of [
      undefined,
      '',
      foreign,
      `${nonce}=`,
      nonce.slice(1),
      'é'.repeat(43),
      ` ${nonce}`,
    ]) {
      expect(nonces.check(bad)).toBe(false);
    }
  });

  it('T36: every nonce holds for at least half of its time and never longer than all of it', () => {
    for (let start = 1_790_000_000; start < 1_790_000_300; start += 7.3) {
      const clock = clockAt(start);
      const nonces = noncesWith({ secret: SECRET, clock });
      const nonce = nonces.current();
      clock.time = start + 150;
      expect(nonces.check(nonce)).toBe(true);
      clock.time = start + 300;
      expect(nonces.check(nonce)).toBe(false);
    }
  });

  it('T36: changes with time, and the one before is still accepted', () => {
    const clock = clockAt(1_790_000_100);
    const nonces = noncesWith({ ttlSeconds: 60, clock });
    const first = nonces.current();
    expect(nonces.current()).toBe(first);
    clock.time += 30;
    const second = nonces.current();
    expect(second).not.toBe(first);
    expect([first, second].map((nonce) => nonces.check(nonce))).toEqual([true, true]);
    clock.time += 30;
    expect([first, second].map((nonce) => nonces.check(nonce))).toEqual([false, true]);
  });

  it('is the same in all processes that share a secret, as text or bytes', () => {
    const clock = clockAt(1_790_000_000);
    const one = noncesWith({ secret: SECRET, clock });
    const two = noncesWith({ secret: Buffer.from(SECRET), clock });
    expect(two.check(one.current())).toBe(true);
    expect(two.current()).toBe(one.current());
  });

  it('hardening: takes a nonce of a process whose clock is ahead by no more than the skew', () => {
    const edge = 1_790_000_100; // of a slot of 150 s
    const ahead = clockAt(edge);
    const behind = clockAt(edge);
    const one = noncesWith({ secret: SECRET, clock: ahead });
    const previous = noncesWith({
      secret: 'x'.repeat(32),
      previousSecret: SECRET,
      clock: behind,
    });
    const two = noncesWith({ secret: SECRET, clock: behind, clockSkewSeconds: 30 });
    for (const [seconds, held] of [
      [1, true],
      [30, true],
      [31, false],
      [151, false],
    ] as const) {
      behind.time = edge - seconds;
      expect([two.check(one.current()), previous.check(one.current())]).toEqual([held, held]);
    }
    behind.time = edge - 1;
    expect(two.current()).not.toBe(one.current());
    ahead.time = edge + 150; // two slots on
    expect(two.check(one.current())).toBe(false);
  });

  it('accepts nonces of the secret before the last change, and makes none with it', () => {
    const clock = clockAt(1_790_000_000);
    const old = noncesWith({ secret: SECRET, clock });
    const fresh = noncesWith({ secret: 'x'.repeat(32), previousSecret: SECRET, clock });
    expect(fresh.check(old.current())).toBe(true);
    expect(old.check(fresh.current())).toBe(false);
  });

  it('has as options no secret below 32 bytes and no senseless lifetime', () => {
    const wrong = [
      { secret: 'x'.repeat(31) },
      { secret: '' },
      { previousSecret: 'short' },
      { secret: 5 as unknown as string },
      { secret: Array(32).fill(1) as unknown as string },
      { ttlSeconds: 1 },
      { ttlSeconds: Number.NaN },
      { ttlSeconds: Infinity },
    ];
    for (const options of wrong) {
      expect(problemsOf(options, checksOf(NONCE_SETTINGS), false)).toHaveLength(1);
    }
  });

  it('never prints its secret', () => {
    const nonces = noncesWith({ secret: SECRET });
    nonces.current();
    const unknown: unknown = nonces;
    const printed = [
      inspect(nonces, { depth: 9, showHidden: true }),
      JSON.stringify(nonces),
      String(unknown),
    ];
    for (const text of printed) {
      expect(text).not.toContain('secret of');
      expect(text).not.toContain(Buffer.from(SECRET).toString('hex').slice(0, 16));
    }
  });
});
