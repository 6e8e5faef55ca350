import { describe, expect, it } from 'vitest';
import { resolveModuleOptions } from '../../../src/core/options.js';
import { optionProblems, VALID } from '../../support/tokens/option-problems.js';

describe('inboundDPoP.nonce', () => {
  const SECRET = 'canary: a secret of thirty-two bytes, at least';
  const withNonce = (nonce: unknown) => optionProblems('inboundDPoP', { nonce });

  it.each<[string, unknown, string]>([
    ['a secret alone', SECRET, 'must be true, false or an object'],
    ['a number', 5, 'must be true, false or an object'],
    ['a list', [], 'must be true, false or an object'],
    ['null', null, 'must be true, false or an object'],
    ['a map', new Map([['secret', SECRET]]), 'must be true, false or an object'],
    ['a promise', Promise.resolve({ secret: SECRET }), 'must be true, false or an object'],
    ['bytes', Buffer.alloc(32), 'must be true, false or an object'],
    ['a misspelt secret', { secrets: SECRET }, 'secrets: unknown option'],
    ['a misspelt lifetime', { ttl: 60 }, 'ttl: unknown option'],
    [
      'the other spelling',
      { ttl_seconds: 60 },
      'ttl_seconds: unknown option; did you mean ttlSeconds?',
    ],
    ['a clock of its own', { clock: {} }, 'clock: unknown option'],
    ['a short secret', { secret: 'canary' }, 'secret: must have at least 32 bytes'],
    ['a secret of other kind', { secret: 5 }, 'secret: must be a string or a Uint8Array'],
    ['no secret', { secret: null }, 'secret: must be a string or a Uint8Array'],
    ['a list as secret', { secret: Array(32).fill(1) }, 'secret: must be a string or a Uint8Array'],
    [
      'a short former secret',
      { previousSecret: '' },
      'previousSecret: must have at least 32 bytes',
    ],
    [
      'a lifetime as text',
      { ttlSeconds: '60' },
      'ttlSeconds: must be a number of seconds from 2 to 86400',
    ],
    ['no lifetime', { ttlSeconds: 0 }, 'ttlSeconds: must be a number of seconds from 2 to 86400'],
    [
      'an endless lifetime',
      { ttlSeconds: Infinity },
      'ttlSeconds: must be a number of seconds from 2 to 86400',
    ],
  ])('hardening: %s is a mistake, not a random secret', (_name, nonce, problem) => {
    const problems = withNonce(nonce);
    expect(problems).toEqual([`inboundDPoP: nonce: ${problem}`]);
    expect(problems.join()).not.toContain('canary');
  });

  it('every mistake in it is named', () => {
    expect(withNonce({ secret: 'short', ttl: 1 })).toEqual([
      'inboundDPoP: nonce: secret: must have at least 32 bytes; ttl: unknown option',
    ]);
  });

  const makes = (nonce: true | object | false | undefined): boolean => {
    const inboundDPoP = { nonce } as object;
    const { resource } = resolveModuleOptions({ ...VALID, inboundDPoP });
    return resource.inboundDPoP?.nonce !== undefined;
  };

  it.each([undefined, false])('%p is off', (nonce) => {
    expect(makes(nonce)).toBe(false);
  });

  it.each([
    true,
    {},
    { secret: SECRET },
    { secret: Buffer.alloc(32, 1), previousSecret: SECRET, ttlSeconds: 2 },
    { secret: undefined, ttlSeconds: 86_400 },
  ])('%p is on', (nonce) => {
    expect(makes(nonce)).toBe(true);
  });
});

describe('inboundDPoP', () => {
  it.each<[string, unknown[], RegExp]>([
    ['required', ['yes', 0, null], /true or false/],
    ['strictHtu', ['yes', 0, null], /true or false/],
    ['replayStore', [null, {}, { checkAndStore: true }], /a method checkAndStore/],
    ['maxProofAgeSeconds', [0, 3601, NaN, '300', null], /from 1 to 3600/],
    ['clockSkewSeconds', [-1, 121, NaN, '30', null], /from 0 to 120/],
    ['allowedProofAlgorithms', [[], 'ES256', null], /at least one entry/],
    ['allowedProofAlgorithms', [['HS256'], ['ES512']], /is not allowed; choose from ES256/],
    ['publicPathPrefix', ['api', '/a?b', null], /path that starts with/],
  ])('%s: %p is a mistake', (name, values, problem) => {
    for (const value of values) {
      const problems = optionProblems('inboundDPoP', { [name]: value });
      expect(problems).toEqual([expect.stringMatching(problem)]);
      expect(problems[0]).toMatch(new RegExp(`^inboundDPoP: ${name}: `));
    }
  });

  it('has the defaults of the contract', () => {
    const { resource } = resolveModuleOptions({ ...VALID, inboundDPoP: {} });
    expect(resource.inboundDPoP).toEqual({
      required: false,
      replayStore: undefined,
      maxProofAgeSeconds: 300,
      clockSkewSeconds: 30,
      allowedProofAlgorithms: ['ES256', 'EdDSA', 'PS256', 'RS256'],
      nonce: undefined,
      hasRandomNonceSecret: false,
      publicPathPrefix: '',
      strictHtu: false,
    });
  });
});
