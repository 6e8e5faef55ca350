import { afterEach, describe, expect, it } from 'vitest';
import { Logger, type LoggerService } from '@nestjs/common';
import {
  type AuthContext,
  type AuthplaneClient,
  CircuitOpenError,
  DPoPSigner,
  ServerError,
  type TokenResponse,
} from 'authplane-nestjs';
import { dpopProof, generateDPoPKey } from 'authplane-nestjs/testing';
import {
  callService,
  fingerprint,
  type GatewayTask,
  type GatewayTasks,
} from '../../support/nest/operations-apps.js';
import {
  GATEWAY_SLUG,
  type OperationsSystem,
  startSystem,
  type SystemOptions,
  TOKEN_EXCHANGE,
} from '../../support/nest/operations-system.js';
import { platforms } from '../../support/nest/start-app.js';

describe.each(platforms)('outbound operations of an application on %s', (platform) => {
  let system: OperationsSystem;

  afterEach(() => system.close());

  async function start(options: SystemOptions = {}) {
    system = await startSystem(platform, options);
    const { tasks, ordersUri } = system;
    const exchange = { resources: [ordersUri], scope: 'orders:read' };
    tasks.set('orders', callService({ url: ordersUri, exchange }));
    tasks.set('exchange', async (client, caller) => summary(await exchangeFor(client, caller)));
    tasks.set('vault', async (client, { token }) =>
      summary(
        await client.exchange({
          subjectToken: token,
          resources: ['calendar'],
          scope: 'calendar.read',
        }),
      ),
    );
    tasks.set('machine', async (client) =>
      summary(await client.clientCredentials({ resources: [ordersUri], scopes: ['orders:read'] })),
    );
    return system;
  }

  /** What a test may see of a token that was handed to a handler. */
  function summary({ accessToken, tokenType, expiresIn, scope, issuedTokenType }: TokenResponse) {
    return { token: fingerprint(accessToken), tokenType, expiresIn, scope, issuedTokenType };
  }

  function exchangeFor(client: AuthplaneClient, { token }: AuthContext) {
    return client.exchange({
      subjectToken: token,
      resources: [system.ordersUri],
      scope: 'orders:read',
    });
  }

  describe('a call for the caller', () => {
    it('RFC 8693, T48: the service sees the user as subject and never the inbound token', async () => {
      const { token, call, received, ordersUri, authorizationServer } = await start();
      const inbound = await token('alice');
      expect(await call(inbound, 'orders')).toMatchObject({
        status: 201,
        body: {
          result: {
            status: 200,
            body: {
              sub: 'alice',
              audience: [ordersUri],
              scopes: ['orders:read'],
              act: { sub: GATEWAY_SLUG, act: { sub: 'agent-1' } },
            },
          },
        },
      });
      expect(received.tokens).toHaveLength(1);
      const [, payload = '', signature = ''] = inbound.split('.');
      for (const text of received.requests) {
        expect(text).not.toContain(payload);
        expect(text).not.toContain(signature);
      }
      expect(received.requests.join()).toContain('Bearer ');
      expect(received.tokens).not.toContain(fingerprint(inbound));
      expect(authorizationServer.grantRequests()).toEqual({ [TOKEN_EXCHANGE]: 1 });
    });

    it('T47: each of 20 users is that user behind the gateway, also all at once', async () => {
      const { token, call, authorizationServer } = await start();
      const users = Array.from({ length: 20 }, (_, index) => `user-${index}`);
      const tokens = await Promise.all(users.map((user) => token(user)));
      for (const round of [1, 2]) {
        const answers = await Promise.all(tokens.map((inbound) => call(inbound, 'orders')));
        expect(
          answers.map(
            ({ body }) => (body as { result: { body: { sub: string } } }).result.body.sub,
          ),
        ).toEqual(users);
        expect([round, authorizationServer.grantRequests()[TOKEN_EXCHANGE]]).toEqual([round, 20]);
      }
    });

    it('T48: a body and headers that hold the inbound token are refused before anything is sent', async () => {
      const { tasks, token, call, received, ordersUri } = await start();
      const attempts: Record<string, (inbound: string) => RequestInit> = {
        body: (inbound) => ({ method: 'POST', body: JSON.stringify({ inbound }) }),
        header: (inbound) => ({ headers: { 'x-forwarded-user': inbound } }),
        authorization: (inbound) => ({ headers: { authorization: `Bearer ${inbound}` } }),
      };
      const problems: unknown[] = [];
      for (const [name, init] of Object.entries(attempts)) {
        tasks.set(name, async (client, caller) => {
          const request = { subjectToken: caller.token, url: ordersUri, init: init(caller.token) };
          const exchange = { resources: [ordersUri] };
          await client.fetchAs({ ...request, exchange }).catch((error: unknown) => {
            problems.push(error instanceof Error && error.message);
          });
        });
        await call(await token('alice'), name);
      }
      expect(problems).toHaveLength(3);
      expect(problems.slice(0, 2)).toEqual(Array(2).fill(expect.stringContaining('inbound token')));
      expect(problems[2]).toContain('Authorization');
      expect(received.requests).toEqual([]);
    });

    it('posts a body as the user', async () => {
      const { tasks, token, call, ordersUri } = await start();
      const exchange = { resources: [ordersUri], scope: 'orders:read' };
      const init = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"tea":2}',
      };
      tasks.set('order', callService({ url: ordersUri, init, exchange }));
      expect((await call(await token('alice'), 'order')).body).toMatchObject({
        result: { status: 201, body: { sub: 'alice', ordered: { tea: 2 } } },
      });
    });

    it('a 401 of the service drops the token, and a fresh one is tried once', async () => {
      const refused = new Set<string>();
      const { token, call, received, authorizationServer } = await start({
        orders: { revocationChecker: (_claims, seen) => refused.has(fingerprint(seen)) },
      });
      const inbound = await token('alice');
      await call(inbound, 'orders');
      await call(inbound, 'orders');
      expect(authorizationServer.grantRequests()[TOKEN_EXCHANGE]).toBe(1);
      for (const seen of received.tokens) refused.add(seen);

      expect((await call(inbound, 'orders')).body).toMatchObject({
        result: { status: 200, body: { sub: 'alice' } },
      });
      expect(authorizationServer.grantRequests()[TOKEN_EXCHANGE]).toBe(2);
      const [first, second, third, fourth] = received.tokens;
      expect([second, third]).toEqual([first, first]);
      expect(fourth).not.toBe(first);
      expect(received.tokens).toHaveLength(4);

      // The fresh one is the cached one now.
      await call(inbound, 'orders');
      expect(received.tokens.at(-1)).toBe(fourth);
      expect(authorizationServer.grantRequests()[TOKEN_EXCHANGE]).toBe(2);
    });

    it('a service that always says 401 is asked twice, not more', async () => {
      const { token, call, received, authorizationServer } = await start({
        orders: { revocationChecker: () => true },
      });
      expect((await call(await token('alice'), 'orders')).body).toMatchObject({
        result: { status: 401 },
      });
      expect(received.tokens).toHaveLength(2);
      expect(authorizationServer.grantRequests()[TOKEN_EXCHANGE]).toBe(2);
    });

    it('what the authorization server refuses reaches the application as a typed error', async () => {
      const { token, call, authorizationServer, received } = await start();
      const inbound = await token('mallory');
      await call(inbound); // verified, and remembered
      authorizationServer.revokeToken(inbound);
      expect(await call(inbound, 'orders')).toMatchObject({
        status: 502,
        body: { code: 'invalid_grant', statusCode: 400 },
      });
      expect((await call(await token('bob'), 'orders')).status).toBe(201);
      expect(received.tokens).toHaveLength(1);
    });

    it('a missing consent is answered by this package, for this user only', async () => {
      const { token, call, authorizationServer, received } = await start();
      authorizationServer.requireConsent({ user: 'alice', resource: 'orders' });
      expect(await call(await token('alice'), 'orders')).toMatchObject({
        status: 403,
        body: { error: 'consent_required' },
      });
      expect((await call(await token('bob'), 'orders')).status).toBe(201);
      expect(received.tokens).toHaveLength(1);
    });
  });

  describe('a token of the vault', () => {
    it.each([
      ['with a proof', true],
      ['without a proof', false],
    ])('T49: expires_in 0 is used once and is Bearer, %s', async (_name, withProof) => {
      const { token, call, authorizationServer } = await start({
        broker: { provider: 'example', expiresIn: 0 },
        ...(withProof ? { dpop: await DPoPSigner.generate() } : {}),
      });
      authorizationServer.giveConsent({ user: 'alice', resource: 'calendar' });
      const inbound = await token('alice');
      const answers = [await call(inbound, 'vault'), await call(inbound, 'vault')];
      for (const { body } of answers) {
        expect(body).toMatchObject({
          result: { tokenType: 'Bearer', expiresIn: 0, scope: 'calendar.read' },
        });
      }
      const [first, second] = answers.map(({ body }) => JSON.stringify(body));
      expect(first).not.toBe(second);
      expect(authorizationServer.upstreamCalls()).toBe(2);
    });

    it('with a lifetime it is fetched once, and again when that ends', async () => {
      const { token, call, clock, authorizationServer } = await start({
        broker: { provider: 'example', expiresIn: 100 },
      });
      authorizationServer.giveConsent({ user: 'alice', resource: 'calendar' });
      const inbound = await token('alice');
      const first = await call(inbound, 'vault');
      expect((await call(inbound, 'vault')).body).toEqual(first.body);
      expect(authorizationServer.upstreamCalls()).toBe(1);
      clock.travel(71); // expires_in less the margin of 30 seconds
      const second = await call(inbound, 'vault');
      expect([first.status, second.status]).toEqual([201, 201]);
      expect(second.body).not.toEqual(first.body);
      expect(authorizationServer.upstreamCalls()).toBe(2);
    });

    it('is there after the user has connected the account, and not a moment before', async () => {
      const { tasks, token, call, authorizationServer } = await start();
      const seen: unknown[] = [];
      tasks.set('consent', async (client, { token: subjectToken }) => {
        const exchange = { subjectToken, resources: ['calendar'], scope: 'calendar.read' };
        await client.exchange(exchange).catch((error: unknown) => seen.push(error));
      });
      const inbound = await token('alice');
      await call(inbound, 'consent');
      expect(seen).toEqual([
        expect.objectContaining({
          code: 'consent_required',
          serviceId: 'calendar',
          causeDetail: 'consent_missing',
        }),
      ]);
      const { consentUrl } = seen[0] as { consentUrl: string };
      await authorizationServer.approveConsent(consentUrl, { user: 'alice' });
      expect((await call(inbound, 'vault')).body).toMatchObject({
        result: { tokenType: 'Bearer', expiresIn: 3599 },
      });
      expect((await call(await token('bob'), 'vault')).status).toBe(403);
    });
  });

  describe('client credentials', () => {
    it('RFC 6749 §4.4: one token for the application itself, the same for all callers', async () => {
      const { tasks, token, call, ordersUri, authorizationServer } = await start();
      tasks.set('as itself', async (client) => {
        const { accessToken } = await client.clientCredentials({
          resources: [ordersUri],
          scopes: ['orders:read'],
        });
        const headers = { authorization: `Bearer ${accessToken}` };
        return (await fetch(ordersUri, { headers })).json();
      });
      for (const user of ['alice', 'bob']) {
        expect((await call(await token(user), 'as itself')).body).toMatchObject({
          result: { sub: 'gateway', clientId: 'gateway', scopes: ['orders:read'] },
        });
      }
      expect(authorizationServer.grantRequests()).toEqual({ client_credentials: 1 });
    });
  });

  describe('DPoP', () => {
    it.each([
      ['an AS without nonces', false, undefined],
      ['an AS and a service that require nonces', true, true as const],
    ])('RFC 9449 §7: bound calls end to end, with %s', async (_name, nonces, nonce) => {
      const dpop = await DPoPSigner.generate();
      const { token, call, received, authorizationServer } = await start({
        dpop,
        authorizationServer: { dpopRequireNonce: nonces },
        orders: { inboundDPoP: { required: true, ...(nonce ? { nonce } : {}) } },
      });
      const inbound = await token('alice');
      for (let i = 1; i <= 3; i++) {
        expect((await call(inbound, 'orders')).body).toMatchObject({
          result: {
            status: 200,
            body: { sub: 'alice', proofKey: dpop.thumbprint, cnf: { jkt: dpop.thumbprint } },
          },
        });
      }
      // One exchange, repeated for its nonce; three calls, the first one repeated for its nonce.
      expect(authorizationServer.requests().token).toBe(nonces ? 2 : 1);
      expect(received.tokens).toHaveLength(nonces ? 4 : 3);
      expect(new Set(received.tokens).size).toBe(1);
    });

    it('RFC 9449 §5: a caller with a bound token is called for with the key of the gateway', async () => {
      const dpop = await DPoPSigner.generate();
      const { token, gatewayUri } = await start({
        dpop,
        gateway: { inboundDPoP: { required: true } },
        orders: { inboundDPoP: { required: true } },
      });
      const key = await generateDPoPKey();
      const inbound = await token('alice', { cnf: { jkt: key.thumbprint } });
      const url = `${gatewayUri}/run`;
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          authorization: `DPoP ${inbound}`,
          dpop: dpopProof(key, { method: 'POST', url, accessToken: inbound }),
          'content-type': 'application/json',
        },
        body: JSON.stringify({ task: 'orders' }),
      });
      expect(await response.json()).toMatchObject({
        result: { status: 200, body: { sub: 'alice', proofKey: dpop.thumbprint } },
      });
    });

    it('RFC 9449 §8: the first exchange spends a demand for a nonce, later ones do not', async () => {
      const { token, call, authorizationServer } = await start({
        dpop: await DPoPSigner.generate(),
        authorizationServer: { dpopRequireNonce: true },
      });
      for (const user of ['alice', 'bob', 'carol']) {
        expect((await call(await token(user), 'exchange')).body).toMatchObject({
          result: { tokenType: 'DPoP' },
        });
      }
      expect(authorizationServer.requests().token).toBe(4);
    });
  });

  describe('identical requests', () => {
    it.each(['exchange', 'vault', 'machine'])(
      '100 at once cost one token request: %s',
      async (task) => {
        const { tasks, token, call, authorizationServer } = await start({
          broker: { provider: 'example', expiresIn: 0 },
        });
        authorizationServer.giveConsent({ resource: 'calendar' });
        const inbound = await token('alice');
        together(tasks, task, 100);
        const answers = await Promise.all(Array.from({ length: 100 }, () => call(inbound, task)));
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
        expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
        expect(authorizationServer.requests().token).toBe(1);
      },
    );

    it('100 at once share one failure, and the next one is tried again', async () => {
      const { tasks, token, call, authorizationServer } = await start();
      const inbound = await token('alice');
      authorizationServer.requireConsent({ resource: 'orders' });
      together(tasks, 'exchange', 100);
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => call(inbound, 'exchange')),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]));
      expect(authorizationServer.requests().token).toBe(1);
      authorizationServer.giveConsent({ resource: 'orders' });
      expect((await call(inbound, 'exchange')).status).toBe(201);
      expect(authorizationServer.requests().token).toBe(2);
    });
  });

  describe('revocation by introspection', () => {
    const checked = { revocationChecker: 'introspection' } as const;

    it('T43: a revoked token is accepted for the age of a verdict at most', async () => {
      const { token, call, clock, authorizationServer } = await start({ gateway: checked });
      const inbound = await token('alice');
      expect((await call(inbound)).status).toBe(200);
      authorizationServer.revokeToken(inbound);
      clock.travel(25);
      expect((await call(inbound)).status).toBe(200);
      expect(authorizationServer.requests().introspect).toBe(1);
      clock.travel(6);
      const refused = await call(inbound);
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toContain('error="invalid_token"');
      expect(authorizationServer.requests().introspect).toBe(2);
    });

    it('T43: revoke() ends it at once', async () => {
      const { token, call, client, gatewayUri, authorizationServer } = await start({
        gateway: checked,
      });
      const { accessToken } = await client.clientCredentials({
        resources: [gatewayUri],
        scopes: ['gateway:use'],
      });
      expect((await call(accessToken)).status).toBe(200);
      await client.revoke(accessToken);
      expect((await call(accessToken)).status).toBe(401);
      expect(authorizationServer.requests()).toMatchObject({ revoke: 1, introspect: 2 });
      // Also the token of a user, which AuthPlane takes back in its own way.
      const inbound = await token('alice');
      expect((await call(inbound)).status).toBe(200);
      authorizationServer.revokeToken(inbound);
      await client.revoke(inbound);
      expect((await call(inbound)).status).toBe(401);
    });

    it('T43: revoke() takes along what was exchanged for the token', async () => {
      const { token, call, client, authorizationServer } = await start();
      const inbound = await token('alice');
      await call(inbound, 'orders');
      authorizationServer.revokeToken(inbound);
      await client.revoke(inbound);
      expect(await call(inbound, 'orders')).toMatchObject({
        status: 502,
        body: { code: 'invalid_grant' },
      });
    });

    it.each<[string, () => void]>([
      ['status 500', () => system.authorizationServer.fail('introspect', { status: 500 })],
      ['a reset connection', () => system.authorizationServer.fail('introspect', 'reset')],
      ['half an answer', () => system.authorizationServer.fail('introspect', 'truncate')],
      [
        'an HTML page',
        () => {
          const page = { status: 200, body: '<html>', contentType: 'text/html' };
          system.authorizationServer.fail('introspect', page);
        },
      ],
    ])('T44: 503 while the endpoint has %s, and by itself back to 200', async (_name, breakIt) => {
      const { token, call, clock, authorizationServer } = await start({ gateway: checked });
      const known = await token('alice');
      expect((await call(known)).status).toBe(200);
      breakIt();
      const fresh = await token('bob');
      for (let i = 0; i < 7; i++) {
        const refused = await call(fresh);
        expect(refused.status).toBe(503);
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
        expect(refused.headers.get('www-authenticate')).toBeNull();
      }
      // F11: verdicts in memory are used meanwhile, and nothing else is touched.
      expect((await call(known, 'exchange')).status).toBe(201);
      authorizationServer.fail('introspect', null);
      clock.travel(30); // the pause of the breaker, where it opened
      expect((await call(fresh)).status).toBe(200);
    });

    it('T44: with failClosed false unchecked tokens pass, and each one is told of', async () => {
      const told: string[] = [];
      const { token, call, clock, authorizationServer } = await start({
        gateway: {
          ...checked,
          failClosed: false,
          onBackgroundFailure: (error) => told.push(error.code),
        },
      });
      const revoked = await token('mallory');
      authorizationServer.revokeToken(revoked);
      expect((await call(revoked)).status).toBe(401);
      authorizationServer.fail('introspect', { status: 500 });
      for (let i = 0; i < 7; i++) expect((await call(await token('bob'))).status).toBe(200);
      expect(told).toHaveLength(7);
      expect((await call(revoked)).status).toBe(401); // what is known stays known
      authorizationServer.fail('introspect', null);
      clock.travel(31);
      expect((await call(revoked)).status).toBe(401);
      expect((await call(await token('bob'))).status).toBe(200);
      expect(told).toHaveLength(7);
      // It is the revocation that passes unchecked, nothing else.
      authorizationServer.fail('introspect', { status: 500 });
      expect((await call(await token('bob', { exp: 1 }))).status).toBe(401);
    });

    it('names the missing binding in the log when every token is inactive', async () => {
      const { token, call } = await start({ gateway: checked, bound: false });
      const lines = recordLog();
      for (const user of ['alice', 'bob', 'carol']) {
        expect((await call(await token(user))).status).toBe(401);
      }
      const refusals = lines.filter((line) => line.startsWith('refused: token_revoked'));
      expect(refusals).toHaveLength(3);
      expect(refusals[2]).toContain('policy.runtime.client_ids');
      expect(refusals[0]).not.toContain('policy.runtime.client_ids');
      const warnings = lines.filter((line) => line.startsWith('refused a request: token_revoked'));
      expect(warnings).toHaveLength(2); // the second one has what the first could not know
      expect(warnings[1]).toContain('policy.runtime.client_ids');
    });

    it('does not suspect the binding when it is there', async () => {
      const { token, call, authorizationServer } = await start({ gateway: checked });
      const lines = recordLog();
      await call(await token('alice'));
      for (const user of ['bob', 'carol', 'dave', 'eve']) {
        const inbound = await token(user);
        authorizationServer.revokeToken(inbound);
        expect((await call(inbound)).status).toBe(401);
      }
      expect(lines.filter((line) => line.startsWith('refused: token_revoked'))).toHaveLength(4);
      expect(lines.join()).not.toContain('policy.runtime');
    });

    it('F11: with a third of the answers broken, cached verdicts count and the others are 503', async () => {
      const { token, call, authorizationServer } = await start({
        gateway: { ...checked, circuitBreakerThreshold: 5 },
      });
      const known = await token('known');
      await call(known);
      const statuses = { known: new Set<number>(), broken: new Set<number>(), good: new Set() };
      for (let i = 0; i < 30; i++) {
        const broken = i % 3 === 0;
        authorizationServer.fail('introspect', broken ? { status: 500 } : null);
        statuses.known.add((await call(known, 'exchange')).status);
        statuses[broken ? 'broken' : 'good'].add((await call(await token(`user-${i}`))).status);
      }
      expect(statuses).toEqual({
        known: new Set([201]),
        broken: new Set([503]),
        good: new Set([200]),
      });
    });
  });

  describe('trouble at the token endpoint', () => {
    it('T45, P26: five failing exchanges change nothing for introspection and verification', async () => {
      const { tasks, token, call, clock, authorizationServer } = await start({
        gateway: { revocationChecker: 'introspection' },
      });
      const errors: unknown[] = [];
      const failing: GatewayTask = async (client, caller) => {
        await exchangeFor(client, caller).catch((error: unknown) => errors.push(error));
      };
      tasks.set('failing', failing);
      const revoked = await token('mallory');
      authorizationServer.revokeToken(revoked);
      authorizationServer.fail('token', { status: 500 });
      const inbound = await token('alice');
      for (let i = 0; i < 6; i++) expect((await call(inbound, 'failing')).status).toBe(201);
      expect(errors.slice(0, 5).every((error) => error instanceof ServerError)).toBe(true);
      expect(errors[5]).toBeInstanceOf(CircuitOpenError);
      expect(authorizationServer.requests().token).toBe(5);

      const before = authorizationServer.requests().introspect;
      expect((await call(await token('bob'))).status).toBe(200);
      expect((await call(revoked)).status).toBe(401);
      expect(authorizationServer.requests().introspect).toBe(before + 2);

      authorizationServer.fail('token', null);
      clock.travel(30);
      expect((await call(inbound, 'exchange')).status).toBe(201);
    });

    it('T45: and failing introspections change nothing for exchanges', async () => {
      const { token, call, authorizationServer, client } = await start();
      authorizationServer.fail('introspect', { status: 500 });
      authorizationServer.fail('revoke', { status: 500 });
      for (let i = 0; i < 6; i++) {
        await expect(client.introspect('t')).rejects.toThrow();
        await expect(client.revoke('t')).rejects.toThrow();
      }
      expect(authorizationServer.requests()).toMatchObject({ introspect: 5, revoke: 5 });
      expect((await call(await token('alice'), 'exchange')).status).toBe(201);
    });

    it('F12: exchanges fail fast and typed, cached tokens are served, verification goes on', async () => {
      const { tasks, token, call, authorizationServer } = await start();
      const cached = await token('cached');
      const first = await call(cached, 'exchange');
      authorizationServer.fail('token', 'reset');
      tasks.set('told', async (client, caller) => {
        const code: unknown = await exchangeFor(client, caller).catch(
          (error: { code: string }) => error.code,
        );
        return { code };
      });
      const codes: unknown[] = [];
      for (let i = 0; i < 8; i++) codes.push((await call(await token(`u${i}`), 'told')).body);
      const down = { result: { code: 'authorization_server_unavailable' } };
      const open = { result: { code: 'circuit_open' } };
      expect(codes).toEqual([...Array(5).fill(down), ...Array(3).fill(open)]);
      expect((await call(cached, 'exchange')).body).toEqual(first.body);
      expect((await call(await token('bob'))).status).toBe(200);
      // Unhandled it is no 500: the application cannot help it.
      expect((await call(await token('bob'), 'exchange')).status).toBe(503);
    });
  });
});

/** From now on the task begins when so many have been called for it. */
function together(tasks: GatewayTasks, name: string, count: number): void {
  const task = tasks.get(name);
  if (task === undefined) throw new Error(`there is no task ${name}`);
  let waiting = count;
  let begin: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (begin = resolve));
  tasks.set(name, async (client, caller) => {
    if (--waiting === 0) begin();
    await all;
    return task(client, caller);
  });
}

/** What this process logs through Nest from now on, until the next application is made. */
function recordLog(): string[] {
  const lines: string[] = [];
  const record = (message: unknown): void => void lines.push(String(message));
  const logger: LoggerService = {
    log: record,
    error: record,
    warn: record,
    debug: record,
    verbose: record,
    fatal: record,
  };
  Logger.overrideLogger(logger);
  return lines;
}
