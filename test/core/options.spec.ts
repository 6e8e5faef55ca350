import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { ConfigurationError } from '../../src/core/errors/configuration-error.js';
import { JWKSFetchError } from '../../src/core/errors/server-errors.js';
import {
  type FurtherResourceOptions,
  resolveClientOptions,
  resolveFurtherOptions,
  resolveModuleOptions,
  resolveResourceOptions,
} from '../../src/core/options.js';
import { onUnhandledRejection } from '../support/tokens/unhandled-rejections.js';

const ISSUER = 'https://auth.example.com';
const RESOURCE = 'https://api.example.com/mcp';
const VALID = { issuer: ISSUER, resource: RESOURCE };

/** The problems that the module finds; `never` because hostile options have no type. */
function problemsOf(options: unknown): readonly string[] {
  try {
    resolveModuleOptions(options as never);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as ConfigurationError).problems;
  }
}

const withOption = (name: string, value: unknown) => problemsOf({ ...VALID, [name]: value });

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

  it('a client of its own starts eagerly', () => {
    expect(resolveClientOptions({ issuer: ISSUER }).startup).toBe('eager');
    expect(resolveClientOptions({ issuer: ISSUER, startup: 'lazy' }).startup).toBe('lazy');
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

describe('the resource', () => {
  it.each([
    ['https://api.example.com', undefined, 'https://api.example.com/mcp'],
    ['https://api.example.com/', undefined, 'https://api.example.com/mcp'],
    ['https://api.example.com/v2', undefined, 'https://api.example.com/v2/mcp'],
    ['https://api.example.com/v2/', '/tools/mcp', 'https://api.example.com/v2/tools/mcp'],
    ['https://api.example.com', '/', 'https://api.example.com/'],
    ['https://api.example.com:8443', '/mcp/', 'https://api.example.com:8443/mcp/'],
  ])('baseUrl %s and mcpPath %p are %s', (baseUrl, mcpPath, resource) => {
    const options = mcpPath === undefined ? { baseUrl } : { baseUrl, mcpPath };
    expect(resolveResourceOptions(options, false).resource).toBe(resource);
  });

  it.each([
    'https://api.example.com',
    'https://api.example.com/',
    `${RESOURCE}/`,
    `${RESOURCE}?a=b`,
  ])('an explicit one wins and is never rewritten: %s', (resource) => {
    const options = { resource, baseUrl: 'https://other.example', mcpPath: '/x' };
    expect(resolveResourceOptions(options, false).resource).toBe(resource);
  });

  it('either resource or baseUrl is needed', () => {
    expect(problemsOf({ issuer: ISSUER })).toEqual([
      'resource: give either resource, or baseUrl (with mcpPath, default "/mcp"); ' +
        'authplaneOptionsFromEnv() takes them from AUTHPLANE_RESOURCE and AUTHPLANE_BASE_URL',
    ]);
  });

  it.each([
    ['https://API.example.com/mcp', /is written "https:\/\/api\.example\.com\/mcp" by clients/],
    ['https://api.example.com:443/mcp', /is written "https:\/\/api\.example\.com\/mcp"/],
    ['https://api.example.com/a/../mcp', /is written/],
    ['https://api.example.com\\mcp', /is written/],
    ['https:/api.example.com/mcp', /absolute https URL/],
  ])('RFC 8707 §2: %s is not how clients write it', (resource, problem) => {
    expect(withOption('resource', resource)).toEqual([expect.stringMatching(problem)]);
  });

  it('the joined URL is judged too', () => {
    const options = { issuer: ISSUER, baseUrl: 'https://api.example.com', mcpPath: '/a/../b' };
    expect(problemsOf(options)).toEqual([expect.stringMatching(/^baseUrl and mcpPath: .*written/)]);
  });

  it('9.6b: a parameter in mcpPath is no literal part of a resource', () => {
    const options = {
      issuer: ISSUER,
      baseUrl: 'https://api.example.com',
      mcpPath: '/mcp/:profile',
    };
    expect(problemsOf(options)).toEqual([expect.stringMatching(/^mcpPath: .*not a parameter/)]);
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
      const problems = problemsOf({ issuer: ISSUER, baseUrl: 'https://a.example', [name]: value });
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
      const [problem] = problemsOf({ issuer: ISSUER, baseUrl: 'https://a.example', [name]: value });
      expect(problem).toMatch(new RegExp(`^${name}: must`));
      expect(problem).not.toContain('pa55word');
    }
    const hidden = withOption('mcp', { allowedOrigins: ['https://me:pa55word@a.example'] });
    expect(hidden.join()).toMatch(/is not an origin/);
    expect(hidden.join()).not.toContain('pa55word');
  });

  it('RFC 8414 §2: the issuer has no query; neither has baseUrl', () => {
    expect(withOption('issuer', 'https://auth.example.com?a')).toEqual([
      'issuer: must have no query (RFC 8414 §2)',
    ]);
    expect(withOption('baseUrl', 'https://api.example.com/?a')).toEqual([
      'baseUrl: must have no query',
    ]);
  });

  it('RFC 8414 §3.3: the issuer stays byte for byte', () => {
    for (const issuer of [ISSUER, `${ISSUER}/`, `${ISSUER}/tenant/`, 'https://AUTH.example.com']) {
      expect(resolveModuleOptions({ ...VALID, issuer }).client.issuer).toBe(issuer);
    }
  });

  const wrong: [string, unknown[], RegExp][] = [
    ['devMode', ['true', 1, null], /true or false/],
    ['enforceScopesOnAllRequests', ['yes', 0, null], /true or false/],
    ['jwksRefreshSeconds', [0, -1, 86_401, NaN, Infinity, '300', null], /from 1 to 86400/],
    ['metadataRefreshSeconds', [0, -1, 86_401, NaN, '300'], /from 1 to 86400/],
    ['maxStaleSeconds', [-1, 604_801, NaN, Infinity, '1'], /from 0 to 604800/],
    ['clockSkewSeconds', [-1, 121, NaN, Infinity, '60', null], /from 0 to 120/],
    ['maxTokenLength', [1023, 131_073, 2000.5, NaN, '2000', null], /from 1024 to 131072/],
    ['maxTokenLifetimeSeconds', [59, 31_536_001, NaN, Infinity, '60', null], /from 60 to 31536000/],
    ['startup', ['Lazy', '', true, null], /'lazy', 'eager'/],
    ['fetch', ['fetch', {}, null], /must be a function/],
    ['onBackgroundFailure', ['x', {}, null], /must be a function/],
    ['clock', [null, 'clock', {}, { now: () => 0 }, { elapsed: () => 0 }], /now and elapsed/],
    ['mcpPath', ['mcp', '', '/a?b', '/a#b', '/a b', 1, null], /path that starts with/],
    [
      'mcpPath',
      ['/mcp/:profile', '/:org/mcp', '/mcp/*', '/mcp/{id}'],
      /not a parameter.*forFeature/,
    ],
    ['scopes', ['a b', {}, null, 1], /list of scope strings/],
    [
      'scopes',
      [['a b'], ['a', ''], [1], [null], [undefined], ['a"'], ['\u00e9'], [1n], [, 'a']],
      /is not a scope/,
    ],
    ['allowedAlgorithms', ['ES256', {}, null, []], /list with at least one entry/],
    [
      'allowedAlgorithms',
      [['HS256'], ['ES256', 'none'], ['es256'], ['ES256K'], [null], [undefined], [1n]],
      /is not allowed; choose from ES256/,
    ],
    ['scopeHierarchy', ['admin', 1, null], /table or a function/],
    ['scopeHierarchy', [[], new Map()], /table or a function/],
    ['scopeHierarchy', [{ admin: 'read' }, { admin: null }], /"admin": must be a list/],
    ['scopeHierarchy', [{ admin: ['a b'] }, { admin: [undefined] }], /"admin": .* is not a scope/],
  ];
  it.each(wrong)('%s: %p', (name, values, problem) => {
    for (const value of values) {
      expect(withOption(name, value)).toEqual([expect.stringMatching(problem)]);
      expect(withOption(name, value)[0]).toMatch(new RegExp(`^${name}: `));
    }
  });

  const right: [string, unknown[]][] = [
    ['devMode', [true, false]],
    ['enforceScopesOnAllRequests', [true, false]],
    ['jwksRefreshSeconds', [1, 86_400, 0.5 + 1]],
    ['metadataRefreshSeconds', [1, 86_400]],
    ['maxStaleSeconds', [0, 604_800]],
    ['clockSkewSeconds', [0, 120]],
    ['maxTokenLifetimeSeconds', [60, 31_536_000]],
    ['maxTokenLength', [1024, 131_072]],
    ['startup', ['lazy', 'eager']],
    ['fetch', [fetch]],
    ['onBackgroundFailure', [() => undefined]],
    ['clock', [{ now: () => 0, elapsed: () => 0 }]],
    ['mcpPath', ['/', '/mcp', '/a/b/', '/mcp/v1:batch']],
    ['scopes', [[], ['a', 'mcp:read', 'https://x/y']]],
    ['allowedAlgorithms', [['ES256'], ['RS512', 'PS384', 'Ed25519', 'ES512']]],
    ['scopeHierarchy', [{}, { admin: [] }, { admin: ['read'] }, () => true]],
  ];
  it.each(right)('%s takes %p', (name, values) => {
    for (const value of values) expect(withOption(name, value)).toEqual([]);
  });

  it.each(['inboundDPoP', 'mcp', 'consent'])('%s holds options by name', (name) => {
    for (const value of [[], ['x'], new Map(), Promise.resolve({}), 'x', true, null]) {
      expect(withOption(name, value)).toEqual([`${name}: must be an object`]);
    }
    expect(withOption(name, {})).toEqual([]);
  });

  it.each(['tools', 'resources', 'prompts'])('mcp.%s is a table', (name) => {
    for (const value of [[], new Map([['tool', ['scope']]]), null]) {
      expect(withOption('mcp', { [name]: value })).toEqual([`mcp: ${name}: must be a table`]);
    }
  });

  it.each([[undefined], [null], ['https://auth.example.com'], [1]])(
    'options that are %p are no options',
    (options) => {
      expect(problemsOf(options)).toContain('the options must be an object');
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
    expect(withOption(name, true)).toEqual([`${name}: unknown option; did you mean ${meant}?`]);
  });

  it.each(['audience', 'toString', 'constructor', '__proto__x'])('%s is unknown', (name) => {
    expect(withOption(name, undefined)).toEqual([`${name}: unknown option`]);
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
    const error = new ConfigurationError(problemsOf(options));
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
    expect(problemsOf({ ...local, devMode: true })).toEqual([]);
    expect(problemsOf({ ...local, devMode: false })).toHaveLength(2);
    expect(problemsOf(local)).toHaveLength(2);
    for (const bad of [
      'http://u@localhost',
      'http://localhost#a',
      'ftp://localhost',
      'localhost',
    ]) {
      expect(problemsOf({ ...local, devMode: true, issuer: bad })).toHaveLength(1);
    }
  });

  it.each(['true', 1, {}])('%p does not switch it on', (devMode) => {
    const options = { issuer: 'http://localhost', resource: RESOURCE, devMode };
    expect(problemsOf(options).join()).toMatch(/must use https/);
  });
});

describe('inboundDPoP.nonce', () => {
  const SECRET = 'canary: a secret of thirty-two bytes, at least';
  const withNonce = (nonce: unknown) => withOption('inboundDPoP', { nonce });

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
  ])('hardening: allowedOrigins %j is refused at the start', (allowedOrigins) => {
    expect(withOption('consent', { allowedOrigins })).toEqual([
      expect.stringMatching(/^consent: allowedOrigins: .*origin/),
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
    expect(withOption('consent', { retryDelaysMs })).toEqual([
      'consent: retryDelaysMs: must be a list of at most 10 pauses of 0 to 30000 milliseconds',
    ]);
  });

  it('takes web origins and pauses', () => {
    const allowedOrigins = ['https://connect.example.com', 'http://localhost:3000'];
    const consent = { allowedOrigins, retryDelaysMs: [0, 0.5, 30_000] };
    expect(withOption('consent', consent)).toEqual([]);
  });

  it('browser extensions may call the MCP endpoint', () => {
    expect(withOption('mcp', { allowedOrigins: ['chrome-extension://abc'] })).toEqual([]);
  });
});

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
    expect(mcp).toEqual({ allowedOrigins: ['https://app.example.com'], list: 'hide' });
  });

  it('has its own scopes and operations', () => {
    const { resource, mcp } = further({ mcp: { prompts: { p: ['b'] } } });
    expect([resource.scopes, mcp.tools, mcp.prompts]).toEqual([[], undefined, { p: ['b'] }]);
  });

  it('only there does false switch a protection off', () => {
    const off = { inboundDPoP: false, revocationChecker: false, mcp: { allowedOrigins: false } };
    expect(further(off as FurtherResourceOptions)).toMatchObject({
      resource: { inboundDPoP: undefined, revocationChecker: undefined },
      mcp: { list: 'hide' },
    });
    expect(problemsOf({ ...VALID, ...off })).toHaveLength(2);
  });
});
