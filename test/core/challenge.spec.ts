import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import fc from 'fast-check';
import {
  ChallengeMemory,
  type ChallengeOptions,
  httpStatus,
  publicSentence,
  toChallenge,
  wwwAuthenticate,
} from '../../src/core/challenge.js';
import { ANSWERED_ERRORS } from '../../src/core/error-answers.js';
import * as errors from '../support/tokens/errors.js';
import { parseChallenges } from '../support/tokens/challenge-parser.js';
import { anyText } from '../support/text/any-text.js';

const REALM = 'https://api.example.com/mcp';
const METADATA = 'https://api.example.com/.well-known/oauth-protected-resource/mcp';
const OPTIONS: ChallengeOptions = {
  realm: REALM,
  resourceMetadataUrl: METADATA,
  scopes: ['tools/list', 'tools/query'],
  schemes: ['Bearer'],
};
const BOTH: ChallengeOptions = {
  ...OPTIONS,
  schemes: ['Bearer', 'DPoP'],
  proofAlgorithms: ['ES256', 'EdDSA'],
};
const DPOP_ONLY: ChallengeOptions = { ...BOTH, schemes: ['DPoP'] };

const tokenErrors = [
  new errors.TokenExpiredError('x'),
  new errors.InvalidSignatureError('x'),
  new errors.InvalidClaimsError('x'),
  new errors.TokenRevokedError('x'),
];
const proofErrors = [
  new errors.InvalidDPoPProofError('x'),
  new errors.DPoPMultipleProofsError('x'),
  new errors.DPoPReplayDetectedError('x'),
];
const unavailable = [
  new errors.AuthorizationServerUnavailableError('x', { retryAfterSeconds: 7 }),
  new errors.JWKSFetchError('x', { retryAfterSeconds: 7 }),
  new errors.MetadataFetchError('x', { retryAfterSeconds: 7 }),
  new errors.MissingMetadataEndpointError('token_endpoint', { retryAfterSeconds: 7 }),
  new errors.CircuitOpenError('x', { retryAfterSeconds: 7 }),
];
const notInbound = [
  new errors.ConfigurationError('x'),
  new errors.ProtocolError('x'),
  new errors.OAuthError('x', { error: 'invalid_request', statusCode: 400 }),
  new errors.InvalidClientError('x', { error: 'invalid_client', statusCode: 401 }),
  new errors.ServerError('x', { error: 'server_error', statusCode: 500 }),
  new Error('x'),
  new TypeError('x'),
  { name: 'InvalidClaimsError', code: 'invalid_claims' },
  'text',
  null,
  undefined,
];
const nameOf = (error: unknown) => (error instanceof Error ? error.name : String(error));

const isAnswered = (error: unknown) => ANSWERED_ERRORS.some((kind) => error instanceof kind);

