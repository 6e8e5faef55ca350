import { describe, expect, it } from 'vitest';
import {
  asksForAuthorization,
  consentPage,
  type ConsentPolicy,
  consentUrlProblem,
} from '../../../src/core/calls/consent-url.js';

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

/** More of what is refused: test/mcp/answers/consent.spec.ts, at its public entry. */
describe('9.25: consentUrlProblem', () => {
  const lengthy = (length: number) => PAGE.padEnd(length, 'x');
  const others = ['https://connect.example.com/anything', 'no URL'];

  it.each<[url: string, problem: RegExp | undefined, policy?: Partial<ConsentPolicy>]>([
    [PAGE, undefined],
    [lengthy(2048), undefined],
    [lengthy(2049), /longer than 2048/],
    [`${PAGE}&a=\\`, /no URI has/],
    [`${PAGE} `, /no URI has/],
    [`${PAGE}\n`, /no URI has/],
    [`${PAGE}&a=é`, /no URI has/],
    ['', /no URI has/],
    ['/connect', /no absolute URL/],
    ['http://auth.example.com/connect', /not https/],
    ['http://auth.example.com/connect', /not https/, { devMode: false }],
    ['http://auth.example.com/connect', /another origin/, { devMode: true }],
    [
      'http://auth.example.com/connect',
      undefined,
      { devMode: true, issuer: 'http://auth.example.com' },
    ],
    ['ftp://auth.example.com/connect', /not https/, { devMode: true }],
    ['javascript:alert(1)', /not https/, { devMode: true }],
    ['https://user@auth.example.com/', /user information/],
    ['https://:secret@auth.example.com/', /user information/],
    ['https://auth.example.com.evil.example/', /another origin/],
    ['https://auth.example.com:8443/', /another origin/],
    ['https://connect.example.com/page', /another origin/],
    ['https://connect.example.com/page', undefined, { pageOrigins: others }],
    ['https://other.example.com/page', /another origin/, { pageOrigins: others }],
  ])('%s: %s', (url, problem, policy = {}) => {
    const found = consentUrlProblem(url, { issuer, ...policy });
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(problem);
  });
});

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
