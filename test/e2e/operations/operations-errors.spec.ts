import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AccessDeniedError,
  AuthplaneClient,
  type AuthplaneError,
  type ClientCredentialsRequest,
  ConfigurationError,
  ConsentRequiredError,
  DPoPSigner,
  type ExchangeRequest,
  InvalidClientError,
  InvalidGrantError,
  InvalidScopeError,
  InvalidTargetError,
  MissingMetadataEndpointError,
  OAuthError,
  ServerError,
  UnauthorizedClientError,
  UnsupportedGrantTypeError,
} from 'authplane-nestjs';
import type { AsCredentials, ProofSigner } from '../../../src/core/index.js';
import {
  type AuthorizationServerOptions,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';

/**
 * The error tables of the authorization server, row by row over real HTTP: what an application
 * gets to see of each refusal.
 */

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const GATEWAY = 'https://gateway.example.com/mcp';
const ORDERS = 'https://orders.example.com/';
const SECRET = 'the secret of the gateway';
const GRANTS = [EXCHANGE, 'client_credentials'];

const confidential = { clientSecret: SECRET, grantTypes: GRANTS };

const DEPLOYMENT: AuthorizationServerOptions = {
  clients: [
    { clientId: 'gateway', ...confidential, scope: 'orders:read gateway:use' },
    { clientId: 'stranger', ...confidential },
    { clientId: 'runner', ...confidential, scope: 'other:scope' },
    { clientId: 'no-grants', clientSecret: SECRET, grantTypes: ['authorization_code'] },
    { clientId: 'public', grantTypes: GRANTS, scope: 'orders:read' },
  ],
  resources: [
    {
      uri: GATEWAY,
      slug: 'gateway-mcp',
      scopes: ['gateway:use', 'gateway:admin'],
      policy: { runtimeClients: ['gateway'] },
    },
    {
      uri: ORDERS,
      slug: 'orders',
      scopes: ['orders:read', 'orders:write'],
      policy: { exchangeClients: ['gateway'] },
    },
    { uri: 'https://stock.example.com/', slug: 'stock', scopes: ['stock:read'] },
    { uri: 'https://linked.example.com/', slug: 'linked', scopes: ['linked:read'] },
    { uri: 'https://one.example.com/', slug: 'twice', scopes: [] },
    { uri: 'https://two.example.com/', slug: 'twice', scopes: [] },
    vault('https://calendar.example.com/v3', 'calendar'),
    vault('https://mail.example.com/v1', 'mail'),
    {
      ...vault('https://listed.example.com/v1', 'listed'),
      policy: { exchangeClients: ['somebody-else'] },
    },
  ],
  fronting: [
    { source: 'gateway-mcp', target: 'linked', scopeMap: { 'gateway:use': ['linked:read'] } },
    { source: 'gateway-mcp', target: 'calendar', scopeMap: { 'gateway:use': ['calendar.read'] } },
  ],
};

function vault(uri: string, slug: string) {
  return { uri, slug, scopes: [`${slug}.read`], broker: { provider: slug } };
}

interface Expected {
  readonly kind: abstract new (...args: never) => AuthplaneError;
  readonly code: string;
  readonly statusCode: number;
  readonly description?: RegExp;
}

const closing: (() => unknown)[] = [];
let server: StandInAuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer(DEPLOYMENT);
  closing.push(() => server.close());
});

afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

interface Caller {
  readonly auth?: AsCredentials | undefined;
  readonly dpop?: ProofSigner;
  readonly at?: StandInAuthorizationServer;
}

async function clientOf({ auth, dpop, at = server }: Caller = {}): Promise<AuthplaneClient> {
  const client = await AuthplaneClient.create({
    issuer: at.issuer,
    devMode: true,
    ...(auth === undefined ? {} : { auth }),
    ...(dpop === undefined ? {} : { dpop }),
  });
  closing.push(() => client.close());
  return client;
}

const as = (clientId: string, clientSecret = SECRET): Caller => ({
  auth: { clientId, clientSecret },
});
const gateway = as('gateway');

/** A client that has no secret names itself in the body (RFC 6749 §3.2.1). */
const publicClient: Caller = {
  auth: { clientId: 'public', authenticate: () => ({ form: { client_id: 'public' } }) },
};

const ofUser = (claims: Readonly<Record<string, unknown>> = {}) =>
  server.issueToken({ aud: [GATEWAY], client_id: 'agent-1', scope: 'gateway:use', ...claims });
