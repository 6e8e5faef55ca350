import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { AuthplaneClient } from '../../src/core/client.js';
import type { AuthplaneError } from '../../src/core/errors/authplane-error.js';
import {
  AuthorizationServerUnavailableError,
  JWKSFetchError,
  MetadataFetchError,
  MissingMetadataEndpointError,
} from '../../src/core/errors/server-errors.js';
import { ConfigurationError } from '../../src/core/errors/configuration-error.js';
import { TokenRevokedError } from '../../src/core/errors/token-errors.js';
import type { ClientOptions } from '../../src/core/options.js';
import { cannedFetch } from '../support/servers/canned-fetch.js';
import {
  highSTwin,
  ISSUER,
  mint,
  NOW,
  RESOURCE,
  type SigningKey,
  signingKey,
} from '../support/tokens/keys-and-tokens.js';
import { hang, json, LoopbackAuthorizationServer } from '../support/servers/loopback-server.js';
import { ManualClock } from '../support/tokens/manual-clock.js';
import { expectRefusal, refusalOf } from '../support/tokens/refusals.js';
import { onUnhandledRejection } from '../support/tokens/unhandled-rejections.js';
import { collectGarbage } from '../support/time/collect-garbage.js';
import { holdTimers } from '../support/time/held-timers.js';
import { until } from '../support/time/until.js';

const METADATA_URL = `${ISSUER}/.well-known/oauth-authorization-server`;
const JWKS_URL = `${ISSUER}/jwks`;
const GOOD = { issuer: ISSUER, jwks_uri: JWKS_URL };

const closing: (() => unknown)[] = [];
let key: SigningKey;

beforeAll(() => {
  key = signingKey('ES256', 'k');
});

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function create(options: ClientOptions): Promise<AuthplaneClient> {
  const client = await AuthplaneClient.create(options);
  closing.push(() => client.close());
  return client;
}

async function loopback(): Promise<LoopbackAuthorizationServer> {
  const server = await LoopbackAuthorizationServer.start([key.jwk]);
  closing.push(() => server.stop());
  return server;
}

/** An https issuer in production mode, behind the `fetch` option. */
function production(metadata: unknown, keySet: unknown, options: Partial<ClientOptions> = {}) {
  const { fetch } = cannedFetch({ [METADATA_URL]: metadata, [JWKS_URL]: keySet });
  return create({ issuer: ISSUER, fetch, clock: new ManualClock(), ...options });
}

describe('options that are probably not meant', () => {
  it('hardening: are process warnings, once each', async () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const server = await loopback();
    const lax = await create({ issuer: server.issuer, devMode: true });
    const strict = await production(GOOD, { keys: [key.jwk] });
    lax.resource({ resource: RESOURCE });
    for (const path of ['a', 'b']) {
      strict.resource({ resource: `https://api.example.com/${path}`, inboundDPoP: {} });
    }
    const told = emitWarning.mock.calls.map(([warning, type]) => [String(warning), type]);
    emitWarning.mockRestore();
    expect(told).toEqual([
      [expect.stringContaining('authplane-nestjs: devMode is on'), 'AuthplaneWarning'],
      [expect.stringContaining('set replayStore'), 'AuthplaneWarning'],
    ]);
  });
});

describe('revoke', () => {
  it('hardening: T08: the high-s twin of a revoked token is refused at once, too', async () => {
    const [introspection, revocation] = [`${ISSUER}/introspect`, `${ISSUER}/revoke`];
    let active = true;
    const { fetch } = cannedFetch({
      [METADATA_URL]: {
        ...GOOD,
        introspection_endpoint: introspection,
        revocation_endpoint: revocation,
      },
      [JWKS_URL]: { keys: [key.jwk] },
      [introspection]: () => ({ active }),
      [revocation]: {},
    });
    const auth = { clientId: 'me', clientSecret: 'secret' };
    const client = await create({ issuer: ISSUER, fetch, auth, clock: new ManualClock() });
    const resource = client.resource({ resource: RESOURCE, revocationChecker: 'introspection' });
    const token = mint(key);
    const twin = highSTwin(token);
    for (const good of [token, twin]) await resource.verify(good);
    active = false;
    await client.revoke(token);
    for (const gone of [twin, token]) {
      await expectRefusal(resource.verify(gone), TokenRevokedError, /inactive/);
    }
  });
});

describe('resource', () => {
  it('hardening: one that nobody uses any more takes up no memory', async () => {
    const client = await production(GOOD, { keys: [key.jwk] });
    const made = Array.from({ length: 200 }, () => {
      return new WeakRef(client.resource({ resource: RESOURCE }));
    });
    for (let i = 0; i < 20 && made.some((resource) => resource.deref()); i++) {
      await new Promise((resolve) => setTimeout(resolve, 10)); // a WeakRef holds until its job ends
      collectGarbage();
    }
    expect(made.filter((resource) => resource.deref())).toEqual([]);
  });
});

