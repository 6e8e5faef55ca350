import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../src/core/errors/configuration-error.js';
import {
  type FurtherResourceOptions,
  resolveClientOptions,
  resolveFurtherOptions,
  resolveModuleOptions,
  resolveResourceOptions,
} from '../../src/core/options.js';
import {
  ISSUER,
  moduleProblems,
  optionProblems,
  RESOURCE,
  VALID,
} from '../support/tokens/option-problems.js';

describe('defaults', () => {
  it('are those of the contract', () => {
    const resolved = resolveModuleOptions({ issuer: ISSUER, baseUrl: 'https://api.example.com' });
    expect(resolved.client).toMatchObject({
      issuer: ISSUER,
      devMode: false,
      jwksRefreshSeconds: 300,
      metadataRefreshSeconds: 3600,
      maxStaleSeconds: 3600,
      startup: 'lazy',
    });
    expect(resolved.resource).toMatchObject({
      resource: RESOURCE,
      scopes: [],
      allowedAlgorithms: ['ES256', 'RS256', 'PS256', 'EdDSA'],
      clockSkewSeconds: 60,
      maxTokenLifetimeSeconds: Infinity,
      maxTokenLength: 16_384,
      scopeHierarchy: undefined,
    });
    expect(resolved.enforceScopesOnAllRequests).toBe(false);
  });

  it('an option that is undefined takes its default', () => {
    const options = { ...VALID, clockSkewSeconds: undefined, startup: undefined };
    const resolved = resolveModuleOptions(options as never);
    expect([resolved.resource.clockSkewSeconds, resolved.client.startup]).toEqual([60, 'lazy']);
  });

  it('later changes of the lists that were passed change nothing', () => {
    const scopes = ['a'];
    const allowedAlgorithms = ['ES256'];
    const { resource } = resolveModuleOptions({ ...VALID, scopes, allowedAlgorithms });
    scopes.push('b');
    allowedAlgorithms.push('RS256');
    expect([resource.scopes, resource.allowedAlgorithms]).toEqual([['a'], ['ES256']]);
    expect(Object.isFrozen(resource.scopes)).toBe(true);
  });

  it('a scope that is listed twice counts once', () => {
    expect(resolveModuleOptions({ ...VALID, scopes: ['a', 'b', 'a'] }).resource.scopes).toEqual([
      'a',
      'b',
    ]);
  });
});