describe('at a resource with bearer tokens', () => {
  it('RFC 6750 §3.1: no credentials: 401 and no error code', () => {
    const answer = toChallenge(new errors.TokenMissingError(), OPTIONS);
    expect(answer.status).toBe(401);
    expect(answer.headers['WWW-Authenticate']).toBe(
      `Bearer realm="${REALM}", scope="tools/list tools/query", resource_metadata="${METADATA}"`,
    );
    expect(answer.body).toMatchObject({ error: 'unauthorized' });
  });

  it.each(tokenErrors)('RFC 6750 §3.1: $name: 401 invalid_token', (error) => {
    const answer = toChallenge(error, OPTIONS);
    expect(answer.status).toBe(401);
    expect(parseChallenges(answer.headers['WWW-Authenticate'])).toEqual([
      {
        scheme: 'Bearer',
        parameters: [
          ['realm', REALM],
          ['error', 'invalid_token'],
          ['scope', 'tools/list tools/query'],
          ['resource_metadata', METADATA],
          ['error_description', expect.any(String)],
        ],
      },
    ]);
    expect(answer.body).toEqual({ error: 'invalid_token', error_description: expect.any(String) });
  });

  it('T57: every refused token gets one and the same answer', () => {
    const answers = tokenErrors.map((error) => JSON.stringify(toChallenge(error, OPTIONS)));
    expect(new Set(answers).size).toBe(1);
  });

  it('RFC 6750 §3.1: a missing scope: 403 with the scopes of the operation, not of the resource', () => {
    const answer = toChallenge(new errors.InsufficientScopeError(['a', 'b']), OPTIONS);
    expect(answer.status).toBe(403);
    expect(parseChallenges(answer.headers['WWW-Authenticate'])).toEqual([
      {
        scheme: 'Bearer',
        parameters: [
          ['realm', REALM],
          ['error', 'insufficient_scope'],
          ['scope', 'a b'],
          ['resource_metadata', METADATA],
          ['error_description', expect.any(String)],
        ],
      },
    ]);
    expect(answer.body).toEqual({ error: 'insufficient_scope', scope: 'a b' });
  });

  it('RFC 6750 §3.1: malformed credentials: 400 invalid_request', () => {
    const answer = toChallenge(new errors.MalformedCredentialsError('x'), OPTIONS);
    expect(answer.status).toBe(400);
    expect(answer.headers['WWW-Authenticate']).toMatch(
      /^Bearer realm="[^"]+", error="invalid_request"/,
    );
    expect(answer.body).toMatchObject({ error: 'invalid_request' });
  });

  it('DPoP that is switched off: Bearer invalid_token', () => {
    const answer = toChallenge(new errors.DPoPNotSupportedError('x'), OPTIONS);
    expect(answer.status).toBe(401);
    expect(answer.headers['WWW-Authenticate']).toMatch(
      /^Bearer realm="[^"]+", error="invalid_token"/,
    );
    expect(answer.headers['WWW-Authenticate']).not.toContain('DPoP realm');
  });

  it.each(unavailable)('DECISIONS 4: $name: 503, Retry-After, no challenge', (error) => {
    const answer = toChallenge(error, OPTIONS);
    expect(answer).toEqual({
      status: 503,
      headers: { 'Cache-Control': 'no-store', 'Retry-After': '7' },
      body: { error: 'temporarily_unavailable' },
    });
  });

  it.each([
    [undefined, '5'],
    [0, '1'],
    [-3, '1'],
    [0.2, '1'],
    [2.1, '3'],
  ])('RFC 9110 §10.2.3: Retry-After of %p is %s', (retryAfterSeconds, expected) => {
    const options = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
    const { headers } = toChallenge(new errors.JWKSFetchError('x', options), OPTIONS);
    expect(headers['Retry-After']).toBe(expected);
  });

  it('what is not about the inbound request: 500, no challenge, no detail', () => {
    for (const error of notInbound) {
      expect(isAnswered(error)).toBe(false);
      expect(httpStatus(error)).toBe(500);
      expect(wwwAuthenticate(error, OPTIONS)).toBeUndefined();
      expect(toChallenge(error, OPTIONS).body).toEqual({ error: 'internal_error' });
    }
  });

  it('RFC 6750 §5.3: no answer is stored by caches', () => {
    for (const error of [...tokenErrors, ...unavailable, ...notInbound]) {
      expect(toChallenge(error, OPTIONS).headers['Cache-Control']).toBe('no-store');
    }
  });
});