describe('create', () => {
  it('is ready when metadata and keys have been read', async () => {
    const client = await production(GOOD, { keys: [key.jwk] });
    expect([client.issuer, client.isReady]).toEqual([ISSUER, true]);
    const claims = await client.resource({ resource: RESOURCE }).verify(mint(key));
    expect(claims.issuer).toBe(ISSUER);
  });

  it('refuses wrong options before it connects to anything', async () => {
    const { fetch, requests } = cannedFetch({});
    const options = { issuer: 'http://auth.example.com', fetch, dev_mode: true };
    await expectRefusal(create(options), ConfigurationError, /2 problems.*\n.*\n.*dev_mode/);
    expect(requests).toEqual([]);
  });

  it('resource refuses wrong options', async () => {
    const client = await production(GOOD, { keys: [key.jwk] });
    await expectRefusal(() => client.resource({}), ConfigurationError, /resource: give either/);
    const http = { resource: 'http://api.example.com/mcp' };
    await expectRefusal(() => client.resource(http), ConfigurationError, /must use https/);
  });
});

const wrongServers: [string, unknown, unknown, new (...args: never) => AuthplaneError, RegExp][] = [
  ['another issuer', { ...GOOD, issuer: `${ISSUER}/` }, {}, MetadataFetchError, /wrong issuer/],
  ['no issuer', { jwks_uri: JWKS_URL }, {}, MetadataFetchError, /names no issuer/],
  [
    'no jwks_uri',
    { issuer: ISSUER },
    {},
    MissingMetadataEndpointError,
    /no jwks_uri; .*set issuer/,
  ],
  [
    'a jwks_uri with http',
    { ...GOOD, jwks_uri: 'http://auth.example.com/jwks' },
    {},
    MetadataFetchError,
    /jwks_uri does not use https/,
  ],
  [
    'a token_endpoint with http',
    { ...GOOD, token_endpoint: 'http://auth.example.com/token' },
    {},
    MetadataFetchError,
    /token_endpoint does not use https/,
  ],
  [
    'a relative jwks_uri',
    { ...GOOD, jwks_uri: '/jwks' },
    {},
    MetadataFetchError,
    /jwks_uri is not/,
  ],
  [
    'no keys',
    GOOD,
    { keys: [] },
    JWKSFetchError,
    /no usable key: it is empty\. .*\/jwks .*kid.*set issuer/,
  ],
  [
    'no usable keys',
    GOOD,
    { keys: [{ kty: 'oct', kid: 'a', k: 'AAAA' }] },
    JWKSFetchError,
    /no usable key/,
  ],
];

describe.each(['eager', 'lazy'] as const)(
  'DECISIONS 4: %s start with a wrong server',
  (startup) => {
    it.each(wrongServers)('%s fails', async (_, metadata, keySet, kind, message) => {
      await expectRefusal(production(metadata, keySet, { startup }), kind, message);
      const error = await refusalOf(production(metadata, keySet, { startup }));
      expect(error).toMatchObject({ wrongServer: true });
    });
  },
);

describe('an authorization server that is away at start', () => {
  it('DECISIONS 4: eager: fails', async () => {
    const server = await loopback();
    await server.stop();
    const work = create({ issuer: server.issuer, devMode: true });
    await expectRefusal(work, MetadataFetchError, /./);
  });

  it('F01: lazy: starts, answers 503, and is ready by itself when the server comes up', async () => {
    const server = await loopback();
    await server.stop();
    const failures: AuthplaneError[] = [];
    const client = await create({
      issuer: server.issuer,
      devMode: true,
      startup: 'lazy',
      onBackgroundFailure: (error) => failures.push(error),
    });
    expect(client.isReady).toBe(false);
    expect(failures.length).toBeGreaterThan(0);
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: server.issuer, iat: now, exp: now + 60 };
    const resource = client.resource({ resource: RESOURCE });
    const work = resource.verify(mint(key, { claims }));
    await expectRefusal(work, MetadataFetchError, /./);
    await server.listen();
    await until(() => client.isReady);
    expect((await resource.verify(mint(key, { claims }))).sub).toBe('user-1');
  });

  it('F03: lazy: the start goes on before a request that hangs is given up, which is reported then', async () => {
    const server = await loopback();
    server.answers.set(server.metadataPath, hang);
    const reported: string[] = [];
    const deadlines = holdTimers(5000);
    const client = await create({
      issuer: server.issuer,
      devMode: true,
      startup: 'lazy',
      onBackgroundFailure: ({ code }) => reported.push(code),
    });
    expect([client.isReady, reported]).toEqual([false, []]);
    await deadlines.fire(1);
    await until(() => reported.length > 0);
    expect(reported).toEqual(['metadata_fetch_error']);
  });

  it('F04: lazy: one that answers 503 is away, not wrong', async () => {
    const server = await loopback();
    server.answers.set(server.metadataPath, json({}, 503));
    const client = await create({ issuer: server.issuer, devMode: true, startup: 'lazy' });
    expect(client.isReady).toBe(false);
    server.answers.clear();
    await until(() => client.isReady);
  });

  it('a lazy start with a server that is there is ready at once', async () => {
    const server = await loopback();
    const client = await create({ issuer: server.issuer, devMode: true, startup: 'lazy' });
    expect(client.isReady).toBe(true);
    expect([server.metadataFetches, server.jwksFetches]).toEqual([1, 1]);
  });
});