/** Issued to the gateway itself, for a resource that no link starts from. */
const ofGateway = (claims: Readonly<Record<string, unknown>> = {}) =>
  ofUser({ aud: [server.issuer], client_id: 'gateway', scope: undefined, ...claims });

async function expectError(
  work: () => Promise<unknown>,
  { kind, code, statusCode, description }: Expected,
  secrets: readonly string[] = [],
): Promise<AuthplaneError> {
  const error: unknown = await work().then(
    () => 'accepted',
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OAuthError)) throw new Error('no OAuthError', { cause: error });
  expect(error.constructor).toBe(kind);
  expect({ code: error.code, error: error.error, statusCode: error.statusCode }).toEqual({
    code,
    error: code,
    statusCode,
  });
  expect(error.name).toBe(kind.name);
  expect(error.message).toContain(`status ${statusCode} and ${code}`);
  if (description !== undefined) expect(error.description).toMatch(description);
  for (const secret of [SECRET, ...secrets]) expect(error.message).not.toContain(secret);
  return error;
}

/** A row of the table for token exchange. */
interface ExchangeRow {
  readonly row: string;
  readonly by?: Caller;
  readonly subject?: () => Promise<string>;
  readonly request?: Omit<ExchangeRequest, 'subjectToken'>;
  readonly expected: Expected;
}

const invalidClient = { kind: InvalidClientError, code: 'invalid_client', statusCode: 401 };
const invalidGrant = { kind: InvalidGrantError, code: 'invalid_grant', statusCode: 400 };
const invalidScope = { kind: InvalidScopeError, code: 'invalid_scope', statusCode: 400 };
const invalidTarget = { kind: InvalidTargetError, code: 'invalid_target', statusCode: 400 };
const invalidRequest = { kind: OAuthError, code: 'invalid_request', statusCode: 400 };
const unauthorized = {
  kind: UnauthorizedClientError,
  code: 'unauthorized_client',
  statusCode: 400,
};
const notFound = { kind: OAuthError, code: 'not_found', statusCode: 400 };
const denied = { kind: AccessDeniedError, code: 'access_denied', statusCode: 403 };
const consent = { kind: ConsentRequiredError, code: 'consent_required', statusCode: 400 };
const badProof = { kind: OAuthError, code: 'invalid_dpop_proof', statusCode: 400 };

const orders = { resources: [ORDERS], scope: 'orders:read' };
/** As deep as a chain may be; one more actor is too many. */
const deepChain = [1, 2, 3, 4, 5].reduce<object>((act, hop) => ({ sub: `hop-${hop}`, act }), {
  sub: 'hop-0',
});