describe('at a resource with DPoP', () => {
  it('RFC 9449 §7.2: no credentials: a challenge for each scheme, none with an error code', () => {
    const value = wwwAuthenticate(new errors.TokenMissingError(), BOTH);
    const challenges = parseChallenges(value);
    expect(challenges.map(({ scheme }) => scheme)).toEqual(['Bearer', 'DPoP']);
    expect(value).not.toContain('error');
    expect(challenges[0]?.parameters).toContainEqual(['resource_metadata', METADATA]);
    expect(challenges[1]?.parameters).toContainEqual(['algs', 'ES256 EdDSA']);
  });

  it('RFC 9449 §7.1: where it is required only DPoP is offered', () => {
    const challenges = parseChallenges(wwwAuthenticate(new errors.TokenMissingError(), DPOP_ONLY));
    expect(challenges).toEqual([
      {
        scheme: 'DPoP',
        parameters: [
          ['realm', REALM],
          ['scope', 'tools/list tools/query'],
          ['resource_metadata', METADATA],
          ['algs', 'ES256 EdDSA'],
        ],
      },
    ]);
  });

  it.each(proofErrors)('RFC 9449 §7.1: $name: 401 DPoP invalid_dpop_proof with algs', (error) => {
    for (const options of [BOTH, DPOP_ONLY]) {
      const answer = toChallenge(error, options);
      expect(answer.status).toBe(401);
      expect(parseChallenges(answer.headers['WWW-Authenticate'])).toEqual([
        {
          scheme: 'DPoP',
          parameters: [
            ['realm', REALM],
            ['error', 'invalid_dpop_proof'],
            ['scope', 'tools/list tools/query'],
            ['resource_metadata', METADATA],
            ['error_description', expect.any(String)],
            ['algs', 'ES256 EdDSA'],
          ],
        },
      ]);
      expect(answer.body).toMatchObject({ error: 'invalid_dpop_proof' });
    }
  });

  it.each([
    new errors.DPoPError('x'),
    new errors.DPoPProofMissingError('x'),
    new errors.DPoPBindingMismatchError('x'),
  ])('RFC 9449 §7.1: $name: 401 DPoP invalid_token', (error) => {
    const answer = toChallenge(error, BOTH);
    expect(answer.status).toBe(401);
    const [challenge, ...others] = parseChallenges(answer.headers['WWW-Authenticate']);
    expect(others).toEqual([]);
    expect(challenge?.scheme).toBe('DPoP');
    expect(challenge?.parameters).toContainEqual(['error', 'invalid_token']);
    expect(challenge?.parameters).toContainEqual(['algs', 'ES256 EdDSA']);
  });

  it('RFC 9449 §9: a nonce is wanted: 401 DPoP use_dpop_nonce', () => {
    const answer = toChallenge(new errors.DPoPNonceRequiredError('x'), BOTH);
    expect(answer.status).toBe(401);
    expect(answer.headers['WWW-Authenticate']).toMatch(/^DPoP .*error="use_dpop_nonce"/);
  });

  it.each(tokenErrors)('$name: the code stands in the first challenge only', (error) => {
    const challenges = parseChallenges(wwwAuthenticate(error, BOTH));
    expect(challenges[0]?.parameters).toContainEqual(['error', 'invalid_token']);
    for (const { parameters } of challenges.slice(1)) {
      expect(parameters.map(([name]) => name)).not.toContain('error');
    }
  });
});

describe('RFC 9449 §9: the nonce', () => {
  const dpopNonce = 'nonce-1';

  it('goes with every answer that challenges DPoP', () => {
    for (const error of [...proofErrors, ...tokenErrors, new errors.TokenMissingError()]) {
      const { headers } = toChallenge(error, { ...BOTH, dpopNonce });
      expect(headers['DPoP-Nonce']).toBe(dpopNonce);
    }
    const bare = toChallenge(new errors.TokenMissingError(), { schemes: ['DPoP'], dpopNonce });
    expect(bare.headers).toMatchObject({ 'WWW-Authenticate': 'DPoP', 'DPoP-Nonce': dpopNonce });
  });

  it('goes with no other, whatever the realm says', () => {
    const realm = 'No DPoP here';
    const bearer = toChallenge(tokenErrors[0], { ...OPTIONS, realm, dpopNonce });
    expect(bearer.headers['WWW-Authenticate']).toContain(realm);
    expect(bearer.headers).not.toHaveProperty('DPoP-Nonce');
    for (const error of [new errors.InsufficientScopeError(['a']), ...unavailable]) {
      const options = { ...BOTH, realm, dpopNonce, presentedScheme: 'Bearer' } as const;
      expect(toChallenge(error, options).headers).not.toHaveProperty('DPoP-Nonce');
    }
  });
});

describe('consent', () => {
  const issuer = 'https://auth.example.com';
  const bodyOf = (consentUrl: string, consentPolicy?: { issuer: string }) => {
    const error = new errors.ConsentRequiredError('x', {
      error: 'consent_required',
      statusCode: 400,
      consentUrl,
    });
    const answer = toChallenge(error, consentPolicy === undefined ? {} : { consentPolicy });
    expect(answer.status).toBe(403);
    expect(answer.body['error']).toBe('consent_required');
    return answer.body;
  };

  it('names the page to open', () => {
    const page = `${issuer}/connect/google?resource=google-cal`;
    expect(bodyOf(page, { issuer })).toMatchObject({ consent_url: page });
  });

  it.each([
    `${issuer}/authorize?resource=google-cal`,
    `${issuer}/oauth/authorize?resource=google-cal`,
    'https://evil.example/connect',
    'javascript:alert(1)',
  ])('T50: names none: %s', (consentUrl) => {
    expect(bodyOf(consentUrl, { issuer })).not.toHaveProperty('consent_url');
  });

  it('names none without a policy', () => {
    expect(bodyOf(`${issuer}/connect/google`)).not.toHaveProperty('consent_url');
  });
});

