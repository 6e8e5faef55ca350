import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { decodeJwt } from 'jose';
import { httpStatus } from '../../../src/core/challenge.js';
import { clientAuthentication } from '../../../src/core/operations/client-authentication.js';
import { DPoPSigner } from '../../../src/core/dpop/signer.js';
import {
  AuthorizationServerUnavailableError,
  CircuitOpenError,
  MetadataFetchError,
  MissingMetadataEndpointError,
  ProtocolError,
} from '../../../src/core/errors/server-errors.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import {
  InvalidGrantError,
  OAuthError,
  ServerError,
} from '../../../src/core/errors/oauth-errors.js';
import { TokenExpiredError } from '../../../src/core/errors/token-errors.js';
import type {
  ExchangeRequest,
  TokenOperations,
} from '../../../src/core/operations/token-operations.js';
import {
  ACCESS_TOKEN_TYPE,
  countingTokens,
  jwt,
  SECRET,
  setUp,
  type Setup,
  thrownBy,
  tokenBody,
} from '../../support/servers/client-setup.js';
import {
  type Reply,
  replyJson,
  replyProblem,
  replyRaw,
  replyTruncated,
} from '../../support/servers/scripted-server.js';
import { NOW } from '../../support/tokens/keys-and-tokens.js';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

let setup: Setup;
let operations: TokenOperations;

beforeEach(async () => {
  setup = await setUp();
  operations = setup.operations;
  setup.server.on('/token_endpoint', countingTokens());
  setup.server.on('/introspection_endpoint', replyJson({ active: true }));
  setup.server.on('/revocation_endpoint', replyRaw('', 200));
});

afterEach(() => setup.close());

/** The parameters in the order they were sent. */
function sent(): [string, string][] {
  return [...setup.server.last.form];
}

function count(path = '/token_endpoint'): number {
  return setup.server.requests.filter((request) => request.path === path).length;
}