const exchangeRows: readonly ExchangeRow[] = [
  { row: '2: an unknown client', by: as('nobody'), expected: invalidClient },
  { row: '2: a wrong secret', by: as('gateway', 'wrong'), expected: invalidClient },
  { row: '2: no client at all', by: {}, expected: invalidClient },
  { row: '2: a public client', by: publicClient, expected: invalidClient },
  { row: '3: a client without the grant', by: as('no-grants'), expected: unauthorized },
  {
    row: '4: a subject_token_type that is none of the two',
    request: { subjectTokenType: 'urn:ietf:params:oauth:token-type:saml2', ...orders },
    expected: invalidGrant,
  },
  {
    row: '5: a bad signature',
    subject: async () => `${(await ofUser()).slice(0, -8)}AAAAAAAA`,
    expected: invalidGrant,
  },
  {
    row: '5: another typ',
    subject: () => server.issueToken({ aud: [GATEWAY] }, { typ: 'JWT' }),
    expected: invalidGrant,
  },
  {
    row: '5: another issuer',
    subject: () => ofUser({ iss: 'https://elsewhere.example.com' }),
    expected: invalidGrant,
  },
  { row: '5: no token', subject: async () => 'opaque', expected: invalidGrant },
  {
    row: '6: a revoked token',
    subject: async () => {
      const token = await ofUser();
      server.revokeToken(token);
      return token;
    },
    expected: invalidGrant,
  },
  {
    row: '7: an unknown resource',
    request: { resources: ['https://unknown.example.com/'] },
    expected: { ...notFound, description: /resource not found/ },
  },
  {
    row: '7: an ambiguous resource',
    request: { resources: ['twice'] },
    expected: { ...invalidRequest, description: /ambiguous/ },
  },
  {
    row: '8: a scope that the target does not have',
    request: { resources: [ORDERS], scope: 'orders:delete' },
    expected: invalidScope,
  },
  {
    row: 'mint (a): a client that is not on the list of the target',
    by: as('stranger'),
    request: orders,
    expected: denied,
  },
  {
    row: 'mint (b): a scope that the subject does not have',
    subject: () => ofGateway({ scope: 'orders:read' }),
    request: { resources: [ORDERS], scope: 'orders:write' },
    expected: invalidScope,
  },
  {
    row: 'mint (c): a token of another client, for a target that does not name us',
    subject: () => ofUser({ aud: [server.issuer], scope: 'stock:read' }),
    request: { resources: ['stock'], scope: 'stock:read' },
    expected: denied,
  },
  {
    row: 'mint (d): no consent',
    subject: () => ofGateway({ sub: 'without-consent' }),
    request: orders,
    expected: { ...consent, description: /Authorize access to orders/ },
  },
  {
    row: 'mint (e): an actor token that is none',
    subject: () => ofGateway(),
    request: { ...orders, actorToken: 'no token' },
    expected: invalidGrant,
  },
  {
    row: 'mint (e): an actor_token_type that is none of the two',
    subject: () => ofGateway(),
    request: { ...orders, actorToken: 'x', actorTokenType: 'urn:example:other' },
    expected: invalidGrant,
  },
  {
    row: 'mint (e): a chain of actors that is too deep',
    subject: () => ofGateway({ act: deepChain }),
    request: orders,
    expected: { ...invalidRequest, description: /delegation chain too deep/ },
  },
  {
    row: 'mint, fronted: a client that runs neither source nor target',
    by: as('stranger'),
    request: { resources: ['linked'], scope: 'linked:read' },
    expected: denied,
  },
  {
    row: 'mint, fronted: a scope that no scope of the subject stands for',
    subject: () => ofUser({ scope: 'gateway:admin' }),
    request: { resources: ['linked'], scope: 'linked:read' },
    expected: invalidScope,
  },
  { row: 'no resource: nothing but the own token', expected: denied },
  {
    row: 'omitted scope: nothing is left of it (mint)',
    subject: () => ofUser({ scope: 'gateway:admin' }),
    request: { resources: ['linked'] },
    expected: invalidScope,
  },
  {
    row: 'omitted scope: nothing is left of it (broker)',
    subject: () => ofUser({ scope: 'gateway:admin', sub: 'connected' }),
    request: { resources: ['calendar'] },
    expected: consent,
  },
  {
    row: 'broker: no account connected',
    request: { resources: ['calendar'], scope: 'calendar.read' },
    expected: consent,
  },
  {
    row: 'broker: a machine is no user',
    subject: () => ofUser({ sub: 'agent-1' }),
    request: { resources: ['calendar'], scope: 'calendar.read' },
    expected: consent,
  },
  {
    row: 'broker: no link',
    request: { resources: ['mail'], scope: 'mail.read' },
    expected: { ...invalidRequest, description: /no fronting link .*gateway-mcp.* to .*mail/ },
  },
  {
    row: 'broker: an actor',
    request: { resources: ['calendar'], actorToken: 'x' },
    expected: { ...invalidRequest, description: /actor not allowed for broker resource/ },
  },
  {
    row: 'broker: a client that is not on the list',
    request: { resources: ['listed'] },
    expected: denied,
  },
  {
    row: 'broker, fronted: a client that does not run the source',
    by: as('stranger'),
    request: { resources: ['calendar'], scope: 'calendar.read' },
    expected: denied,
  },
  {
    row: 'broker, direct: a client that runs no resource',
    by: as('stranger'),
    subject: () => ofGateway(),
    request: { resources: ['mail'], scope: 'mail.read' },
    expected: denied,
  },
  {
    row: 'a body of more than 64 KiB',
    subject: async () => 'x'.repeat(70_000),
    expected: { ...invalidRequest, statusCode: 413 },
  },
];