describe('without options', () => {
  it('a DPoP error is challenged as DPoP, anything else as Bearer', () => {
    expect(wwwAuthenticate(new errors.InvalidDPoPProofError('x'))).toMatch(/^DPoP error=/);
    expect(wwwAuthenticate(new errors.DPoPError('x'))).toMatch(/^DPoP error=/);
    expect(wwwAuthenticate(new errors.MalformedCredentialsError('x'))).toMatch(/^Bearer error=/);
  });

  it('there is still a challenge, of a bare scheme or with the code', () => {
    expect(wwwAuthenticate(new errors.TokenMissingError())).toBe('Bearer');
    expect(wwwAuthenticate(new errors.InvalidClaimsError('x'))).toMatch(
      /^Bearer error="invalid_token", error_description="[^"]+"$/,
    );
  });

  it('empty values leave their parameter out', () => {
    const options = {
      realm: '',
      resourceMetadataUrl: '',
      scopes: [],
      schemes: ['Bearer'] as const,
    };
    expect(wwwAuthenticate(new errors.TokenMissingError(), options)).toBe('Bearer');
  });

  it('no message of an error reaches the wire', () => {
    for (const error of [
      new errors.TokenExpiredError('canary'),
      new errors.MalformedCredentialsError('canary'),
      new errors.DPoPReplayDetectedError('canary'),
      new errors.JWKSFetchError('canary'),
      new Error('canary'),
    ]) {
      for (const options of [{}, OPTIONS, BOTH]) {
        expect(JSON.stringify(toChallenge(error, options))).not.toContain('canary');
      }
    }
  });
});