describe('checks', () => {
  const urls: [unknown, RegExp][] = [
    ['', /must be an absolute URL|is required/],
    [1, /must be an absolute URL/],
    [null, /must be an absolute URL/],
    ['auth.example.com', /absolute https URL/],
    ['/path', /absolute https URL/],
    ['ftp://auth.example.com', /absolute https URL/],
    ['javascript:alert(1)', /absolute https URL/],
    ['http://auth.example.com', /must use https.*devMode/],
    ['https://user@auth.example.com', /user name or password/],
    ['https://user:secret@auth.example.com', /user name or password/],
    ['https://auth.example.com#', /no fragment/],
    ['https://auth.example.com/#a', /no fragment/],
    ['https://auth.example.com/ ', /printable ASCII/],
    ['https://auth.example.com/\n', /printable ASCII/],
    ['https://\u00e4uth.example.com', /printable ASCII/],
  ];
  for (const name of ['issuer', 'resource', 'baseUrl']) {
    it.each(urls)(`${name} %p is refused`, (value, problem) => {
      const problems = moduleProblems({
        issuer: ISSUER,
        baseUrl: 'https://a.example',
        [name]: value,
      });
      expect(problems).toEqual([expect.stringMatching(problem)]);
      expect(problems[0]).toMatch(new RegExp(`^${name}: `));
      expect(problems[0]).not.toContain('secret');
    });
  }

  it.each([
    'htps://me:pa55word@auth.example.com',
    'https:/me:pa55word@auth.example.com',
    'https//me:pa55word@auth.example.com',
    'me:pa55word@auth.example.com',
    'http://me:pa55word@auth.example.com',
    'auth.example.com?client_secret=pa55word',
    'auth.example.com#pa55word',
  ])('9.20: no password in a mistyped URL is repeated: %s', (value) => {
    for (const name of ['issuer', 'resource', 'baseUrl']) {
      const [problem] = moduleProblems({
        issuer: ISSUER,
        baseUrl: 'https://a.example',
        [name]: value,
      });
      expect(problem).toMatch(new RegExp(`^${name}: must`));
      expect(problem).not.toContain('pa55word');
    }
    const hidden = optionProblems('mcp', { allowedOrigins: ['https://me:pa55word@a.example'] });
    expect(hidden.join()).toMatch(/is not an origin/);
    expect(hidden.join()).not.toContain('pa55word');
  });

  it('RFC 8414 §2: the issuer has no query; neither has baseUrl', () => {
    expect(optionProblems('issuer', 'https://auth.example.com?a')).toEqual([
      'issuer: must have no query (RFC 8414 §2)',
    ]);
    expect(optionProblems('baseUrl', 'https://api.example.com/?a')).toEqual([
      'baseUrl: must have no query',
    ]);
  });

  it('RFC 8414 §3.3: the issuer stays byte for byte', () => {
    for (const issuer of [ISSUER, `${ISSUER}/`, `${ISSUER}/tenant/`, 'https://AUTH.example.com']) {
      expect(resolveModuleOptions({ ...VALID, issuer }).client.issuer).toBe(issuer);
    }
  });

  const wrong: [string, unknown[], RegExp][] = [
    ['enforceScopesOnAllRequests', ['yes', 0, null], /true or false/],
    ['clock', [null, 'clock', {}, { now: () => 0 }, { elapsed: () => 0 }], /now and elapsed/],
  ];
  it.each(wrong)('%s: %p', (name, values, problem) => {
    for (const value of values) {
      expect(optionProblems(name, value)).toEqual([expect.stringMatching(problem)]);
      expect(optionProblems(name, value)[0]).toMatch(new RegExp(`^${name}: `));
    }
  });

  const right: [string, unknown[]][] = [
    ['devMode', [true, false]],
    ['enforceScopesOnAllRequests', [true, false]],
    ['fetch', [fetch]],
    ['clock', [{ now: () => 0, elapsed: () => 0 }]],
  ];
  it.each(right)('%s takes %p', (name, values) => {
    for (const value of values) expect(optionProblems(name, value)).toEqual([]);
  });

  it.each(['inboundDPoP', 'mcp', 'consent'])('%s holds options by name', (name) => {
    for (const value of [[], ['x'], new Map(), Promise.resolve({}), 'x', true, null]) {
      expect(optionProblems(name, value)).toEqual([`${name}: must be an object`]);
    }
    expect(optionProblems(name, {})).toEqual([]);
  });

  it.each([[undefined], [null], ['https://auth.example.com'], [1]])(
    'options that are %p are no options',
    (options) => {
      expect(moduleProblems(options)).toContain('the options must be an object');
      for (const resolve of [resolveClientOptions, resolveResourceOptions]) {
        expect(() => resolve(options as never, false as never)).toThrow(ConfigurationError);
      }
    },
  );
});

describe('unknown options', () => {
  it.each([
    ['dev_mode', 'devMode'],
    ['devmode', 'devMode'],
    ['base_url', 'baseUrl'],
    ['clock_skew_seconds', 'clockSkewSeconds'],
    ['JWKSRefreshSeconds', 'jwksRefreshSeconds'],
    ['enforce_scopes_on_all_requests', 'enforceScopesOnAllRequests'],
    ['Issuer', 'issuer'],
    ['auth', 'asCredentials'],
    ['credentials', 'asCredentials'],
  ])('%s: did you mean %s?', (name, meant) => {
    expect(optionProblems(name, true)).toEqual([`${name}: unknown option; did you mean ${meant}?`]);
  });

  it.each(['audience', 'toString', 'constructor', '__proto__x'])('%s is unknown', (name) => {
    expect(optionProblems(name, undefined)).toEqual([`${name}: unknown option`]);
  });

  it('a resource knows no options of the client', () => {
    const resolve = () =>
      resolveResourceOptions({ resource: RESOURCE, issuer: 'x' } as never, false);
    expect(resolve).toThrow(/issuer: unknown option/);
  });
});

describe('the message', () => {
  it('names every problem at once', () => {
    const options = { dev_mode: true, clockSkewSeconds: 500, scopes: ['a b'], startup: 'now' };
    const error = new ConfigurationError(moduleProblems(options));
    expect(error.problems).toHaveLength(6);
    for (const name of [
      'issuer',
      'dev_mode',
      'clockSkewSeconds',
      'scopes',
      'startup',
      'resource',
    ]) {
      expect(error.message).toContain(`\n  - ${name}: `);
    }
    expect(error.message).toMatch(/^authplane-nestjs: 6 problems in the configuration:/);
  });

  it('is one line for one problem', () => {
    expect(() => resolveModuleOptions({ ...VALID, clockSkewSeconds: 500 })).toThrow(
      'authplane-nestjs: clockSkewSeconds: must be a number of seconds from 0 to 120',
    );
  });
});

