import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, type JWK } from 'jose';
import {
  AuthplaneClient,
  type ClientOptions,
  ConfigurationError,
  DPoPSigner,
  InvalidGrantError,
  MetadataFetchError,
  MissingMetadataEndpointError,
  ProtocolError,
  ServerError,
  TokenRevokedError,
} from '../../src/core/index.js';
import { ManualClock } from '../support/tokens/manual-clock.js';
import { mint, type SigningKey, signingKey } from '../support/tokens/keys-and-tokens.js';
import { refusalOf } from '../support/tokens/refusals.js';

/**
 * The rows of the conformance catalogue about what the client asks of the authorization server, with
 * the very values of the catalogue and through the public API. A test is named by the id of its row.
 */

const ISSUER = 'https://auth.example.com';
const RESOURCE = 'https://api.example.com';
const JWKS_URI = `${ISSUER}/.well-known/jwks.json`;
const ENDPOINTS = {
  token_endpoint: `${ISSUER}/oauth/token`,
  introspection_endpoint: `${ISSUER}/oauth/introspect`,
  revocation_endpoint: `${ISSUER}/oauth/revoke`,
};
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const SUCCESS = {
  access_token: 'new_token',
  token_type: 'Bearer',
  issued_token_type: ACCESS_TOKEN,
};
const CREDENTIALS = { clientId: 'my-client-id', clientSecret: 'my-client-secret' };

const key: SigningKey = signingKey('ES256', 'test-key-1');
const named = new Set<string>();
const closing: AuthplaneClient[] = [];

afterEach(() => {
  for (const client of closing.splice(0)) client.close();
});

/** A test of one row. `what` tells apart the tests of a row with variants. */
function row(id: string, what: string, test: () => Promise<void>): void {
  named.add(id);
  it(`${id}: ${what}`, test);
}

interface Sent {
  readonly url: string;
  readonly headers: Headers;
  readonly raw: string;
  readonly form: URLSearchParams;
}

type Answer = readonly [status: number, body: unknown, headers?: Readonly<Record<string, string>>];

interface Setup {
  readonly client: AuthplaneClient;
  /** The POST requests, in order. */
  readonly sent: readonly Sent[];
  last(): Sent;
}

/** A client whose authorization server gives these answers to POST requests; the last one stays. */
async function setUp(
  answers: readonly Answer[] = [[200, SUCCESS]],
  options: Partial<ClientOptions> = {},
  metadata: Readonly<Record<string, unknown>> = ENDPOINTS,
): Promise<Setup> {
  const sent: Sent[] = [];
  const waiting = [...answers];
  const client = await AuthplaneClient.create({
    issuer: ISSUER,
    clock: new ManualClock(),
    auth: { authenticate: () => ({}) }, // its own way, which adds nothing
    fetch: async (url, { method, headers, body = '' }) => {
      if (method === 'GET') return document(url, metadata);
      sent.push({ url, headers: new Headers(headers), raw: body, form: new URLSearchParams(body) });
      const [status, json, more] = (waiting.length > 1 ? waiting.shift() : waiting[0]) ?? [404, {}];
      return Response.json(json, { status, headers: { ...more } });
    },
    ...options,
  });
  closing.push(client);
  return {
    client,
    sent,
    last: () => {
      const last = sent.at(-1);
      if (last === undefined) throw new Error('nothing was sent');
      return last;
    },
  };
}

function document(url: string, metadata: Readonly<Record<string, unknown>>): Response {
  return Response.json(
    url === JWKS_URI ? { keys: [key.jwk] } : { issuer: ISSUER, jwks_uri: JWKS_URI, ...metadata },
  );
}

function without(name: keyof typeof ENDPOINTS): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(ENDPOINTS).filter(([known]) => known !== name));
}

