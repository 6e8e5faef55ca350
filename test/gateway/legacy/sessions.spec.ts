import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SessionNotFoundError } from '../../../src/core/errors/request-errors.js';
import { Sessions } from '../../../src/gateway/legacy/sessions.js';

describe('Sessions', () => {
  let sessions: Sessions;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    sessions = new Sessions({ maxSessions: 2, sessionIdleMs: 60_000 });
  });
  afterEach(async () => {
    await sessions.close();
    vi.useRealTimers();
  });
  const open = (caller = 'alice') => sessions.open(caller, {} as never);

  test('each belongs to the caller who opened it', () => {
    const session = open();
    expect(sessions.get(session.id, 'alice')).toBe(session);
    for (const [id, caller] of [
      [session.id, 'bob'],
      ['unknown', 'alice'],
      [undefined, 'alice'],
      [[session.id], 'alice'],
    ] as const) {
      expect(() => sessions.get(id, caller)).toThrow(SessionNotFoundError);
    }
    expect([sessions.peek(session.id), sessions.peek('unknown'), sessions.peek(5)]).toEqual([
      session,
      undefined,
      undefined,
    ]);
  });

  test('the one that was not used for longest makes room', () => {
    const [one, two] = [open(), open()];
    sessions.get(one.id, 'alice');
    sessions.peek(two.id); // is no use
    const three = open('bob');
    expect(sessions.size).toBe(2);
    expect([one, two, three].map(({ id }) => sessions.peek(id) !== undefined)).toEqual([
      ...[true, false, true],
    ]);
  });

  test('whoever has more than his share makes room, not those who have less', async () => {
    await sessions.close();
    sessions = new Sessions({ maxSessions: 6, sessionIdleMs: 60_000 });
    const ann = open('ann');
    const flood = Array.from({ length: 20 }, () => open('mallory'));
    const bob = open('bob');
    expect(sessions.size).toBe(6);
    expect([ann, bob].every(({ id }) => sessions.peek(id) !== undefined)).toBe(true);
    const left = flood.filter(({ id }) => sessions.peek(id) !== undefined);
    expect(left).toEqual(flood.slice(-4)); // those that he used last
    for (const one of [...left, ...left]) sessions.end(one); // counted once
    const more = Array.from({ length: 5 }, () => open('bob'));
    expect([ann, bob, ...more].map(({ id }) => sessions.peek(id) !== undefined)).toEqual([
      ...[true, false, true, true, true, true, true],
    ]);
  });

  test('one that is not used ends', () => {
    const [idle, used] = [open(), open()];
    vi.advanceTimersByTime(50_000);
    sessions.get(used.id, 'alice');
    vi.advanceTimersByTime(41_000);
    expect([sessions.peek(idle.id), sessions.peek(used.id)]).toEqual([undefined, used]);
  });

  test('ends when it is told, and all end with the gateway', async () => {
    const [one, two] = [open(), open()];
    sessions.end(one);
    expect([sessions.peek(one.id), sessions.size]).toEqual([undefined, 1]);
    await sessions.close();
    expect([sessions.peek(two.id), sessions.size]).toEqual([undefined, 0]);
  });
});
