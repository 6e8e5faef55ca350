import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SparseWarnings } from '../../../src/nest/log/sparse-warnings.js';

describe('SparseWarnings', () => {
  let lines: string[];
  let warnings: SparseWarnings;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
    lines = [];
    warnings = new SparseWarnings({ warn: (line: string) => void lines.push(line) });
  });
  afterEach(() => vi.useRealTimers());

  it('says the first of a kind at once, and a further one after a minute', () => {
    warnings.warn('origin', 'first');
    vi.advanceTimersByTime(59_999);
    warnings.warn('origin', 'dropped');
    expect(lines).toEqual(['first']);
    vi.advanceTimersByTime(1);
    warnings.warn('origin', 'next');
    warnings.warn('origin', 'dropped');
    expect(lines).toEqual(['first', 'next']);
  });

  it('kinds are apart, and what is dropped delays nothing', () => {
    warnings.warn('a', 'a1');
    vi.advanceTimersByTime(30_000);
    warnings.warn('b', 'b1');
    warnings.warn('a', 'dropped');
    vi.advanceTimersByTime(30_000);
    warnings.warn('b', 'dropped');
    warnings.warn('a', 'a2');
    expect(lines).toEqual(['a1', 'b1', 'a2']);
  });
});