describe('devMode', () => {
  it('lets http pass, and nothing else', () => {
    const local = { issuer: 'http://localhost:9000', resource: 'http://127.0.0.1:3000/mcp' };
    expect(moduleProblems({ ...local, devMode: true })).toEqual([]);
    expect(moduleProblems({ ...local, devMode: false })).toHaveLength(2);
    expect(moduleProblems(local)).toHaveLength(2);
    for (const bad of [
      'http://u@localhost',
      'http://localhost#a',
      'ftp://localhost',
      'localhost',
    ]) {
      expect(moduleProblems({ ...local, devMode: true, issuer: bad })).toHaveLength(1);
    }
  });

  it.each(['true', 1, {}])('%p does not switch it on', (devMode) => {
    const options = { issuer: 'http://localhost', resource: RESOURCE, devMode };
    expect(moduleProblems(options).join()).toMatch(/must use https/);
  });
});

describe('a further resource', () => {
  const replayStore = { checkAndStore: () => true };
  const main = resolveModuleOptions({
    ...VALID,
    scopes: ['main'],
    inboundDPoP: { required: true, replayStore, maxProofAgeSeconds: 60, nonce: true },
    mcp: { tools: { a: ['main'] }, allowedOrigins: ['https://app.example.com'], list: 'hide' },
  });
  const further = (options: FurtherResourceOptions) =>
    resolveFurtherOptions({ resource: 'https://api.example.com/b', ...options }, main);

  it('keeps the members of inboundDPoP that it does not name', () => {
    const { inboundDPoP } = further({ inboundDPoP: { maxProofAgeSeconds: 30 } }).resource;
    const { nonce } = main.resource.inboundDPoP ?? {};
    expect(inboundDPoP).toMatchObject({ required: true, maxProofAgeSeconds: 30, nonce });
    expect(inboundDPoP?.replayStore).toBe(replayStore);
    const lax = further({ inboundDPoP: { required: false, nonce: false } }).resource.inboundDPoP;
    expect(lax).toMatchObject({ required: false, nonce: undefined, maxProofAgeSeconds: 60 });
  });

  it('an option or a member that is undefined is one that was left out', () => {
    const absent = { inboundDPoP: undefined, mcp: { allowedOrigins: undefined, list: undefined } };
    const { resource, mcp } = further(absent as never);
    expect(resource.inboundDPoP).toEqual(main.resource.inboundDPoP);
    expect(mcp).toEqual({
      allowedOrigins: ['https://app.example.com'],
      authentication: 'required',
      list: 'hide',
      sessionBinding: true,
      unknownMethods: 'pass',
    });
  });

  it('has its own scopes and operations', () => {
    const { resource, mcp } = further({ mcp: { prompts: { p: ['b'] } } });
    expect(resource.scopes).toEqual([]);
    expect(mcp).toMatchObject({ prompts: { p: ['b'] } });
    expect(mcp).not.toHaveProperty('tools');
  });

  it('only there does false switch a protection off', () => {
    const off = { inboundDPoP: false, revocationChecker: false, mcp: { allowedOrigins: false } };
    expect(further(off as FurtherResourceOptions)).toMatchObject({
      resource: { inboundDPoP: undefined, revocationChecker: undefined },
      mcp: { list: 'hide' },
    });
    expect(moduleProblems({ ...VALID, ...off })).toHaveLength(2);
  });
});

describe('12.8: verboseErrors', () => {
  it('is for development', () => {
    const problem = 'verboseErrors: is for development: needs devMode: true';
    expect(moduleProblems({ ...VALID, verboseErrors: true })).toEqual([problem]);
    expect(() => resolveClientOptions({ issuer: ISSUER, verboseErrors: true })).toThrow(problem);
    expect(moduleProblems({ ...VALID, verboseErrors: false })).toEqual([]);
    expect(moduleProblems({ ...VALID, devMode: true, verboseErrors: true })).toEqual([]);
    expect(moduleProblems({ ...VALID, devMode: true, verboseErrors: 'yes' })).toEqual([
      'verboseErrors: must be true or false',
    ]);
  });

  it('is off unless said otherwise, in development too', () => {
    expect(resolveModuleOptions({ ...VALID, devMode: true }).client.verboseErrors).toBe(false);
  });
});