describe('authserver.md 3.4 and 3.5: what an exchange is refused with', () => {
  beforeAll(() => {
    server.requireConsent({ user: 'without-consent', resource: 'orders' });
    server.giveConsent({ user: 'connected', resource: 'calendar' });
  });

  it('1: a missing subject_token is refused here, before anything is sent', async () => {
    const client = await clientOf(gateway);
    const before = server.requests().token;
    await expect(client.exchange({ subjectToken: '' })).rejects.toThrow(ConfigurationError);
    expect(server.requests().token).toBe(before);
  });

  it.each(exchangeRows)('$row', async ({ by = gateway, subject = ofUser, request, expected }) => {
    const client = await clientOf(by);
    const subjectToken = await subject();
    const before = server.requests().token;
    const exchange = () => client.exchange({ subjectToken, ...request });
    await expectError(exchange, expected, [subjectToken]);
    // A refusal is not remembered.
    await expectError(exchange, expected, [subjectToken]);
    expect(server.requests().token).toBe(before + 2);
  });

  it('and the same callers succeed when nothing is wrong', async () => {
    const client = await clientOf(gateway);
    await client.exchange({ subjectToken: await ofGateway(), ...orders });
    await client.exchange({
      subjectToken: await ofUser({ sub: 'connected' }),
      resources: ['calendar'],
      scope: 'calendar.read',
    });
  });
});

describe('authserver.md 3.5: consent_required', () => {
  const calendar = { resources: ['calendar'], scope: 'calendar.read' };

  it.each([
    [
      'the upstream account is not connected',
      {},
      { causeDetail: 'consent_missing', serviceId: 'calendar' },
      /\/connect\/calendar\?resource=calendar&return_url=/,
    ],
    [
      'it does not cover the scopes',
      { cause: 'scope_insufficient' as const },
      { causeDetail: 'scope_insufficient', serviceId: 'calendar' },
      /\/connect\/calendar\?/,
    ],
    [
      'the agent has to ask again',
      { flavour: 'authorize' as const, cause: 'scope_insufficient' as const },
      { causeDetail: 'scope_insufficient', serviceId: 'calendar' },
      /\/authorize\?resource=calendar&scope=calendar\.read$/,
    ],
    [
      'a server that does not know its own address',
      { withoutUrl: true },
      { consentUrl: undefined, causeDetail: 'consent_missing' },
      undefined,
    ],
    [
      'an old server without cause',
      { withoutCause: true },
      { causeDetail: 'consent_missing' },
      /\/connect\//,
    ],
  ])('%s', async (_name, refusal, members, url) => {
    const client = await clientOf(gateway);
    const user = `user of ${_name}`;
    server.requireConsent({ user, resource: 'calendar', ...refusal });
    const subjectToken = await ofUser({ sub: user });
    const work = () => client.exchange({ subjectToken, ...calendar });
    const error = await expectError(work, consent, [subjectToken]);
    expect(error).toMatchObject(members);
    if (url !== undefined) expect((error as ConsentRequiredError).consentUrl).toMatch(url);
  });
});

describe('authserver.md 3.3: what client credentials are refused with', () => {
  const rows: [row: string, by: Caller, request: ClientCredentialsRequest, Expected][] = [
    ['a public client', publicClient, {}, invalidClient],
    ['a wrong secret', as('gateway', 'wrong'), {}, invalidClient],
    ['a client without the grant', as('no-grants'), {}, unauthorized],
    ['a scope beyond the ceiling', gateway, { scopes: ['orders:write'] }, invalidScope],
    [
      'a scope that the resource does not have',
      gateway,
      { scopes: ['gateway:use'], resources: [ORDERS] },
      invalidScope,
    ],
    ['no scope to give', as('stranger'), {}, invalidScope],
    ['nothing left of the scope', as('runner'), { resources: [ORDERS] }, invalidScope],
    [
      'an unknown resource',
      gateway,
      { resources: ['https://unknown.example.com/'] },
      invalidTarget,
    ],
    ['a slug', gateway, { resources: ['orders'] }, invalidTarget],
  ];

  it.each(rows)('%s', async (_row, by, request, expected) => {
    const client = await clientOf(by);
    await expectError(() => client.clientCredentials(request), expected);
  });
});