describe('the parameters of an exchange', () => {
  it('rfc8693-grant-type-must-be-token-exchange, rfc8693-default-subject-token-type-is-access-token', async () => {
    await operations.exchange({ subjectToken: 'eyJ' });
    expect(sent()).toEqual([
      ['grant_type', EXCHANGE],
      ['subject_token', 'eyJ'],
      ['subject_token_type', ACCESS_TOKEN_TYPE],
    ]);
    expect(setup.server.last.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(setup.server.last.headers.accept).toContain('application/json');
  });

  it.each(['', ' ', undefined])(
    'rfc8693-default-subject-token-type-is-access-token: also for %j',
    async (type) => {
      const given = type === undefined ? {} : { subjectTokenType: type, actorTokenType: type };
      await operations.exchange({ subjectToken: 's', actorToken: 'a', ...given });
      expect(setup.server.last.form.get('subject_token_type')).toBe(ACCESS_TOKEN_TYPE);
      expect(setup.server.last.form.get('actor_token_type')).toBe(ACCESS_TOKEN_TYPE);
    },
  );

  it.each(['', '  ', undefined])(
    'rfc8693-subject-token-is-required: %j is refused before anything is sent',
    async (subjectToken) => {
      const asked = { subjectToken } as ExchangeRequest;
      for (let i = 0; i < 10; i++) {
        const thrown = await thrownBy(operations.exchange(asked));
        expect(thrown).toBeInstanceOf(ConfigurationError);
        expect((thrown as Error).message).toContain('subject_token is required');
      }
      expect(setup.server.requests).toHaveLength(0);
    },
  );

  it('RFC 8693 §2.1: everything there is', async () => {
    const jwtType = 'urn:ietf:params:oauth:token-type:jwt';
    await operations.exchange({
      subjectToken: 's',
      subjectTokenType: jwtType,
      actorToken: 'a',
      actorTokenType: jwtType,
      scope: 'read write',
      resources: ['https://a.example.com/', 'https://b.example.com'],
      audiences: ['api://inventory', 'api://billing'],
    });
    expect(sent()).toEqual([
      ['grant_type', EXCHANGE],
      ['subject_token', 's'],
      ['subject_token_type', jwtType],
      ['actor_token', 'a'],
      ['actor_token_type', jwtType],
      ['scope', 'read write'],
      ['resource', 'https://a.example.com/'],
      ['resource', 'https://b.example.com'],
      ['audience', 'api://inventory'],
      ['audience', 'api://billing'],
    ]);
  });

  it('rfc8693-resource-parameter-must-be-sent-when-configured: with its trailing slash', async () => {
    await operations.exchange({ subjectToken: 's', resources: ['https://mcp.example.com/'] });
    expect(setup.server.last.form.get('resource')).toBe('https://mcp.example.com/');
  });

  it('rfc8693-multiple-resource-parameters-must-be-emitted', async () => {
    const resources = ['https://api-one.example.com', 'https://api-two.example.com'];
    await operations.exchange({ subjectToken: 's', resources });
    expect(setup.server.last.form.getAll('resource')).toEqual(resources);
  });

  it('rfc8693-audience-parameter-must-be-sent-when-configured, rfc8693-multiple-audience-parameters-must-be-emitted', async () => {
    await operations.exchange({
      subjectToken: 's',
      audiences: ['api://inventory', 'api://billing'],
    });
    expect(setup.server.last.raw).toContain('audience=api%3A%2F%2Finventory');
    expect(setup.server.last.raw).toContain('audience=api%3A%2F%2Fbilling');
  });

  it('RFC 8693 §2.1: no actor_token_type without actor_token, and no blanks', async () => {
    await operations.exchange({
      subjectToken: 's',
      actorToken: ' ',
      actorTokenType: 'x',
      resources: ['', ' ', 'r'],
      audiences: [''],
      scope: ' ',
    });
    expect(sent().map(([name]) => name)).toEqual([
      'grant_type',
      'subject_token',
      'subject_token_type',
      'resource',
    ]);
  });
});

describe('the parameters of client credentials', () => {
  it('rfc6749-client-credentials-success-response', async () => {
    const body = {
      access_token: 'new_token',
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'read',
    };
    setup.server.on('/token_endpoint', replyJson(body));
    const token = await operations.clientCredentials();
    expect(token).toMatchObject({ accessToken: 'new_token', tokenType: 'Bearer', expiresIn: 3600 });
    expect(token.scope).toBe('read');
    expect(sent()).toEqual([['grant_type', 'client_credentials']]);
  });

  it('rfc6749-client-credentials-scopes-must-support-multiple-values', async () => {
    await operations.clientCredentials({ scopes: ['read', ' ', 'write'] });
    expect(setup.server.last.raw).toMatch(/scope=read(?:\+|%20)write/);
  });

  it('rfc8707-client-credentials-resource-parameter-should-be-supported', async () => {
    await operations.clientCredentials({ resources: ['https://api.example.com', 'x', ''] });
    expect(setup.server.last.form.getAll('resource')).toEqual(['https://api.example.com', 'x']);
  });
});

describe('10.14c: RFC 8693: a token that has ended', () => {
  it.each([-1, 0, -59.5])('by exp %d s from now: 401, and nothing is sent', async (seconds) => {
    const subjectToken = jwt({ exp: NOW + seconds });
    const thrown = await thrownBy(operations.exchange({ subjectToken }));
    expect(thrown).toBeInstanceOf(TokenExpiredError);
    expect(httpStatus(thrown)).toBe(401);
    expect(setup.server.requests).toHaveLength(0);
  });

  it('and that ends on the way: invalid_grant becomes 401', async () => {
    const subjectToken = jwt({ exp: NOW + 5 });
    setup.server.on('/token_endpoint', (response, request) => {
      setup.clock.advance(5);
      void replyProblem('invalid_grant')(response, request);
    });
    const thrown = await thrownBy(operations.exchange({ subjectToken }));
    expect(thrown).toBeInstanceOf(TokenExpiredError);
    expect((thrown as Error).cause).toBeInstanceOf(InvalidGrantError);
  });

  it('any other invalid_grant stays what it is', async () => {
    setup.server.on('/token_endpoint', replyProblem('invalid_grant'));
    for (const subjectToken of [jwt({ exp: NOW + 5 }), jwt({ exp: 'x' }), 'opaque']) {
      const thrown = await thrownBy(operations.exchange({ subjectToken }));
      expect(thrown).toBeInstanceOf(InvalidGrantError);
    }
  });
});

describe('10.23: what is refused before anything is sent', () => {
  it('RFC 6749 §4.4: client credentials without credentials', async () => {
    const bare = setup.with({ authentication: undefined });
    const thrown = await thrownBy(bare.clientCredentials());
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(String(thrown)).toMatch(/set asCredentials/);
    expect(setup.server.requests).toHaveLength(0);
  });

  it('RFC 8707 §2: a resource with a fragment; slugs and other URIs go', async () => {
    const resources = ['https://service.example.com/#f'];
    for (const call of [
      () => operations.exchange({ subjectToken: 's', resources }),
      () => operations.clientCredentials({ resources }),
    ]) {
      const thrown = await thrownBy(call());
      expect(thrown).toBeInstanceOf(ConfigurationError);
      expect(String(thrown)).toMatch(/no fragment/);
    }
    expect(setup.server.requests).toHaveLength(0);
    await operations.exchange({ subjectToken: 's', resources: ['github', 'urn:example:x'] });
  });

  it.each(['re"ad', 'lesen:über', 'a\\b', 'a\nb'])('RFC 6749 §3.3: the scope %j', async (scope) => {
    for (const call of [
      () => operations.exchange({ subjectToken: 's', scope: `read ${scope}` }),
      () => operations.clientCredentials({ scopes: ['read', scope] }),
    ]) {
      const thrown = await thrownBy(call());
      expect(thrown).toBeInstanceOf(ConfigurationError);
      expect(String(thrown)).toMatch(/is not a scope/);
    }
    expect(setup.server.requests).toHaveLength(0);
  });
});

describe('10.11a: a kept connection that the server closes as the next request comes', () => {
  /** Resets the first request that comes over a connection in use before. */
  function closing(reply: Reply): Reply {
    const used = new WeakSet<object>();
    let left = 1;
    return (response, request) => {
      const { socket } = response;
      if (socket === null) throw new Error('no connection');
      if (used.has(socket) && left-- > 0) return void socket.resetAndDestroy();
      used.add(socket);
      return reply(response, request);
    };
  }

  const OPERATIONS: [string, string, Reply, (by: TokenOperations) => Promise<unknown>][] = [
    [
      'introspection',
      '/introspection_endpoint',
      replyJson({ active: true }),
      (by) => by.introspect('token'),
    ],
    ['revocation', '/revocation_endpoint', replyRaw('', 200), (by) => by.revoke('token')],
    [
      'client credentials',
      '/token_endpoint',
      replyJson(tokenBody({ expires_in: 1 })),
      (by) => by.clientCredentials({}),
    ],
    [
      'an exchange',
      '/token_endpoint',
      replyJson(tokenBody({ expires_in: 1 })),
      (by) => by.exchange({ subjectToken: 'subject' }),
    ],
  ];

  it.each(OPERATIONS)('%s is asked once more, over a new one', async (_, path, reply, ask) => {
    setup.server.on(path, closing(reply));
    await ask(operations);
    await ask(operations);
    expect(count(path)).toBe(3);
  });

  it('RFC 9449 §4.2: with a proof of its own', async () => {
    const dpop = await DPoPSigner.generate();
    setup.server.on('/introspection_endpoint', closing(replyJson({ active: true })));
    const bound = setup.with({ dpop });
    await bound.introspect('token');
    await bound.introspect('token');
    const proofs = setup.server.requests.map(({ headers }) => headers.dpop);
    expect(proofs).toHaveLength(3);
    expect(new Set(proofs).size).toBe(3);
  });

  it('a new connection that breaks is an outage, and nothing is repeated', async () => {
    setup.server.on('/introspection_endpoint', (response) => void response.socket?.destroy());
    const error = await thrownBy(operations.introspect('token'));
    expect(error).toBeInstanceOf(AuthorizationServerUnavailableError);
    expect(count('/introspection_endpoint')).toBe(1);
  });

  it('an answer that had begun is not asked for again', async () => {
    const replies = [replyJson({ active: true }), replyTruncated('{"active"')];
    setup.server.on('/introspection_endpoint', ...replies);
    await operations.introspect('token');
    const error = await thrownBy(operations.introspect('token'));
    expect(error).toBeInstanceOf(AuthorizationServerUnavailableError);
    expect(count('/introspection_endpoint')).toBe(2);
  });
});

describe('introspection', () => {
  it('rfc7662-introspection-request-must-post-token-and-access-token-hint, rfc7662-introspection-without-credentials-must-not-send-authorization-header', async () => {
    await operations.introspect('my.raw.token');
    expect(setup.server.last.method).toBe('POST');
    expect(sent()).toEqual([
      ['token', 'my.raw.token'],
      ['token_type_hint', 'access_token'],
    ]);
    expect(setup.server.last.headers.authorization).toBeUndefined();
  });

  it('rfc7662-introspection-basic-auth-must-be-supported', async () => {
    const authentication = clientAuthentication({ clientId: 'me', clientSecret: 'secret' });
    await setup.with({ authentication }).introspect('t');
    expect(setup.server.last.headers.authorization).toMatch(/^Basic /);
  });

  it('rfc7662-introspection-standard-fields-must-round-trip', async () => {
    const body = {
      active: true,
      scope: 'read:data write:data',
      client_id: 'client456',
      sub: 'user123',
      token_type: 'access_token',
      iss: 'https://auth.example.com',
      aud: 'https://api.example.com',
      exp: 1234567890,
      iat: 1234567800,
      jti: 'token-id-123',
      cnf: { jkt: 'thumb' },
    };
    setup.server.on('/introspection_endpoint', replyJson(body));
    expect(await operations.introspect('t')).toEqual({
      active: true,
      scope: body.scope,
      clientId: body.client_id,
      sub: body.sub,
      tokenType: body.token_type,
      iss: body.iss,
      aud: body.aud,
      exp: body.exp,
      iat: body.iat,
      jti: body.jti,
      cnfJkt: 'thumb',
      agentId: '',
      agentChain: [],
      raw: body,
    });
  });

  it('RFC 7662 §2.2: aud may be a list', async () => {
    setup.server.on('/introspection_endpoint', replyJson({ active: true, aud: ['a', 'b'] }));
    expect((await operations.introspect('t')).aud).toEqual(['a', 'b']);
  });

  it.each<[unknown, boolean]>([
    [true, true],
    [false, false],
    [undefined, false],
    ['true', false],
    ['false', false],
    [1, false],
    [[true], false],
    [{}, false],
    [null, false],
  ])(
    'rfc7662-introspection-active-false-must-parse-as-inactive, T46: active %j is %s',
    async (active, expected) => {
      setup.server.on('/introspection_endpoint', replyJson({ active, sub: 'x' }));
      expect((await operations.introspect('t')).active).toBe(expected);
    },
  );

  it('members of the wrong type are left to raw', async () => {
    const body = { active: true, sub: 5, aud: [1], exp: 'x', cnf: 'y' };
    setup.server.on('/introspection_endpoint', replyJson(body));
    const answer = await operations.introspect('t');
    expect([answer.sub, answer.aud, answer.exp, answer.cnfJkt]).toEqual(Array(4).fill(undefined));
    expect(answer.raw).toEqual(body);
  });

  it.each([
    replyRaw('', 200),
    replyRaw('<html>', 200, { 'content-type': 'text/html' }),
    replyJson([]),
  ])('an answer that is no JSON object is an error and no verdict', async (reply) => {
    setup.server.on('/introspection_endpoint', reply);
    expect(await thrownBy(operations.introspect('t'))).toBeInstanceOf(ProtocolError);
  });

  it('is asked every time', async () => {
    await operations.introspect('t');
    await operations.introspect('t');
    expect(count('/introspection_endpoint')).toBe(2);
  });

  it('refuses a blank token before anything is sent', async () => {
    expect(await thrownBy(operations.introspect(' '))).toBeInstanceOf(ConfigurationError);
    expect(await thrownBy(operations.revoke(''))).toBeInstanceOf(ConfigurationError);
    expect(setup.server.requests).toHaveLength(0);
  });
});

describe('revocation', () => {
  it('rfc7009-revocation-request-must-post-token-and-token-type-hint', async () => {
    await operations.revoke('token_to_revoke');
    expect(sent()).toEqual([
      ['token', 'token_to_revoke'],
      ['token_type_hint', 'access_token'],
    ]);
    await operations.revoke('r', 'refresh_token');
    expect(setup.server.last.form.get('token_type_hint')).toBe('refresh_token');
  });

  it.each([
    ['an empty body', replyRaw('', 200)],
    ['204', replyRaw('', 204)],
    ['JSON', replyJson({})],
    ['something else', replyRaw('ok', 200, { 'content-type': 'text/plain' })],
  ])('RFC 7009 §2.2: %s is a success', async (_name, reply) => {
    setup.server.on('/revocation_endpoint', reply);
    await operations.revoke('t');
  });

  it('rfc7009-revocation-server-errors-must-surface', async () => {
    setup.server.on('/revocation_endpoint', replyProblem('server_error', 500));
    const thrown = await thrownBy(operations.revoke('t'));
    expect(thrown).toBeInstanceOf(ServerError);
    expect(thrown).toMatchObject({ code: 'server_error', statusCode: 500 });
  });

  it('hardening: a hint that is none is refused before anything is sent', async () => {
    const thrown = await thrownBy(operations.revoke('t', 5 as never));
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(setup.server.requests).toEqual([]);
  });

  it.each([200, 500])('forgets cached tokens, also when the answer is %d', async (status) => {
    setup.server.on('/revocation_endpoint', replyJson({ error: 'server_error' }, status));
    const told: string[] = [];
    const listener = (token: string): void => void told.push(token);
    operations.onRevoked(listener);
    const own = await operations.clientCredentials();
    await operations.exchange({ subjectToken: 's' });
    await operations.revoke(own.accessToken).catch(() => undefined);
    await operations.revoke('s').catch(() => undefined);
    expect((await operations.clientCredentials()).accessToken).toBe('token-3');
    expect((await operations.exchange({ subjectToken: 's' })).accessToken).toBe('token-4');
    expect([...new Set(told)]).toEqual([own.accessToken, 's']);
    expect(listener).toBeDefined(); // held until here
  });

  it('hardening: a token goes with what came from another spelling of its signature', async () => {
    const [one, other] = [jwt({ sub: 'one' }), jwt({ sub: 'other' })];
    await operations.exchange({ subjectToken: one });
    await operations.exchange({ subjectToken: other });
    await operations.revoke(one.replace(/[^.]+$/, 'twin'));
    const { accessToken } = await operations.exchange({ subjectToken: other });
    expect(accessToken).toBe('token-2');
    const again = await operations.exchange({ subjectToken: one });
    expect(again.accessToken).toBe('token-3');
  });

  it('10.14d: a foreign token with two dots goes alone', async () => {
    const [one, other] = ['v4.public.one', 'v4.public.other'];
    for (const subjectToken of [one, other]) await operations.exchange({ subjectToken });
    operations.evict(one);
    expect((await operations.exchange({ subjectToken: other })).accessToken).toBe('token-2');
    expect((await operations.exchange({ subjectToken: one })).accessToken).toBe('token-3');
  });

  it('T43: does not let a token in that was on its way meanwhile', async () => {
    let answer: () => void = () => undefined;
    setup.server.on('/token_endpoint', (response, request) => {
      answer = () => void replyJson(tokenBody({ access_token: 'late' }))(response, request);
    });
    const exchange = operations.exchange({ subjectToken: 's' });
    while (count() === 0) await delay(2);
    await operations.revoke('s');
    answer();
    expect((await exchange).accessToken).toBe('late');
    setup.server.on('/token_endpoint', replyJson(tokenBody({ access_token: 'new' })));
    expect((await operations.exchange({ subjectToken: 's' })).accessToken).toBe('new');
  });
});

describe('an endpoint that the metadata does not name', () => {
  it.each<[string, string, (operations: TokenOperations) => Promise<unknown>]>([
    [
      'token-endpoint-required-when-token-operation',
      'token_endpoint',
      (o) => o.clientCredentials(),
    ],
    [
      'token-endpoint-required-when-token-operation',
      'token_endpoint',
      (o) => o.exchange({ subjectToken: 's' }),
    ],
    [
      'introspection-endpoint-required-when-introspection',
      'introspection_endpoint',
      (o) => o.introspect('t'),
    ],
    ['revocation-endpoint-required-when-revocation', 'revocation_endpoint', (o) => o.revoke('t')],
  ])('rfc8414-%s-is-used: %s', async (_row, endpoint, call) => {
    const missing = setup.with({
      endpoint: (name) => Promise.reject(new MissingMetadataEndpointError(name)),
    });
    for (let i = 0; i < 10; i++) {
      const thrown = await thrownBy(call(missing));
      expect(thrown).toBeInstanceOf(MissingMetadataEndpointError);
      expect((thrown as Error).message).toContain(endpoint);
    }
    expect(setup.server.requests).toHaveLength(0);
  });
});

describe('transport failures', () => {
  it('become AuthorizationServerUnavailableError with their cause', async () => {
    await setup.server.close();
    const thrown = await thrownBy(operations.exchange({ subjectToken: 'canary-subject' }));
    expect(thrown).toBeInstanceOf(AuthorizationServerUnavailableError);
    expect(thrown).toMatchObject({ cause: { code: 'outbound_http_error', reason: 'connection' } });
    expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
  });

  it('a redirect is one, and is not followed', async () => {
    const location = { location: `${setup.server.origin}/elsewhere` };
    setup.server.on('/token_endpoint', replyRaw('', 307, location));
    expect(await thrownBy(operations.exchange({ subjectToken: 's' }))).toBeInstanceOf(
      AuthorizationServerUnavailableError,
    );
    expect(setup.server.requests).toHaveLength(1);
  });
});

describe('the circuit breaker', () => {
  const exchange = (subjectToken: string) => operations.exchange({ subjectToken });

  async function breakTokenEndpoint(): Promise<void> {
    setup.server.on('/token_endpoint', replyProblem('server_error', 500));
    for (let i = 0; i < 5; i++) await thrownBy(exchange(`broken-${i}`));
  }

  it('F12: spares a token endpoint that is down, and still serves cached tokens', async () => {
    await exchange('cached');
    await breakTokenEndpoint();
    const before = count();
    const thrown = await thrownBy(exchange('s'));
    expect(thrown).toBeInstanceOf(CircuitOpenError);
    expect(thrown).toMatchObject({ retryAfterSeconds: 30 });
    expect((await exchange('cached')).accessToken).toBe('token-1');
    expect(count()).toBe(before);
  });

  it('T45, P26: leaves the other endpoints alone', async () => {
    await breakTokenEndpoint();
    expect((await operations.introspect('t')).active).toBe(true);
    await operations.revoke('t');
    expect(await thrownBy(exchange('s'))).toBeInstanceOf(CircuitOpenError);
  });

  it.each([400, 401, 403, 429])('never opens by status %d', async (status) => {
    setup.server.on('/token_endpoint', replyProblem('access_denied', status));
    for (let i = 0; i < 20; i++) expect(await thrownBy(exchange('s'))).toBeInstanceOf(OAuthError);
    expect(count()).toBe(20);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['a mistake of the caller', () => thrownBy(exchange(''))],
    ['a cache hit', () => exchange('cached')],
    [
      'a refusal',
      () => thrownBy(operations.exchange({ subjectToken: 's', signal: AbortSignal.abort() })),
    ],
  ])('P27: is free for the probe after %s', async (_name, before) => {
    await exchange('cached');
    await breakTokenEndpoint();
    clock().advance(30);
    await before();
    setup.server.on('/token_endpoint', replyProblem('invalid_grant'));
    expect(await thrownBy(exchange('a'))).toMatchObject({ code: 'invalid_grant' });
    expect(await thrownBy(exchange('b'))).toMatchObject({ code: 'invalid_grant' });
  });

  it('P27: is free for the probe after trouble with the metadata', async () => {
    let broken = false;
    const error = new MetadataFetchError('x');
    operations = setup.with({
      endpoint: (name) => (broken ? Promise.reject(error) : setup.server.endpoint(name)),
    });
    await breakTokenEndpoint();
    clock().advance(30);
    broken = true;
    expect(await thrownBy(exchange('a'))).toBe(error);
    broken = false;
    setup.server.on('/token_endpoint', countingTokens());
    expect((await exchange('a')).accessToken).toBe('token-1');
  });

  it('opens by connection failures, and lets one probe of many callers through', async () => {
    await breakTokenEndpoint();
    clock().advance(30);
    setup.server.on('/token_endpoint', async (response, request) => {
      await delay(20);
      await countingTokens()(response, request);
    });
    const before = count();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => exchange(`probe-${i}`)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(count()).toBe(before + 1);
    await exchange('after');
  });

  it('has the threshold and the pause of the options', async () => {
    operations = setup.with({ circuitBreakerThreshold: 2, circuitBreakerCooldownSeconds: 7 });
    setup.server.on('/token_endpoint', replyRaw('', 502));
    await thrownBy(exchange('a'));
    await thrownBy(exchange('b'));
    expect(await thrownBy(exchange('c'))).toMatchObject({ retryAfterSeconds: 7 });
  });

  function clock() {
    return setup.clock;
  }
});

describe('DPoP', () => {
  let dpop: DPoPSigner;
  let noted: string[];
  const bound = tokenBody({ access_token: 'ok', token_type: 'DPoP' });

  beforeEach(async () => {
    dpop = await DPoPSigner.generate({ clock: setup.clock });
    noted = [];
    const note = dpop.noteNonce.bind(dpop);
    jest.spyOn(dpop, 'noteNonce').mockImplementation((url, nonce) => {
      noted.push(`${new URL(url).origin} ${nonce}`);
      note(url, nonce);
    });
    operations = setup.with({ dpop });
    setup.server.on('/token_endpoint', replyJson(bound));
  });

  function proofs() {
    return setup.server.requests.map(({ headers }) => decodeJwt(String(headers['dpop'])));
  }

  it('RFC 9449 §5: every request carries a proof of its own', async () => {
    await operations.clientCredentials();
    await operations.introspect('t');
    await operations.revoke('t');
    const [token, introspection, revocation] = proofs();
    expect(token).toMatchObject({ htm: 'POST', htu: `${setup.server.origin}/token_endpoint` });
    expect(introspection).toMatchObject({ htu: `${setup.server.origin}/introspection_endpoint` });
    expect(new Set([token?.jti, introspection?.jti, revocation?.jti]).size).toBe(3);
    expect(token).not.toHaveProperty('ath');
  });

  it('rfc9449-dpop-nonce-challenge-must-trigger-single-retry', async () => {
    const challenge = replyProblem('use_dpop_nonce', 400, {}, { 'DPoP-Nonce': 'nonce-123' });
    setup.server.on('/token_endpoint', challenge, replyJson(bound));
    const token = await operations.clientCredentials();
    expect(token).toMatchObject({ accessToken: 'ok', tokenType: 'DPoP' });
    const [first, second] = proofs();
    expect(count()).toBe(2);
    expect(first).not.toHaveProperty('nonce');
    expect(second).toMatchObject({ nonce: 'nonce-123' });
    expect(second?.jti).not.toBe(first?.jti);
    expect(noted).toEqual([`${setup.server.origin} nonce-123`]);
  });

  it('retries once only', async () => {
    const challenge = replyProblem('use_dpop_nonce', 400, {}, { 'DPoP-Nonce': 'again' });
    setup.server.on('/token_endpoint', challenge);
    expect(await thrownBy(operations.clientCredentials())).toMatchObject({
      code: 'use_dpop_nonce',
    });
    expect(count()).toBe(2);
  });

  it('RFC 9449 §8: understands the challenge in a header', async () => {
    const challenge = replyRaw('', 401, {
      'WWW-Authenticate': 'DPoP error="use_dpop_nonce"',
      'DPoP-Nonce': 'n',
    });
    setup.server.on('/token_endpoint', challenge, replyJson(bound));
    await operations.clientCredentials();
    expect(count()).toBe(2);
  });

  it.each([
    ['no nonce', replyProblem('use_dpop_nonce')],
    [
      'a nonce against its grammar',
      replyProblem('use_dpop_nonce', 400, {}, { 'DPoP-Nonce': 'a b' }),
    ],
    ['another error', replyProblem('invalid_dpop_proof', 400, {}, { 'DPoP-Nonce': 'n' })],
  ])('does not retry with %s', async (_name, reply) => {
    setup.server.on('/token_endpoint', reply);
    await thrownBy(operations.clientCredentials());
    expect(count()).toBe(1);
  });

  it('RFC 9449 §8.2: notes a nonce of any answer, for the next request', async () => {
    setup.server.on('/token_endpoint', replyJson(bound, 200, { 'DPoP-Nonce': 'n1' }));
    setup.server.on(
      '/introspection_endpoint',
      replyProblem('invalid_client', 401, {}, { 'DPoP-Nonce': 'n2' }),
    );
    await operations.clientCredentials();
    await thrownBy(operations.introspect('t'));
    await operations.revoke('t');
    expect(proofs().map(({ nonce }) => nonce)).toEqual([undefined, 'n1', 'n2']);
  });

  it('hardening: T49: a token that is bound to another key is refused', async () => {
    const tokens: [token: string, accepted: boolean][] = [
      [jwt({ cnf: { jkt: 'of-somebody-else' } }), false],
      [jwt({ cnf: { jkt: null } }), false],
      [jwt({ cnf: { jkt: dpop.thumbprint } }), true],
      [jwt({ cnf: {} }), true], // says nothing, as an opaque one
      [jwt({}), true],
      ['opaque.opaque.opaque', true],
    ];
    for (const [access_token, accepted] of tokens) {
      setup.server.on(
        '/token_endpoint',
        replyJson(tokenBody({ access_token, token_type: 'DPoP' })),
      );
      for (const ask of [
        () => operations.exchange({ subjectToken: access_token, resources: ['r'] }),
        () => setup.with({ dpop }).clientCredentials(),
      ]) {
        const outcome = await ask().catch((error: unknown) => error);
        expect(outcome instanceof ProtocolError).toBe(!accepted);
        if (!accepted) expect(outcome).toMatchObject({ statusCode: 200 });
        if (!accepted) expect(inspect(outcome)).not.toContain(access_token);
      }
    }
  });

  it("without a signer a nonce is nobody's business", async () => {
    const challenge = replyProblem('use_dpop_nonce', 400, {}, { 'DPoP-Nonce': 'n' });
    setup.server.on('/token_endpoint', challenge);
    expect(await thrownBy(setup.operations.clientCredentials())).toBeInstanceOf(OAuthError);
    expect(count()).toBe(1);
    expect(setup.server.last.headers['dpop']).toBeUndefined();
  });

  it('asks for credentials again when it retries', async () => {
    let asked = 0;
    const authenticate = () => ({ headers: { authorization: `Assertion ${++asked}` } });
    const challenge = replyProblem('use_dpop_nonce', 400, {}, { 'DPoP-Nonce': 'n' });
    setup.server.on('/token_endpoint', challenge, replyJson(bound));
    await setup.with({ dpop, authentication: { authenticate } }).clientCredentials();
    expect(setup.server.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Assertion 1',
      'Assertion 2',
    ]);
  });

  it.each<[string, boolean, () => Promise<unknown>]>([
    ['client credentials', false, () => operations.clientCredentials({ resources: ['r'] })],
    ['an exchange without target', false, () => operations.exchange({ subjectToken: 's' })],
    [
      'an exchange for a resource',
      true,
      () => operations.exchange({ subjectToken: 's', resources: ['google-cal'] }),
    ],
    [
      'an exchange for an audience',
      true,
      () => operations.exchange({ subjectToken: 's', audiences: ['google-cal'] }),
    ],
  ])('T49: an unbound token of %s: accepted is %s', async (_name, accepted, call) => {
    setup.server.on('/token_endpoint', replyJson(tokenBody()));
    if (accepted) {
      expect(await call()).toMatchObject({ tokenType: 'Bearer' });
      return;
    }
    expect(await thrownBy(call())).toBeInstanceOf(ProtocolError);
    expect(((await thrownBy(call())) as Error).message).toContain('token_type is Bearer');
  });
});

