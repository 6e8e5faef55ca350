import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { resolveModuleOptions } from '../../../src/core/options.js';
import {
  checkedConsentOptions,
  moduleConsentOptions,
} from '../../../src/mcp/answers/consent-options.js';

const issuer = 'https://auth.example.com';
const module = { issuer, resource: 'https://api.example.com/mcp' };

/** The problems that `withConsent` finds, and those that the module finds. */
function problemsOf(consent: object): readonly (readonly string[])[] {
  const inConsent = problemsBy(() => checkedConsentOptions({ issuer, ...consent }));
  const inModule = problemsBy(() => resolveModuleOptions({ ...module, consent }));
  return [inConsent, inModule.map((problem) => problem.replace(/^consent: /, ''))];
}

function problemsBy(check: () => unknown): readonly string[] {
  try {
    check();
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as ConfigurationError).problems;
  }
}

describe('options of consent', () => {
  it.each([
    { allowedOrigins: ['chrome-extension://abc'] },
    { allowedOrigins: ['connect.example.com'] },
    { allowedOrigins: ['https://connect.example.com/'] },
    { allowedOrigins: 'https://connect.example.com' },
    { allowedOrigins: [5] },
    { retryDelaysMs: [true] },
    { retryDelaysMs: ['5'] },
    { retryDelaysMs: [null] },
    { retryDelaysMs: [Infinity] },
    { retryDelaysMs: 5 },
  ])('hardening: %j is refused by the module and by withConsent alike', (consent) => {
    const [inConsent, inModule] = problemsOf(consent);
    expect(inConsent).toHaveLength(1);
    expect(inConsent).toEqual(inModule);
  });

  it.each([
    {},
    { allowedOrigins: [], retryDelaysMs: [] },
    { allowedOrigins: ['https://connect.example.com'], retryDelaysMs: [0, 30_000] },
    { allowedOrigins: ['http://localhost:3000'] },
  ])('%j is taken by both', (consent) => {
    expect(problemsOf(consent)).toEqual([[], []]);
  });

  it('what the module has checked passes on', () => {
    const consent = { allowedOrigins: ['https://connect.example.com'], retryDelaysMs: [1] };
    const resolved = resolveModuleOptions({ ...module, consent });
    expect(moduleConsentOptions(resolved)).toEqual({ issuer, devMode: false, ...consent });
  });

  it('every problem is named at once', () => {
    const options = { issuer: 'auth', allowedOrigins: ['x'], retryDelaysMs: [-1] };
    expect(problemsBy(() => checkedConsentOptions(options))).toHaveLength(3);
  });
});
