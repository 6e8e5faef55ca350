import { describe, expect, it } from 'vitest';
import { resolveClientOptions, resolveModuleOptions } from '../../../src/core/options.js';
import { ISSUER, optionProblems, VALID } from '../../support/tokens/option-problems.js';

describe('consent', () => {
  it.each([
    ['https://a.example'],
    [null],
    [['connect.example.com']],
    [['https://connect.example.com/path']],
    [['https://connect.example.com/']],
    [['chrome-extension://abc']],
    [['ftp://a.example']],
    [[undefined]],
    [[, 'https://a.example']],
  ])('hardening: pageOrigins %j is refused at the start', (pageOrigins) => {
    expect(optionProblems('consent', { pageOrigins })).toEqual([
      expect.stringMatching(/^consent: pageOrigins: .*origin/),
    ]);
  });

  it.each([
    [[true]],
    [['5']],
    [[null]],
    [[NaN]],
    [[-1]],
    [[30_001]],
    [[, 5]],
    [Array(11).fill(1)],
    [5],
    ['5'],
  ])('hardening: retryDelaysMs %j is refused at the start', (retryDelaysMs) => {
    expect(optionProblems('consent', { retryDelaysMs })).toEqual([
      'consent: retryDelaysMs: must be a list of at most 10 pauses of 0 to 30000 milliseconds',
    ]);
  });

  it('takes web origins and pauses', () => {
    const pageOrigins = ['https://connect.example.com', 'http://localhost:3000'];
    const consent = { pageOrigins, retryDelaysMs: [0, 0.5, 30_000] };
    expect(optionProblems('consent', consent)).toEqual([]);
  });
});

describe('operations', () => {
  it.each<[string, unknown[], RegExp]>([
    ['dpop', [null, {}, 'signer'], /must be a DPoPSigner/],
    ['cacheTtlBufferSeconds', [-1, 3601, NaN, '30'], /from 0 to 3600/],
    ['defaultTtlSeconds', [-1, 86_401, NaN, null], /from 0 to 86400/],
    ['cacheMaxEntries', [0, 1_000_001, 1.5, null], /from 1 to 1000000/],
    ['circuitBreakerThreshold', [0, 1001, 1.5, null], /from 1 to 1000/],
    ['circuitBreakerCooldownSeconds', [0, 3601, NaN, null], /from 1 to 3600/],
    [
      'revocationChecker',
      ['introspect', {}, true, false, null, ''],
      /'introspection' or a function/,
    ],
    ['failClosed', ['yes', 0, null], /true or false/],
  ])('%s: %p is a mistake', (name, values, problem) => {
    for (const value of values) {
      expect(optionProblems(name, value)).toEqual([expect.stringMatching(problem)]);
    }
  });

  it('have the defaults of the contract', () => {
    expect(resolveClientOptions({ issuer: ISSUER })).toMatchObject({
      cacheTtlBufferSeconds: 30,
      defaultTtlSeconds: 3600,
      cacheMaxEntries: 10_000,
      circuitBreakerThreshold: 5,
      circuitBreakerCooldownSeconds: 30,
      consent: {},
    });
    const { resource } = resolveModuleOptions(VALID);
    expect([resource.revocationChecker, resource.failClosed]).toEqual([undefined, true]);
  });
});