describe('the cache', () => {
  it('100 concurrent identical exchanges are one request', async () => {
    setup.server.on('/token_endpoint', async (response, request) => {
      await delay(20);
      await countingTokens()(response, request);
    });
    const all = await Promise.all(
      Array.from({ length: 100 }, () => operations.exchange({ subjectToken: 's', scope: 'a' })),
    );
    expect(new Set(all.map(({ accessToken }) => accessToken))).toEqual(new Set(['token-1']));
    expect(count()).toBe(1);
  });

  it('100 concurrent callers share one failure', async () => {
    setup.server.on('/token_endpoint', async (response, request) => {
      await delay(20);
      await replyProblem('consent_required')(response, request);
    });
    const all = await Promise.all(
      Array.from({ length: 100 }, () => thrownBy(operations.exchange({ subjectToken: 's' }))),
    );
    expect(new Set(all).size).toBe(1);
    expect(count()).toBe(1);
    setup.server.on('/token_endpoint', countingTokens());
    await operations.exchange({ subjectToken: 's' });
    expect(count()).toBe(2);
  });

  it('F28: a caller who gives up leaves the request to the others', async () => {
    setup.server.on('/token_endpoint', async (response, request) => {
      await delay(30);
      await countingTokens()(response, request);
    });
    const stop = new AbortController();
    const impatient = thrownBy(operations.exchange({ subjectToken: 's', signal: stop.signal }));
    const patient = operations.exchange({ subjectToken: 's' });
    await delay(5);
    stop.abort();
    expect(await impatient).toBe(stop.signal.reason);
    expect((await patient).accessToken).toBe('token-1');
    expect(count()).toBe(1);
  });

  const base: ExchangeRequest = {
    subjectToken: 's',
    subjectTokenType: 'urn:a',
    actorToken: 'a',
    actorTokenType: 'urn:a',
    resources: ['r1', 'r2'],
    audiences: ['x'],
    scope: 'a b',
  };

  it.each<[string, Partial<ExchangeRequest>]>([
    ['another subject', { subjectToken: 't' }],
    ['another subject type', { subjectTokenType: 'urn:b' }],
    ['another actor', { actorToken: 'b' }],
    ['another actor type', { actorTokenType: 'urn:b' }],
    ['fewer resources', { resources: ['r1'] }],
    ['resources in another order, of which AuthPlane reads the first', { resources: ['r2', 'r1'] }],
    ['resources that are audiences', { resources: ['r1'], audiences: ['r2', 'x'] }],
    ['a resource that looks like two', { resources: ['r1,r2'] }],
    ['another audience', { audiences: ['y'] }],
    ['another scope', { scope: 'a b c' }],
  ])('T47: %s is another token', async (_name, change) => {
    await operations.exchange(base);
    await operations.exchange({ ...base, ...change });
    expect(count()).toBe(2);
  });

  it.each<[string, Partial<ExchangeRequest>]>([
    ['scopes in another order', { scope: 'b a' }],
    ['a scope twice', { scope: 'a b a' }],
    ['blank values', { resources: ['r1', '', 'r2'], audiences: [' ', 'x'] }],
  ])('%s are the same token', async (_name, change) => {
    await operations.exchange(base);
    await operations.exchange({ ...base, ...change });
    expect(count()).toBe(1);
  });

  it('T47: grants and clients do not share tokens', async () => {
    await operations.clientCredentials({ scopes: ['a'] });
    await operations.clientCredentials({ scopes: ['b'] });
    await operations.clientCredentials({ scopes: ['a'], resources: ['r'] });
    await operations.clientCredentials({ scopes: ['a', 'r'] });
    await operations.clientCredentials({ scopes: ['a'] });
    expect(count()).toBe(4);
  });

  it('T47: another client or another key is another token', async () => {
    const authentication = { clientId: 'a', authenticate: () => ({}) };
    const dpop = { thumbprint: 'x', proof: async () => 'proof', noteNonce: () => undefined };
    setup.server.on('/token_endpoint', countingTokens({ token_type: 'DPoP' }));
    operations = setup.with({ authentication, dpop });
    for (const [clientId, thumbprint] of [
      ['a', 'x'],
      ['b', 'x'],
      ['a', 'y'],
      ['ax', ''],
      ['', 'ax'],
    ]) {
      Object.assign(authentication, { clientId });
      Object.assign(dpop, { thumbprint });
      await operations.clientCredentials();
    }
    expect(count()).toBe(5);
  });

  it('clientCredentials is cached, and evicted', async () => {
    const { accessToken } = await operations.clientCredentials();
    expect((await operations.clientCredentials()).accessToken).toBe(accessToken);
    operations.evict(accessToken);
    expect((await operations.clientCredentials()).accessToken).toBe('token-2');
  });

  it('RFC 6749 §5.1: expires_in 0 is not cached, an absent one is', async () => {
    setup.server.on('/token_endpoint', countingTokens({ expires_in: 0 }));
    await operations.exchange({ subjectToken: 's' });
    await operations.exchange({ subjectToken: 's' });
    expect(count()).toBe(2);
    setup.server.on('/token_endpoint', countingTokens({ expires_in: undefined }));
    await operations.exchange({ subjectToken: 's' });
    await operations.exchange({ subjectToken: 's' });
    expect(count()).toBe(3);
  });

  it('has the margin and the default of the options', async () => {
    operations = setup.with({ cacheTtlBufferSeconds: 0, defaultTtlSeconds: 5, cacheMaxEntries: 0 });
    await operations.clientCredentials();
    await operations.clientCredentials();
    expect(count()).toBe(2);
    operations = setup.with({ cacheTtlBufferSeconds: 3590 });
    await operations.clientCredentials();
    setup.clock.advance(9);
    await operations.clientCredentials();
    expect(count()).toBe(3);
    setup.clock.advance(1);
    await operations.clientCredentials();
    expect(count()).toBe(4);
  });

  it('ends with the subject token', async () => {
    const subjectToken = jwt({ exp: NOW + 10 });
    await operations.exchange({ subjectToken });
    setup.clock.advance(9);
    await operations.exchange({ subjectToken });
    expect(count()).toBe(1);
    setup.clock.advance(1);
    const thrown = await thrownBy(operations.exchange({ subjectToken }));
    expect(thrown).toBeInstanceOf(TokenExpiredError);
  });
});

