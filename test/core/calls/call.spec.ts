import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { decodeJwt } from 'jose';
import { DPoPSigner } from '../../../src/core/dpop/signer.js';
import {
  AuthorizationServerUnavailableError,
  CircuitOpenError,
  MetadataFetchError,
  MissingMetadataEndpointError,
  ProtocolError,
} from '../../../src/core/errors/server-errors.js';
import { OAuthError } from '../../../src/core/errors/oauth-errors.js';
import type { TokenOperations } from '../../../src/core/operations/token-operations.js';
import {
  countingTokens,
  jwt,
  setUpAnswering,
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

let setup: Setup;
let operations: TokenOperations;

beforeEach(async () => {
  setup = await setUpAnswering();
  operations = setup.operations;
});

afterEach(() => setup.close());

function count(path = '/token_endpoint'): number {
  return setup.server.requests.filter((request) => request.path === path).length;
}

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
    vi.spyOn(dpop, 'noteNonce').mockImplementation((url, nonce) => {
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