describe('authserver.md 3 and 4: features and DPoP', () => {
  async function other(options: AuthorizationServerOptions) {
    const at = await startAuthorizationServer({ ...DEPLOYMENT, ...options });
    closing.push(() => at.close());
    return at;
  }

  it('a feature that is off: unsupported_grant_type, with the name of the switch', async () => {
    const at = await other({ features: { tokenExchange: false, clientCredentials: false } });
    const client = await clientOf({ ...gateway, at });
    const unsupported = {
      kind: UnsupportedGrantTypeError,
      code: 'unsupported_grant_type',
      statusCode: 400,
    };
    await expectError(() => client.exchange({ subjectToken: 't' }), {
      ...unsupported,
      description: /token_exchange\.enabled=true/,
    });
    await expectError(() => client.clientCredentials(), {
      ...unsupported,
      description: /client_credentials\.enabled=true/,
    });
  });

  it('introspection that is off: MissingMetadataEndpointError', async () => {
    const at = await other({ features: { introspection: false } });
    const client = await clientOf({ ...gateway, at });
    await expect(client.introspect('t')).rejects.toThrow(MissingMetadataEndpointError);
  });

  it('use_dpop_nonce: seen only when the repetition is refused too', async () => {
    const at = await other({ dpopRequireNonce: true });
    const dpop = await DPoPSigner.generate();
    const withoutNonce = {
      thumbprint: dpop.thumbprint,
      proof: ({ method, url }: { method: string; url: string }) => dpop.proof({ method, url }),
      noteNonce: () => undefined,
    };
    const deaf = await clientOf({ ...gateway, dpop: withoutNonce, at });
    await expectError(() => deaf.clientCredentials(), {
      kind: OAuthError,
      code: 'use_dpop_nonce',
      statusCode: 400,
    });
    expect(at.requests().token).toBe(2);
    const client = await clientOf({ ...gateway, dpop, at });
    expect((await client.clientCredentials()).tokenType).toBe('DPoP');
  });

  it('invalid_dpop_proof: a proof under an algorithm that AuthPlane does not take', async () => {
    const dpop = await DPoPSigner.generate({ algorithm: 'EdDSA' });
    const client = await clientOf({ ...gateway, dpop });
    await expectError(() => client.clientCredentials(), badProof);
  });

  it('invalid_dpop_proof: a proof that is used a second time', async () => {
    const dpop = await DPoPSigner.generate();
    let first: Promise<string> | undefined;
    const replaying = {
      thumbprint: dpop.thumbprint,
      proof: ({ method, url }: { method: string; url: string }) =>
        (first ??= dpop.proof({ method, url })),
      noteNonce: () => undefined,
    };
    const client = await clientOf({ ...gateway, dpop: replaying });
    await client.clientCredentials({ scopes: ['orders:read'] });
    await expectError(() => client.clientCredentials({ scopes: ['gateway:use'] }), badProof);
  });

  it('RFC 9449 §5: a server that disregards proofs is a ProtocolError for what must be bound', async () => {
    const at = await other({ dpop: false });
    const client = await clientOf({ ...gateway, dpop: await DPoPSigner.generate(), at });
    await expect(client.clientCredentials()).rejects.toMatchObject({ code: 'protocol_error' });
  });
});