describe('endpoints', () => {
  const operations: [row: string, endpoint: keyof typeof ENDPOINTS, call: Call][] = [
    [
      'rfc8414-token-endpoint-required-when-token-operation-is-used',
      'token_endpoint',
      (client) => client.clientCredentials(),
    ],
    [
      'rfc8414-token-endpoint-required-when-token-operation-is-used',
      'token_endpoint',
      (client) => client.exchange({ subjectToken: 'eyJ...' }),
    ],
    [
      'rfc8414-introspection-endpoint-required-when-introspection-is-used',
      'introspection_endpoint',
      (client) => client.introspect('token'),
    ],
    [
      'rfc8414-revocation-endpoint-required-when-revocation-is-used',
      'revocation_endpoint',
      (client) => client.revoke('token'),
    ],
  ];

  for (const [id, endpoint, call] of operations) {
    row(id, `${call.toString().split('.')[1]} without it sends nothing`, async () => {
      const { client, sent } = await setUp([[200, SUCCESS]], {}, without(endpoint));
      const error = await refusalOf(call(client));
      expect(error).toBeInstanceOf(MissingMetadataEndpointError);
      expect(error.code).toBe('missing_metadata_endpoint');
      expect(error.message).toContain(endpoint);
      expect(sent).toEqual([]);
    });
  }

  for (const [id, endpoint] of [
    [
      'rfc8414-introspection-endpoint-must-be-absolute-https-url',
      'introspection_endpoint',
    ] as const,
    ['rfc8414-revocation-endpoint-must-be-absolute-https-url', 'revocation_endpoint'] as const,
  ]) {
    for (const url of [ENDPOINTS[endpoint].replace('https:', 'http:'), '/oauth/relative']) {
      row(id, `${url} is refused`, async () => {
        const error = await refusalOf(setUp([], {}, { ...ENDPOINTS, [endpoint]: url }));
        expect(error).toBeInstanceOf(MetadataFetchError);
        expect(error.message).toContain(endpoint);
      });
    }
  }
});

type Call = (client: AuthplaneClient) => Promise<unknown>;

describe('client credentials', () => {
  row('rfc6749-client-credentials-success-response', 'its members arrive', async () => {
    const { client, last } = await setUp([
      [200, { access_token: 'new_token', token_type: 'Bearer', expires_in: 3600, scope: 'read' }],
    ]);
    const token = await client.clientCredentials({ scopes: ['read'] });
    const { accessToken, tokenType, expiresIn, scope } = token;
    expect({ accessToken, tokenType, expiresIn, scope }).toEqual({
      accessToken: 'new_token',
      tokenType: 'Bearer',
      expiresIn: 3600,
      scope: 'read',
    });
    expect(last().url).toBe(ENDPOINTS.token_endpoint);
    expect(last().form.get('grant_type')).toBe('client_credentials');
  });

  row(
    'rfc6749-client-credentials-scopes-must-support-multiple-values',
    'one parameter with a blank between',
    async () => {
      const { client, last } = await setUp();
      await client.clientCredentials({ scopes: ['read', 'write'] });
      expect(last().form.getAll('scope')).toEqual(['read write']);
      expect(last().raw).toMatch(/(?:^|&)scope=read(?:\+|%20)write(?:&|$)/);
    },
  );

  row(
    'rfc8707-client-credentials-resource-parameter-should-be-supported',
    'the resource is sent',
    async () => {
      const { client, last } = await setUp();
      await client.clientCredentials({ resources: ['https://api.example.com'] });
      expect(last().form.getAll('resource')).toEqual(['https://api.example.com']);
    },
  );
});

describe('token answers', () => {
  for (const body of [
    { token_type: 'Bearer' },
    { token_type: 'Bearer', access_token: '' },
    { token_type: 'Bearer', access_token: ' ' },
  ]) {
    row(
      'rfc6749-token-response-must-contain-access-token',
      `${JSON.stringify(body)} is malformed`,
      async () => {
        const { client } = await setUp([[200, body]]);
        const error = await refusalOf(client.clientCredentials());
        expect(error).toBeInstanceOf(ProtocolError);
        expect(error.message).toContain('access_token');
      },
    );
  }

  row(
    'rfc6749-token-response-token-type-must-be-supported',
    'N_A is not, and neither is none',
    async () => {
      for (const token_type of ['N_A', undefined]) {
        const { client } = await setUp([[200, { access_token: 'tok', token_type }]]);
        const error = await refusalOf(client.clientCredentials());
        expect(error).toBeInstanceOf(ProtocolError);
        expect(error.message).toContain('unsupported token_type');
      }
    },
  );

  row('rfc9449-token-response-token-type-dpop-must-be-accepted', 'it is', async () => {
    const { client } = await setUp([[200, { access_token: 'tok', token_type: 'DPoP' }]]);
    expect((await client.clientCredentials()).tokenType).toBe('DPoP');
  });
});