describe('T37: hostile option values', () => {
  const challenged = [
    new errors.TokenMissingError(),
    new errors.InvalidClaimsError('x'),
    new errors.InvalidDPoPProofError('x'),
    new errors.MalformedCredentialsError('x'),
    new errors.DPoPError('x'),
    new errors.DPoPNotSupportedError('x'),
    new errors.DPoPNonceRequiredError('x'),
  ];

  const order = ['realm', 'error', 'scope', 'resource_metadata', 'error_description', 'algs'];

  /** What is wrong with a header value; throws when it does not parse. */
  function flawOf(value = ''): string | undefined {
    if (!/^[\x20-\x7e]+$/.test(value)) return 'not printable ASCII';
    if (value.length >= 1024) return `${value.length} characters`;
    for (const { scheme, parameters } of parseChallenges(value)) {
      const names = parameters.map(([name]) => name);
      const sorted = order.filter((name) => names.includes(name));
      if (names.join() !== sorted.join()) return `wrong order: ${names.join()}`;
      if (scheme !== 'Bearer' && scheme !== 'DPoP') return `scheme ${scheme}`;
    }
    return undefined;
  }

  function expectSoundEverywhere(
    text: string,
    list: readonly string[],
    refusals = [...challenged, new errors.InsufficientScopeError(list)],
  ): void {
    const options = { realm: text, resourceMetadataUrl: text, scopes: list, proofAlgorithms: list };
    const schemes = [['Bearer'], ['Bearer', 'DPoP'], ['DPoP'], ['DPoP', 'Bearer']] as const;
    const all = [options, ...schemes.map((some) => ({ ...options, schemes: some }))];
    for (const error of refusals) {
      for (const one of all) {
        const flaw = flawOf(wwwAuthenticate(error, one));
        if (flaw !== undefined) throw new Error(`${error.name}: ${flaw}`);
      }
    }
  }

  it.each([
    ['CR LF and a header', 'a\r\nSet-Cookie: b=c'],
    ['quotes', 'a", error="none'],
    ['a backslash at the end', 'a\\'],
    ['NUL', 'a\0b'],
    ['a line separator', 'a\u2028b'],
    ['an emoji', '\u{1f600}'],
    ['a lone surrogate', '\ud800'],
    ['DEL', '\x7f'],
    ['8 KB', 'x'.repeat(8192)],
    ['8 KB of quotes', '"'.repeat(8192)],
    ['8 KB of emoji', '\u{1f600}'.repeat(4096)],
  ])('%s', (_, text) => {
    expect(() => expectSoundEverywhere(text, [text])).not.toThrow();
    expect(() => expectSoundEverywhere(text, [text, text, 'scope'])).not.toThrow();
  });

  it('1 MB', () => {
    const text = 'y'.repeat(1_048_576);
    for (const list of [[text], [text, text, 'scope']]) {
      expectSoundEverywhere(text, list, [new errors.InsufficientScopeError(list)]);
    }
  });

  it('thousands of scopes and algorithms', () => {
    expectSoundEverywhere(
      'r',
      Array.from({ length: 5000 }, (_, i) => `scope-${i}`),
    );
  });

  it('any text whatever', () => {
    expect(() => expectSoundEverywhere('a', ['b'])).not.toThrow();
    const text = fc.oneof(
      anyText({ maxLength: 2000 }),
      fc.string({ unit: fc.constantFrom(...'",\\= \r\nBearer\u2028\ud800'), maxLength: 400 }),
    );
    fc.assert(
      fc.property(text, fc.array(text, { maxLength: 4 }), (value, list) => {
        expectSoundEverywhere(value, list);
      }),
      { numRuns: 500 },
    );
  });

  const vectors = structuredFieldStrings();
  (vectors.length === 0 ? it.skip : it)('the strings of the structured fields test suite', () => {
    expect(vectors.length).toBeGreaterThan(500);
    for (const text of vectors) {
      expect(() => expectSoundEverywhere(text, [text])).not.toThrow();
    }
  });

  const manyScopes = (count: number) =>
    Array.from({ length: count }, (_, i) => `things:read:${String(i).padStart(3, '0')}`);

  it('10.23: 80 scopes of an operation are all in its challenge', () => {
    const scopes = manyScopes(80);
    const refusal = new errors.InsufficientScopeError(scopes);
    const value = wwwAuthenticate(refusal, OPTIONS) ?? '';
    expect(value).toContain(`scope="${scopes.join(' ')}"`);
    expect(value).toContain(`resource_metadata="${METADATA}"`);
    expect(value.length).toBeLessThan(2900);
  });

  it('10.23: where not even they fit, scopes outlast the rest of a 403, and the metadata a 401', () => {
    const long = { ...OPTIONS, resourceMetadataUrl: `https://a.example/${'p'.repeat(1500)}` };
    const forbidden = new errors.InsufficientScopeError(manyScopes(100));
    expect(wwwAuthenticate(forbidden, long)).toMatch(/^\S+ error="insufficient_scope", scope="/);
    expect(wwwAuthenticate(forbidden, long)).not.toMatch(/resource_metadata/);
    const scopes = manyScopes(100);
    const unauthorized = wwwAuthenticate(new errors.TokenMissingError(), { ...long, scopes }) ?? '';
    expect(unauthorized).toMatch(/resource_metadata="https:/);
    expect(unauthorized).not.toMatch(/scope=/);
    const endless = wwwAuthenticate(new errors.InsufficientScopeError(manyScopes(5000)), long);
    expect(endless?.length).toBeLessThan(2900);
  });

  it('RFC 6750 §3: what a client cannot do without stays when space is short', () => {
    const options = { ...OPTIONS, realm: 'r'.repeat(900), scopes: ['s'.repeat(200)] };
    const value = wwwAuthenticate(new errors.InvalidClaimsError('x'), options) ?? '';
    expect(value).toContain('error="invalid_token"');
    expect(value).toContain(`resource_metadata="${METADATA}"`);
    expect(value).not.toContain('realm');
  });
});

function structuredFieldStrings(): string[] {
  const folder = '../shared/vectors/structured-fields';
  const files = ['string.json', 'string-generated.json', 'token.json', 'token-generated.json'];
  try {
    return files.flatMap((file) =>
      (JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as { raw: string[] }[]).flatMap(
        ({ raw }) => raw,
      ),
    );
  } catch {
    console.warn(`SKIPPED: ${folder} is not there, its strings were not tried as option values`);
    return [];
  }
}

describe('9.16: an answer of the authorization server', () => {
  const refused = (statusCode: number, retryAfterSeconds?: number) =>
    toChallenge(new errors.OAuthError('secret', { error: 'x', statusCode, retryAfterSeconds }));

  it.each([429, 502, 503, 504])('%i of the token endpoint passes by itself: 503', (status) => {
    const { headers, ...answer } = refused(status, 7);
    expect(answer).toEqual({ status: 503, body: { error: 'temporarily_unavailable' } });
    expect(headers).toEqual({ 'Cache-Control': 'no-store', 'Retry-After': '7' });
  });

  it.each([
    [undefined, '5'],
    [0, '1'],
    [60, '60'],
    [61, '60'],
    [999_999_999, '60'],
  ])('whose Retry-After is %s sends clients away for %s seconds', (given, sent) => {
    expect(refused(429, given).headers['Retry-After']).toBe(sent);
  });

  it.each([200, 201, 400, 401, 404, 500])('%i is nothing the client should know of', (status) => {
    expect(refused(status)).toEqual({
      status: 500,
      headers: { 'Cache-Control': 'no-store' },
      body: { error: 'internal_error' },
    });
  });

  it('that refuses access is a 403 without a challenge', () => {
    const denied = new errors.AccessDeniedError('secret', {
      error: 'access_denied',
      statusCode: 403,
    });
    expect(toChallenge(denied, OPTIONS)).toEqual({
      status: 403,
      headers: { 'Cache-Control': 'no-store' },
      body: {
        error: 'access_denied',
        error_description: 'The caller may not use this operation',
      },
    });
  });
});

describe('the public sentence', () => {
  it.each([
    [new errors.InvalidClaimsError('internal'), /^The access token is missing, expired, revoked/],
    [
      new errors.InsufficientScopeError(['a', 'b']),
      /lacks a scope that this operation needs: a b$/,
    ],
    [new errors.JWKSFetchError('internal'), /try again in a moment$/],
    [new errors.ProtocolError('internal'), /^The operation failed$/],
    [new Error('internal'), /^The operation failed$/],
  ])('of %p says what the body says, and nothing of the message', (error, sentence) => {
    expect(publicSentence(error)).toMatch(sentence);
    expect(publicSentence(error)).not.toContain('internal');
  });
});

describe('the table of answers', () => {
  it('has an answer for every error class of the package', () => {
    const base = { error: 'x', statusCode: 400 };
    const make: Record<string, () => unknown> = {
      TokenMissingError: () => new errors.TokenMissingError(),
      InsufficientScopeError: () => new errors.InsufficientScopeError([]),
      MissingMetadataEndpointError: () => new errors.MissingMetadataEndpointError('jwks_uri'),
      ConfigurationError: () => new errors.ConfigurationError('x'),
      ConsentRequiredError: () => new errors.ConsentRequiredError('x', base),
    };
    const outbound = new Set(['ConfigurationError', 'ProtocolError']);
    for (const [name, type] of Object.entries(errors)) {
      if (typeof type !== 'function' || name === 'AuthplaneError') continue;
      const anyType = type as unknown as new (message: string, options: object) => Error;
      const error = make[name]?.() ?? new anyType('x', base);
      const isOutbound =
        outbound.has(name) ||
        (error instanceof errors.OAuthError &&
          !(error instanceof errors.ConsentRequiredError) &&
          !(error instanceof errors.AccessDeniedError));
      expect([name, isAnswered(error)]).toEqual([name, !isOutbound]);
      expect([name, nameOf(error)]).toEqual([name, name]);
    }
  });

  it.each([
    [new errors.SessionNotFoundError('x'), 404, -32001, 'Session not found'],
    [new errors.OriginRefusedError('x'), 403, -32000, 'Forbidden: Origin not allowed'],
  ])('$name is answered as an MCP server would, without a challenge', (error, ...expected) => {
    const { status, headers, body } = toChallenge(error, OPTIONS);
    const [wanted, code, message] = expected;
    expect([status, headers]).toEqual([wanted, { 'Cache-Control': 'no-store' }]);
    expect(body).toEqual({ jsonrpc: '2.0', error: { code, message }, id: null });
  });
});

describe('12.8: verboseErrors', () => {
  const VERBOSE = { ...OPTIONS, verboseErrors: true };
  const described = (error: unknown, options: ChallengeOptions = VERBOSE) => {
    const { headers, body } = toChallenge(error, options);
    const header = headers['WWW-Authenticate'];
    const [challenge] = header === undefined ? [] : parseChallenges(header);
    const found = challenge?.parameters.find(([name]) => name === 'error_description');
    return [found?.[1], body['error_description']];
  };

  it('names the reason in the challenge and in the body', () => {
    const error = new errors.InvalidClaimsError('aud "x" does not contain the resource "y"');
    const reason = `aud 'x' does not contain the resource 'y'`;
    expect(described(error)).toEqual([reason, reason]);
  });

  it('a missing scope: what the token has; the body keeps its scope', () => {
    const error = new errors.InsufficientScopeError(['a'], { grantedScopes: ['b'] });
    const [challenge, body] = described(error);
    expect(challenge).toMatch(/the token has: b$/);
    expect(toChallenge(error, VERBOSE).body).toMatchObject({ scope: 'a', error_description: body });
    expect(toChallenge(error, OPTIONS).body).toEqual({ error: 'insufficient_scope', scope: 'a' });
  });

  it('no token: still no error in the challenge (RFC 6750 §3.1)', () => {
    const [challenge, body] = described(new errors.TokenMissingError('nothing there'));
    expect([challenge, body]).toEqual([undefined, 'nothing there']);
  });

  it('an outage names what is away', () => {
    expect(described(new errors.JWKSFetchError('keys: ECONNREFUSED'))[1]).toBe(
      'keys: ECONNREFUSED',
    );
  });

  it.each(notInbound.map((error) => [nameOf(error), error] as const))(
    'what is no answer to the request stays inside: %s',
    (_, error) => {
      expect(toChallenge(error, VERBOSE)).toEqual(toChallenge(error, OPTIONS));
    },
  );

  it('nothing that the authorization server said', () => {
    const refused = { error: 'access_denied', statusCode: 403 };
    for (const type of [errors.AccessDeniedError, errors.ConsentRequiredError]) {
      const error = new type('words of the server', refused);
      expect(toChallenge(error, VERBOSE)).toEqual(toChallenge(error, OPTIONS));
    }
  });

  it('of any text it is printable, unquoted and bounded', () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        const [challenge, body] = described(new errors.InvalidSignatureError(text));
        expect(String(challenge) + String(body)).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/);
      }),
    );
    const { headers } = toChallenge(new errors.InvalidSignatureError('x'.repeat(9000)), VERBOSE);
    expect(headers['WWW-Authenticate']?.length).toBeLessThan(1000);
  });
});