describe('T56: secrets and tokens', () => {
  it('are in no error and no print of the operations', async () => {
    const authentication = clientAuthentication({ clientId: 'me', clientSecret: SECRET });
    operations = setup.with({ authentication, dpop: await DPoPSigner.generate() });
    setup.server.on(
      '/token_endpoint',
      replyJson(tokenBody({ access_token: 'canary-access', token_type: 'DPoP' })),
    );
    const exchange = {
      subjectToken: 'canary-subject',
      actorToken: 'canary-actor',
      resources: ['r'],
    };
    const printed = [await operations.exchange(exchange), operations];
    const echo: Reply = (response, request) => {
      const error_description = `${request.raw} ${String(request.headers['dpop'])} ${SECRET}`;
      return replyProblem('invalid_request', 400, { error_description })(response, request);
    };
    for (const path of ['/token_endpoint', '/introspection_endpoint', '/revocation_endpoint']) {
      setup.server.on(path, echo);
    }
    const errors = [
      await thrownBy(operations.exchange({ ...exchange, scope: 'other' })),
      await thrownBy(operations.introspect('canary-token')),
      await thrownBy(operations.revoke('canary-token')),
    ];
    for (const value of [...printed, ...errors]) {
      const text = inspect(value, { depth: 9, showHidden: true }) + JSON.stringify(value);
      expect(text + String(value)).not.toContain('canary');
      expect(text).not.toMatch(/eyJ/);
    }
  });
});