describe('token exchange', () => {
  row('rfc8693-grant-type-must-be-token-exchange', 'every request names it', async () => {
    const { client, last } = await setUp();
    await client.exchange({ subjectToken: 'eyJ...' });
    expect(last().form.getAll('grant_type')).toEqual([
      'urn:ietf:params:oauth:grant-type:token-exchange',
    ]);
    expect(last().form.get('subject_token')).toBe('eyJ...');
  });

  row('rfc8693-subject-token-is-required', 'refused before anything is sent', async () => {
    const { client, sent } = await setUp();
    const error = await refusalOf(client.exchange({ subjectToken: '' }));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.message).toContain('subject_token is required');
    expect(sent).toEqual([]);
  });

  row('rfc8693-default-subject-token-type-is-access-token', 'also for a blank', async () => {
    const { client, last } = await setUp();
    await client.exchange({ subjectToken: 'eyJ...', subjectTokenType: '' });
    expect(last().form.getAll('subject_token_type')).toEqual([ACCESS_TOKEN]);
  });

  row(
    'rfc8693-resource-parameter-must-be-sent-when-configured',
    'with its trailing slash',
    async () => {
      const { client, last } = await setUp();
      await client.exchange({ subjectToken: 'eyJ...', resources: ['https://mcp.example.com/'] });
      expect(last().form.getAll('resource')).toEqual(['https://mcp.example.com/']);
    },
  );

  row('rfc8693-multiple-resource-parameters-must-be-emitted', 'one each', async () => {
    const { client, last } = await setUp();
    const resources = ['https://api-one.example.com', 'https://api-two.example.com'];
    await client.exchange({ subjectToken: 'eyJ...', resources });
    expect(last().form.getAll('resource')).toEqual(resources);
  });

  row('rfc8693-audience-parameter-must-be-sent-when-configured', 'form-encoded', async () => {
    const { client, last } = await setUp();
    await client.exchange({ subjectToken: 'eyJ...', audiences: ['api://inventory'] });
    expect(last().raw.split('&')).toContain('audience=api%3A%2F%2Finventory');
  });

  row('rfc8693-multiple-audience-parameters-must-be-emitted', 'one each', async () => {
    const { client, last } = await setUp();
    const audiences = ['api://inventory', 'api://billing'];
    await client.exchange({ subjectToken: 'eyJ...', audiences });
    expect(
      last()
        .raw.split('&')
        .filter((pair) => pair.startsWith('audience=')),
    ).toEqual(['audience=api%3A%2F%2Finventory', 'audience=api%3A%2F%2Fbilling']);
  });

  row('rfc8693-error-mapping-invalid-grant', 'its own class and code', async () => {
    const { client } = await setUp([[400, { error: 'invalid_grant' }]]);
    const error = await refusalOf(client.exchange({ subjectToken: 'eyJ...' }));
    expect(error).toBeInstanceOf(InvalidGrantError);
    expect(error).toMatchObject({ code: 'invalid_grant', statusCode: 400 });
  });

  row(
    'rfc8693-success-response-must-use-access-token-issued-token-type-when-present',
    'as it was sent',
    async () => {
      for (const issued of [ACCESS_TOKEN, 'urn:example:other']) {
        const { client } = await setUp([[200, { ...SUCCESS, issued_token_type: issued }]]);
        const token = await client.exchange({ subjectToken: 'eyJ...' });
        expect(token.issuedTokenType).toBe(issued);
      }
    },
  );
});

