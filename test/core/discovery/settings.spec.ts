import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { JWKSFetchError } from '../../../src/core/errors/server-errors.js';
import { resolveClientOptions } from '../../../src/core/options.js';
import { ISSUER, optionProblems } from '../../support/tokens/option-problems.js';
import { onUnhandledRejection } from '../../support/tokens/unhandled-rejections.js';

describe('onBackgroundFailure', () => {
  const failure = new JWKSFetchError('down');
  const tellWith = (onBackgroundFailure?: (error: unknown) => void) =>
    resolveClientOptions({
      issuer: ISSUER,
      ...(onBackgroundFailure && { onBackgroundFailure }),
    }).onBackgroundFailure(failure);

  it('is told at once', () => {
    const told: unknown[] = [];
    tellWith((error) => told.push(error));
    expect(told).toEqual([failure]);
    expect(() => tellWith()).not.toThrow();
  });

  it('hardening: one that throws or rejects harms nobody', async () => {
    const rejections: unknown[] = [];
    const stopListening = onUnhandledRejection((reason) => rejections.push(reason));
    try {
      expect(() =>
        tellWith(() => {
          throw new Error('at once');
        }),
      ).not.toThrow();
      tellWith(() => Promise.reject(new Error('later')));
      await delay(20);
    } finally {
      stopListening();
    }
    expect(rejections).toEqual([]);
  });
});

describe('discovery', () => {
  it.each<[string, unknown[], RegExp]>([
    ['jwksRefreshSeconds', [0, -1, 86_401, NaN, Infinity, '300', null], /from 1 to 86400/],
    ['metadataRefreshSeconds', [0, -1, 86_401, NaN, '300'], /from 1 to 86400/],
    ['maxStaleSeconds', [-1, 604_801, NaN, Infinity, '1'], /from 0 to 604800/],
    ['startup', ['Lazy', '', true, null], /'lazy', 'eager'/],
    ['onBackgroundFailure', ['x', {}, null], /must be a function/],
  ])('%s: %p is a mistake', (name, values, problem) => {
    for (const value of values) {
      expect(optionProblems(name, value)).toEqual([expect.stringMatching(problem)]);
      expect(optionProblems(name, value)[0]).toMatch(new RegExp(`^${name}: `));
    }
  });

  it.each<[string, unknown[]]>([
    ['jwksRefreshSeconds', [1, 86_400, 0.5 + 1]],
    ['metadataRefreshSeconds', [1, 86_400]],
    ['maxStaleSeconds', [0, 604_800]],
    ['startup', ['lazy', 'eager']],
    ['onBackgroundFailure', [() => undefined]],
  ])('%s takes %p', (name, values) => {
    for (const value of values) expect(optionProblems(name, value)).toEqual([]);
  });

  it('a client of its own starts eagerly', () => {
    expect(resolveClientOptions({ issuer: ISSUER }).startup).toBe('eager');
    expect(resolveClientOptions({ issuer: ISSUER, startup: 'lazy' }).startup).toBe('lazy');
  });
});