describe('hardening: T49: the scope of an answer', () => {
  it.each<[string | undefined, string | undefined, boolean]>([
    ['read', 'read admin', false],
    ['read', 'admin', false],
    ['read', 'READ', false],
    ['read write', 'write read', true],
    ['read  write', 'read', true],
    ['read', '', true],
    ['read', undefined, true],
    [undefined, 'read admin', true],
    [' ', 'read admin', true],
  ])('%j asked for, %j granted', async (scope, granted, accepted) => {
    setup.server.on('/token_endpoint', replyJson(tokenBody({ scope: granted })));
    const asked = scope === undefined ? {} : { scope };
    const scopes = scope === undefined ? {} : { scopes: scope.split(' ') };
    for (const ask of [
      () => operations.exchange({ subjectToken: 's', ...asked }),
      () => operations.clientCredentials(scopes),
    ]) {
      const outcome = await ask().catch((error: unknown) => error);
      expect(outcome instanceof ProtocolError).toBe(!accepted);
      if (!accepted) expect(String(outcome)).toContain('scope is wider than asked for');
    }
  });
});

describe('hardening: callers without types', () => {
  const subjectToken = 'canary-subject';
  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /exchange: the options must be an object/],
    ['null', null, /exchange: the options must be an object/],
    ['a text', subjectToken, /exchange: the options must be an object/],
    [
      'scope as a list',
      { subjectToken, scope: ['a'] },
      /exchange: scope: must be a string of scopes/,
    ],
    ['scope null', { subjectToken, scope: null }, /exchange: scope: must be a string/],
    ['resources as text', { subjectToken, resources: 'x' }, /exchange: resources: must be a list/],
    [
      'resources of numbers',
      { subjectToken, resources: [1] },
      /resources: must be a list of strings/,
    ],
    ['audiences null', { subjectToken, audiences: null }, /exchange: audiences: must be a list/],
    [
      'an actor that is none',
      { subjectToken, actorToken: {} },
      /exchange: actorToken: must be a str/,
    ],
    [
      'a type that is none',
      { subjectToken, subjectTokenType: 1 },
      /subjectTokenType: must be a str/,
    ],
    [
      'another type',
      { subjectToken, actorTokenType: 1 },
      /exchange: actorTokenType: must be a string/,
    ],
    [
      '10.14d: a signal that cannot be listened to',
      { subjectToken, signal: { throwIfAborted: () => undefined } },
      /exchange: signal: must be an AbortSignal/,
    ],
    [
      'a signal that is none',
      { subjectToken, signal: {} },
      /exchange: signal: must be an AbortSignal/,
    ],
    ['a misspelt member', { subjectToken, resource: 'x' }, /exchange: resource: unknown option/],
    [
      'two mistakes',
      { subjectToken, scope: 1, resources: 2 },
      /2 problems[^]*resources[^]*scope|scope[^]*resources/,
    ],
  ])('exchange of %s', async (_, request, message) => {
    const thrown = await thrownBy(operations.exchange(request as never));
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect((thrown as Error).message).toMatch(message);
    expect((thrown as Error).message).not.toContain('canary');
    expect(setup.server.requests).toEqual([]);
  });

  it.each<[unknown, RegExp]>([
    [null, /clientCredentials: the options must be an object/],
    [{ scopes: 'a b' }, /clientCredentials: scopes: must be a list of strings/],
    [{ scope: 'a b' }, /clientCredentials: scope: unknown option/],
    [{ resources: [null] }, /clientCredentials: resources: must be a list of strings/],
  ])('clientCredentials of %j', async (request, message) => {
    const thrown = await thrownBy(operations.clientCredentials(request as never));
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect((thrown as Error).message).toMatch(message);
  });

  it('a member that is undefined is one that was left out', async () => {
    const absent = { scope: undefined, resources: undefined, signal: undefined };
    await operations.exchange({ subjectToken, ...absent } as never);
    expect(setup.server.requests).toHaveLength(1);
  });

  it('evict of nothing', () => {
    expect(() => operations.evict(undefined as never)).toThrow(ConfigurationError);
  });
});