const remembered = [
  new errors.TokenMissingError(),
  new errors.TokenExpiredError('one'),
  new errors.TokenExpiredError('another'),
  new errors.InvalidSignatureError('bad'),
  new errors.InsufficientScopeError(['a']),
];

const requests = [[], ['a'], ['a', 'b']].flatMap((scopes) => [
  ...([undefined, 'Bearer', 'DPoP'] as const).map((presentedScheme) => ({
    scopes,
    presentedScheme,
  })),
  { scopes, dpopNonce: 'n1' },
]);

describe('challenges that are written once', () => {
  test.each([
    ['usual', BOTH],
    ['verbose', { ...BOTH, verboseErrors: true }],
  ])('are those that are written anew: %s', (_, options) => {
    const memory = new ChallengeMemory(options);
    for (const more of [...requests, ...requests]) {
      for (const error of remembered) {
        expect(memory.challenge(error, more)).toEqual(toChallenge(error, { ...options, ...more }));
      }
    }
  });

  it('whoever gets one may change it', () => {
    const memory = new ChallengeMemory(BOTH);
    const { headers, body } = memory.challenge(remembered[0], {});
    Object.assign(headers, { 'WWW-Authenticate': 'other' });
    Object.assign(body, { error: 'other' });
    expect(memory.challenge(remembered[0], {})).toEqual(toChallenge(remembered[0], BOTH));
  });

  it('are no more than so many, whatever is asked for', () => {
    const memory = new ChallengeMemory(BOTH);
    for (let i = 0; i < 1000; i++) memory.challenge(remembered[0], { scopes: [`s${i}`] });
    expect(memory.size).toBeLessThanOrEqual(100);
  });
});