describe('introspection', () => {
  const INTROSPECTED = {
    active: true,
    scope: 'read:data write:data',
    client_id: 'client456',
    sub: 'user123',
    token_type: 'access_token',
    iss: ISSUER,
    aud: RESOURCE,
    exp: 1234567890,
    iat: 1234567800,
    jti: 'token-id-123',
  };

  row(
    'rfc7662-introspection-request-must-post-token-and-access-token-hint',
    'both are sent',
    async () => {
      const { client, last } = await setUp([[200, INTROSPECTED]]);
      await client.introspect('my.raw.token');
      expect(last().url).toBe(ENDPOINTS.introspection_endpoint);
      expect([...last().form]).toEqual([
        ['token', 'my.raw.token'],
        ['token_type_hint', 'access_token'],
      ]);
    },
  );

  row(
    'rfc7662-introspection-without-credentials-must-not-send-authorization-header',
    'no header at all',
    async () => {
      const { client, last } = await setUp([[200, INTROSPECTED]]);
      await client.introspect('my.raw.token');
      expect(last().headers.has('authorization')).toBe(false);
    },
  );

  row('rfc7662-introspection-basic-auth-must-be-supported', 'for a direct call', async () => {
    const { client, last } = await setUp([[200, INTROSPECTED]], { auth: CREDENTIALS });
    await client.introspect('my.raw.token');
    expect(last().headers.get('authorization')).toBe(
      `Basic ${Buffer.from('my-client-id:my-client-secret').toString('base64')}`,
    );
  });

  row('rfc7662-introspection-basic-auth-must-be-supported', 'for the verifier', async () => {
    const { client, last } = await setUp([[200, { active: true }]], { auth: CREDENTIALS });
    const resource = client.resource({ resource: RESOURCE, revocationChecker: 'introspection' });
    await resource.verify(token());
    expect(last().headers.get('authorization')).toMatch(/^Basic /);
  });

  row(
    'rfc7662-introspection-active-false-must-parse-as-inactive',
    'active alone decides',
    async () => {
      for (const body of [{ active: false }, { ...INTROSPECTED, active: false }]) {
        const { client } = await setUp([[200, body]]);
        expect((await client.introspect('my.raw.token')).active).toBe(false);
      }
    },
  );

  row('rfc7662-introspection-standard-fields-must-round-trip', 'unaltered', async () => {
    const { client } = await setUp([[200, INTROSPECTED]]);
    const answer = await client.introspect('my.raw.token');
    expect(answer).toMatchObject({
      active: true,
      scope: INTROSPECTED.scope,
      clientId: INTROSPECTED.client_id,
      sub: INTROSPECTED.sub,
      tokenType: INTROSPECTED.token_type,
      iss: INTROSPECTED.iss,
      aud: INTROSPECTED.aud,
      exp: INTROSPECTED.exp,
      iat: INTROSPECTED.iat,
      jti: INTROSPECTED.jti,
    });
    expect(answer.raw).toEqual(INTROSPECTED);
  });

  const failing: Answer = [500, { error: 'server_error' }];
  const checked = { resource: RESOURCE, revocationChecker: 'introspection' } as const;

  row(
    'rfc7662-introspection-fail-open-policy-must-be-explicitly-tested',
    'opted in, a good token passes a broken endpoint',
    async () => {
      const { client, sent } = await setUp([failing], { auth: CREDENTIALS });
      const claims = await client.resource({ ...checked, failClosed: false }).verify(token());
      expect(claims.sub).toBe('user123');
      expect(sent).toHaveLength(1);
    },
  );

  row(
    'rfc7662-introspection-fail-open-policy-must-be-explicitly-tested',
    'without the opt-in it is refused, as unavailable and not as bad',
    async () => {
      const { client } = await setUp([failing], { auth: CREDENTIALS });
      const error = await refusalOf(client.resource(checked).verify(token()));
      expect(error.code).toBe('authorization_server_unavailable');
      expect(error).not.toBeInstanceOf(TokenRevokedError);
    },
  );

  row(
    'rfc7662-introspection-fail-open-policy-must-be-explicitly-tested',
    'opted in, what is known to be inactive and what is not fine otherwise stay out',
    async () => {
      const inactive = await setUp([[200, { active: false }]], { auth: CREDENTIALS });
      const open = inactive.client.resource({ ...checked, failClosed: false });
      expect(await refusalOf(open.verify(token()))).toBeInstanceOf(TokenRevokedError);
      const broken = await setUp([failing], { auth: CREDENTIALS });
      const other = broken.client.resource({ ...checked, failClosed: false });
      expect((await refusalOf(other.verify(token({ aud: ISSUER })))).code).toBe('invalid_claims');
    },
  );
});

describe('revocation', () => {
  row(
    'rfc7009-revocation-request-must-post-token-and-token-type-hint',
    'both are sent',
    async () => {
      const { client, last } = await setUp([[200, {}]]);
      await client.revoke('token_to_revoke', 'access_token');
      expect(last().url).toBe(ENDPOINTS.revocation_endpoint);
      expect(last().form.getAll('token')).toEqual(['token_to_revoke']);
      expect(last().form.getAll('token_type_hint')).toEqual(['access_token']);
    },
  );

  row('rfc7009-revocation-server-errors-must-surface', 'never a quiet success', async () => {
    const { client } = await setUp([[500, { error: 'server_error' }]]);
    const error = await refusalOf(client.revoke('token_to_revoke'));
    expect(error).toBeInstanceOf(ServerError);
    expect(error).toMatchObject({ code: 'server_error', statusCode: 500 });
  });
});

