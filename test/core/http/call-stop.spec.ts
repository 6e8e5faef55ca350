import { describe, expect, it } from 'vitest';
import { CallStop } from '../../../src/core/http/call-stop.js';

const reason = new Error('enough');

describe('13.7: CallStop', () => {
  it('tells who waits last, once, and the first reason', () => {
    const stop = new CallStop();
    const told: unknown[] = [];
    stop.onStop((why) => told.push(['before', why]));
    stop.onStop((why) => told.push(['now', why]));
    expect(stop.reason).toBeUndefined();
    stop.stop(reason);
    stop.stop(new Error('later'));
    expect(told).toEqual([['now', reason]]);
    expect(stop.reason).toBe(reason);
  });

  it('tells at once whoever comes later', () => {
    const stop = new CallStop();
    stop.stop(reason);
    const told: unknown[] = [];
    stop.onStop((why) => told.push(why));
    expect(told).toEqual([reason]);
  });

  it('has a signal for those who know nothing else, before and after', () => {
    const stop = new CallStop();
    const { signal } = stop;
    expect(signal.aborted).toBe(false);
    stop.stop(reason);
    expect(signal.reason).toBe(reason);
    const stopped = new CallStop();
    stopped.stop(reason);
    expect(stopped.signal.reason).toBe(reason);
    expect(stopped.signal).toBe(stopped.signal);
  });
});