describe('refreshes', () => {
  it('keys are read again ahead of their age, without a request that asks for it', async () => {
    const server = await loopback();
    const client = await create({ issuer: server.issuer, devMode: true, jwksRefreshSeconds: 1 });
    const other = signingKey('ES256', 'other');
    server.keys = [other.jwk];
    await until(() => server.jwksFetches === 2);
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: server.issuer, iat: now, exp: now + 60 };
    await client.resource({ resource: RESOURCE }).verify(mint(other, { claims }));
    expect(server.jwksFetches).toBe(2);
  });

  it('hardening: a callback that throws or rejects stops no reload and no process', async () => {
    const rejections: unknown[] = [];
    closing.push(onUnhandledRejection((reason) => rejections.push(reason)));
    const broken: readonly (() => unknown)[] = [
      () => Promise.reject(new Error('later')),
      () => {
        throw new Error('at once');
      },
    ];
    for (const onBackgroundFailure of broken) {
      const server = await loopback();
      server.answers.set('/jwks', json({}, 503));
      const client = await create({
        issuer: server.issuer,
        devMode: true,
        startup: 'lazy',
        onBackgroundFailure,
      });
      await until(() => server.jwksFetches >= 2); // the second one in the background
      server.answers.clear();
      await until(() => client.isReady);
    }
    expect(rejections).toEqual([]);
  });

  it('a failed one is told of, and verification goes on', async () => {
    const server = await loopback();
    const failures: AuthplaneError[] = [];
    const client = await create({
      issuer: server.issuer,
      devMode: true,
      jwksRefreshSeconds: 1,
      onBackgroundFailure: (error) => failures.push(error),
    });
    server.answers.set('/jwks', json({}, 500));
    await until(() => failures.length > 0);
    expect(failures[0]).toBeInstanceOf(JWKSFetchError);
    expect(client.isReady).toBe(true);
  });
});

describe('close', () => {
  it('leaves no open handle: no timer, no socket', async () => {
    const server = await loopback();
    const sockets = () =>
      process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    const before = sockets();
    const client = await create({ issuer: server.issuer, devMode: true, jwksRefreshSeconds: 1 });
    client.close();
    await until(async () => (await server.connections()) === 0);
    await until(() => sockets() <= before);
    const requests = server.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(server.requests).toHaveLength(requests);
  });

  it('verification goes on with the keys in hand, and background failures are told no more', async () => {
    const server = await loopback();
    const failures: AuthplaneError[] = [];
    const clock = new ManualClock();
    const client = await create({
      issuer: server.issuer,
      devMode: true,
      clock,
      onBackgroundFailure: (error) => failures.push(error),
    });
    const resource = client.resource({ resource: RESOURCE });
    client.close();
    clock.advance(301);
    const claims = { iss: server.issuer, exp: NOW + 1000 };
    expect((await resource.verify(mint(key, { claims }))).sub).toBe('user-1');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(failures).toEqual([]);
    expect(server.jwksFetches).toBe(1);
  });

  it('a client whose start failed has closed itself', async () => {
    const server = await loopback();
    server.answers.set('/jwks', json({}, 500));
    const work = create({ issuer: server.issuer, devMode: true });
    expect(await refusalOf(work)).toBeInstanceOf(AuthorizationServerUnavailableError);
    const requests = server.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(server.requests).toHaveLength(requests);
    expect(await server.connections()).toBe(0);
  });

  it('may be called twice', async () => {
    const client = await production(GOOD, { keys: [key.jwk] });
    client.close();
    expect(() => client.close()).not.toThrow();
  });
});