describe('DPoP', () => {
  const OK = { access_token: 'ok', token_type: 'DPoP' };

  async function proofOf(sent: Sent) {
    const proof = sent.headers.get('dpop') ?? '';
    return { header: decodeProtectedHeader(proof), claims: decodeJwt(proof) };
  }

  async function withSigner(answers: readonly Answer[] = [[200, OK]]) {
    const dpop = await DPoPSigner.generate({ algorithm: 'ES256', clock: new ManualClock() });
    return { dpop, ...(await setUp(answers, { dpop })) };
  }

  row(
    'rfc9449-dpop-provider-must-build-dpop-jwt-header',
    'typ, alg and the public key',
    async () => {
      const { client, dpop, last } = await withSigner();
      await client.clientCredentials();
      const { header } = await proofOf(last());
      expect(header).toEqual({
        typ: 'dpop+jwt',
        alg: 'ES256',
        jwk: {
          kty: 'EC',
          crv: 'P-256',
          x: expect.stringMatching(/^[\w-]{43}$/),
          y: expect.stringMatching(/^[\w-]{43}$/),
        },
      });
      expect(await calculateJwkThumbprint(header.jwk as JWK)).toBe(dpop.thumbprint);
    },
  );

  row('rfc9449-generated-dpop-proof-should-include-exp', 'after iat', async () => {
    const { client, last } = await withSigner();
    await client.clientCredentials();
    const { iat = Number.NaN, exp = Number.NaN } = (await proofOf(last())).claims;
    expect(exp).toBeGreaterThan(iat);
  });

  const DEMAND: Answer = [400, { error: 'use_dpop_nonce' }, { 'DPoP-Nonce': 'nonce-123' }];

  row(
    'rfc9449-dpop-nonce-challenge-must-trigger-single-retry',
    'with a fresh proof, and the nonce is kept for the origin',
    async () => {
      const { client, sent, last } = await withSigner([DEMAND, [200, OK]]);
      expect((await client.clientCredentials()).accessToken).toBe('ok');
      expect(sent).toHaveLength(2);
      const [first, second] = await Promise.all(sent.map(proofOf));
      expect(first?.claims['nonce']).toBeUndefined();
      expect(second?.claims['nonce']).toBe('nonce-123');
      expect(second?.claims.jti).not.toBe(first?.claims.jti);
      // Another endpoint of the same origin.
      await client.introspect('token');
      expect(sent).toHaveLength(3);
      expect((await proofOf(last())).claims['nonce']).toBe('nonce-123');
    },
  );

  row(
    'rfc9449-dpop-nonce-challenge-must-trigger-single-retry',
    'a second demand is an error',
    async () => {
      const { client, sent } = await withSigner([DEMAND]);
      const error = await refusalOf(client.clientCredentials());
      expect(error.code).toBe('use_dpop_nonce');
      expect(sent).toHaveLength(2);
    },
  );
});

/** The token of the row "valid": good but for the changes. */
function token(claims: Readonly<Record<string, unknown>> = {}): string {
  const { exp, iat } = { exp: new ManualClock().now() + 600, iat: new ManualClock().now() };
  return mint(key, {
    claims: {
      iss: ISSUER,
      sub: 'user123',
      client_id: 'client456',
      aud: RESOURCE,
      exp,
      iat,
      ...claims,
    },
  });
}

describe('the catalogue', () => {
  const path = '../shared/conformance/catalog.tsv';
  const present = existsSync(path);
  if (!present) console.warn(`SKIPPED: ${path} is not there, its ids were not compared with ours`);

  const surfaces = /^sdk-client\.(?!discovery)|^sdk-verifier\.revocation$/;
  const groups =
    /^(?:rfc6749|rfc8693|rfc8707|rfc7662|rfc7009)-|^rfc8414-.*(?:-required-when-|-must-be-absolute-)|^rfc9449-(?:token-response|dpop-provider|generated|dpop-nonce-challenge)-/;
  /** In catalogue.spec.ts. */
  const elsewhere = ['rfc8414-jwks-uri-must-be-absolute-https-url'];

  (present ? it : it.skip)('has no row of these groups without a test here', () => {
    const [, ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
    const rows = lines.map((line) => line.split('\t'));
    const ours = rows
      .filter(([id = '', , surface = '']) => groups.test(id) || surfaces.test(surface))
      .map(([id = '']) => id)
      .filter((id) => !elsewhere.includes(id));
    expect(ours.length).toBeGreaterThan(25);
    expect(ours.filter((id) => !named.has(id))).toEqual([]);
    const all = new Set(rows.map(([id]) => id));
    expect([...named].filter((id) => !all.has(id))).toEqual([]);
  });
});
