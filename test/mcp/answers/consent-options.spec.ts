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
    { pageOrigins: ['chrome-extension://abc'] },
    { pageOrigins: ['connect.example.com'] },
    { pageOrigins: ['https://connect.example.com/'] },
    { pageOrigins: 'https://connect.example.com' },
    { pageOrigins: [5] },
    { allowedOrigins: ['https://connect.example.com'] },
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
    { pageOrigins: [], retryDelaysMs: [] },
    { pageOrigins: ['https://connect.example.com'], retryDelaysMs: [0, 30_000] },
    { pageOrigins: ['http://localhost:3000'] },
  ])('%j is taken by both', (consent) => {
    expect(problemsOf(consent)).toEqual([[], []]);
  });

  it('what the module has checked passes on', () => {
    const consent = { pageOrigins: ['https://connect.example.com'], retryDelaysMs: [1] };
    const resolved = resolveModuleOptions({ ...module, consent });
    expect(moduleConsentOptions(resolved)).toEqual({ issuer, devMode: false, ...consent });
  });

  it('the former name of pageOrigins, which is now that of web pages only, is no silent nothing', () => {
    const former = { allowedOrigins: ['https://connect.example.com'] };
    const problem = 'allowedOrigins: unknown option; did you mean pageOrigins?';
    expect(problemsOf(former)).toEqual([[problem], [problem]]);
  });

  it('every problem is named at once', () => {
    const options = { issuer: 'auth', pageOrigins: ['x'], retryDelaysMs: [-1] };
    expect(problemsBy(() => checkedConsentOptions(options))).toHaveLength(3);
  });
});