describe('authserver.md 3.4: faults of the server', () => {
  const problem = (error: string, status: number) => ({
    status,
    contentType: 'application/problem+json',
    body: JSON.stringify({ error, error_description: 'internal error', status }),
  });
  const faults: [
    name: string,
    fault: Parameters<StandInAuthorizationServer['fail']>[1],
    Expected,
  ][] = [
    [
      'server_error with 500',
      problem('server_error', 500),
      { kind: ServerError, code: 'server_error', statusCode: 500 },
    ],
    [
      'server_error that leaves with 400',
      problem('server_error', 400),
      { kind: ServerError, code: 'server_error', statusCode: 400 },
    ],
    [
      '503 without a word',
      { status: 503 },
      { kind: ServerError, code: 'server_error', statusCode: 503 },
    ],
    [
      '502 of a proxy with a page',
      { status: 502, body: '<html>', contentType: 'text/html' },
      { kind: ServerError, code: 'server_error', statusCode: 502 },
    ],
    [
      'slow_down',
      { ...problem('slow_down', 429), headers: { 'Retry-After': '7' } },
      { kind: OAuthError, code: 'slow_down', statusCode: 429 },
    ],
    [
      '429 of a limiter in front',
      { status: 429, headers: { 'Retry-After': '7' } },
      { kind: OAuthError, code: 'slow_down', statusCode: 429 },
    ],
  ];

  it.each(faults)('%s', async (_name, fault, expected) => {
    const client = await clientOf(gateway);
    for (const endpoint of ['token', 'introspect', 'revoke'] as const) server.fail(endpoint, fault);
    try {
      const calls = [
        () => client.exchange({ subjectToken: 't' }),
        () => client.clientCredentials(),
        () => client.introspect('t'),
        () => client.revoke('t'),
      ];
      for (const call of calls) {
        const error = await expectError(call, expected);
        if (expected.code === 'slow_down') expect(error).toMatchObject({ retryAfterSeconds: 7 });
      }
    } finally {
      server.fail('all', null);
    }
  });

  it.each([
    ['a page with 200', { status: 200, body: '<html>', contentType: 'text/html' }],
    ['a page with 403', { status: 403, body: '<html>', contentType: 'text/html' }],
    ['404 without a word', { status: 404 }],
    ['204', { status: 204 }],
  ])('%s is a ProtocolError', async (_name, fault) => {
    const client = await clientOf(gateway);
    server.fail('all', fault);
    try {
      const protocol = { code: 'protocol_error' };
      await expect(client.exchange({ subjectToken: 't' })).rejects.toMatchObject(protocol);
      await expect(client.introspect('t')).rejects.toMatchObject(protocol);
    } finally {
      server.fail('all', null);
    }
  });

  it.each([
    ['a redirect', { status: 302, headers: { Location: 'http://127.0.0.1:1/' } }],
    ['a reset', 'reset'],
    ['half an answer', 'truncate'],
  ] as const)('%s is AuthorizationServerUnavailableError', async (_name, fault) => {
    const client = await clientOf(gateway);
    server.fail('token', fault);
    try {
      await expect(client.exchange({ subjectToken: 't' })).rejects.toMatchObject({
        code: 'authorization_server_unavailable',
      });
    } finally {
      server.fail('all', null);
    }
  });
});

describe('authserver.md 5: introspection and revocation', () => {
  const suspects: [row: string, by: Caller][] = [
    ['an unknown client', as('nobody')],
    ['a wrong secret', as('gateway', 'wrong')],
    ['no client at all', {}],
  ];

  it.each([...suspects, ['a public client', publicClient] as [string, Caller]])(
    '5.1: %s may not introspect',
    async (_row, by) => {
      const client = await clientOf(by);
      const token = await ofUser();
      await expectError(() => client.introspect(token), invalidClient, [token]);
    },
  );

  it.each(suspects)('5.2: %s may not revoke', async (_row, by) => {
    const client = await clientOf(by);
    const token = await ofUser();
    await expectError(() => client.revoke(token), invalidClient, [token]);
  });

  it('5.1, 5.2: a missing token is refused here', async () => {
    const client = await clientOf(gateway);
    server.resetCounters();
    await expect(client.introspect(' ')).rejects.toThrow(ConfigurationError);
    await expect(client.revoke('')).rejects.toThrow(ConfigurationError);
    expect(server.requests()).toMatchObject({ introspect: 0, revoke: 0 });
  });

  it.each<[string, () => Promise<string>]>([
    ['an expired token', () => ofUser({ exp: 1 })],
    ['a token of another issuer', () => ofUser({ iss: 'https://elsewhere.example.com' })],
    ['a token for a resource of others', () => ofUser({ aud: [ORDERS] })],
    ['a token with the issuer as audience', () => ofUser({ aud: [server.issuer] })],
    ['no token', async () => 'opaque'],
    [
      'a revoked token',
      async () => {
        const token = await ofUser();
        server.revokeToken(token);
        return token;
      },
    ],
  ])('5.1: %s is inactive, which is no error', async (_name, token) => {
    const client = await clientOf(gateway);
    expect((await client.introspect(await token())).raw).toEqual({ active: false });
  });

  it('5.1: an active token, with aud as a string', async () => {
    const client = await clientOf(gateway);
    const answer = await client.introspect(await ofUser({ sub: 'alice', cnf: { jkt: 'k' } }));
    expect(answer).toMatchObject({
      active: true,
      aud: GATEWAY,
      sub: 'alice',
      clientId: 'agent-1',
      scope: 'gateway:use',
      tokenType: 'DPoP',
      cnfJkt: 'k',
      iss: server.issuer,
    });
  });

  it('5.2: what cannot be revoked is no error', async () => {
    const client = await clientOf(gateway);
    await client.revoke('opaque');
    const token = await ofUser();
    await client.revoke(token);
    expect((await client.introspect(token)).active).toBe(true); // AuthPlane ends it in other ways
  });
});
