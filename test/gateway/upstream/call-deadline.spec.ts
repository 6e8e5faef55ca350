import type { IncomingMessage } from 'node:http';
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CallDeadline } from '../../../src/gateway/upstream/call-deadline.js';

const late = new Error('too late');

/** A body, as far as a deadline sees it. */
const bodyOf = (socket = { bytesRead: 0 }) =>
  Object.assign(new EventEmitter(), { socket }) as unknown as IncomingMessage & {
    socket: { bytesRead: number };
  };

describe('CallDeadline', () => {
  let client: AbortController;
  let deadline: CallDeadline;
  beforeEach(() => {
    vi.useFakeTimers();
    client = new AbortController();
    deadline = new CallDeadline(client.signal, () => late);
  });
  afterEach(() => vi.useRealTimers());
  const reason = () => deadline.signal.reason as unknown;

  test('ends a call to which no answer begins in time', () => {
    deadline.begin(1000);
    vi.advanceTimersByTime(999);
    expect(deadline.signal.aborted).toBe(false);
    vi.advanceTimersByTime(2);
    expect(reason()).toBe(late);
  });

  test('ends it when the caller goes, or has gone already', () => {
    const gone = new Error('gone');
    deadline.begin(1000);
    client.abort(gone);
    expect(reason()).toBe(gone);
    expect(new CallDeadline(client.signal, () => late).signal.reason).toBe(gone);
  });

  test('an answer that has begun has to go on', () => {
    const body = bodyOf();
    deadline.begin(1000);
    deadline.follow(body, 1000);
    body.socket.bytesRead = 10;
    vi.advanceTimersByTime(1002);
    expect(deadline.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1002);
    expect(reason()).toBe(late);
  });

  test('however alive, not for more than ten minutes', () => {
    const body = bodyOf();
    deadline.follow(body, 60_000);
    for (let minute = 0; minute < 11; minute++) {
      body.socket.bytesRead += 1;
      vi.advanceTimersByTime(60_002);
    }
    expect(reason()).toBe(late);
  });

  test('silence is no sign of death where none is asked for', () => {
    deadline.begin(1000);
    deadline.follow(bodyOf(), undefined);
    vi.advanceTimersByTime(3_600_000);
    expect(deadline.signal.aborted).toBe(false);
  });

  test('when it is over nothing ends it', () => {
    const body = bodyOf();
    deadline.follow(body, 1000);
    body.emit('close');
    client.abort();
    vi.advanceTimersByTime(10_000);
    expect(deadline.signal.aborted).toBe(false);
  });
});
