import { describe, expect, it } from '@jest/globals';
import {
  asksForAuthorization,
  consentPage,
  type ConsentPolicy,
} from '../../src/core/consent-url.js';

// What `consentUrlProblem` refuses is listed in test/mcp/consent.spec.ts, at its public entry.

const issuer = 'https://auth.example.com/tenant';
const PAGE = `${issuer}/connect/google?resource=google-cal`;
const root = { issuer: 'https://auth.example.com/' };

/** AuthPlane's second flavour, which has no `client_id`. */
const AUTHORIZE: readonly (readonly [string, ConsentPolicy])[] = [
  [`${issuer}/authorize?resource=google-cal&scope=calendar.read`, { issuer }],
  [`${issuer}/oauth/authorize?resource=google-cal`, { issuer }],
  [`${issuer}/authorize`, { issuer: `${issuer}/` }],
  ['https://auth.example.com/authorize?resource=x', root],
  ['https://AUTH.example.com:443/tenant/x/../authorize?resource=x', { issuer }],
];

describe('consentPage', () => {
  it('is the page that may be shown', () => {
    expect(consentPage(PAGE, { issuer })).toBe(PAGE);
  });

  it('is in the form that all parsers read alike', () => {
    const consentUrl = 'HTTPS://AUTH.example.com:443/a/../connect';
    expect(consentPage(consentUrl, { issuer })).toBe('https://auth.example.com/connect');
  });

  it('T50: is none when there is no URL, or one that must not be shown', () => {
    for (const consentUrl of [undefined, '', 'javascript:alert(1)', 'https://evil.example/']) {
      expect(consentPage(consentUrl, { issuer })).toBeUndefined();
    }
  });

  it.each(AUTHORIZE)('is none for the request to authorize again: %s', (consentUrl, policy) => {
    expect(consentPage(consentUrl, policy)).toBeUndefined();
    expect(asksForAuthorization(consentUrl, policy)).toBe(true);
  });

  it.each([
    `${issuer}/authorize?client_id=app&resource=google-cal`,
    `${issuer}/authorize/google`,
    'https://auth.example.com/authorize?resource=google-cal',
  ])('is a page: %s', (consentUrl) => {
    expect(consentPage(consentUrl, { issuer })).toBe(consentUrl);
    expect(asksForAuthorization(consentUrl, { issuer })).toBe(false);
  });
});

it('what is no URL asks for nothing', () => {
  expect(asksForAuthorization('/authorize?resource=x', { issuer })).toBe(false);
});
