import { afterEach, describe, expect, it } from 'vitest';
import { AuthorizationServer } from '../../../src/core/discovery/authorization-server.js';
import type { AuthplaneError } from '../../../src/core/errors/authplane-error.js';
import {
  MetadataFetchError,
  MissingMetadataEndpointError,
} from '../../../src/core/errors/server-errors.js';
import { OutboundHttp } from '../../../src/core/http/client.js';
import { type ClientOptions, resolveClientOptions } from '../../../src/core/options.js';
import { cannedFetch } from '../../support/servers/canned-fetch.js';
import { ISSUER } from '../../support/tokens/keys-and-tokens.js';
import {
  type Answer,
  json,
  LoopbackAuthorizationServer,
  raw,
} from '../../support/servers/loopback-server.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';
import { expectRefusal, refusalOf } from '../../support/tokens/refusals.js';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function connect(options: ClientOptions) {
  const clock = new ManualClock();
  const moves: string[] = [];
  const failures: AuthplaneError[] = [];
  const onBackgroundFailure = (error: AuthplaneError) => failures.push(error);
  const resolved = resolveClientOptions({ clock, onBackgroundFailure, ...options });
  const http = new OutboundHttp({
    devMode: resolved.devMode,
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
  });
  const server = new AuthorizationServer(resolved, http, (hasMoved) => {
    if (hasMoved) moves.push('moved');
  });
  closing.push(() => {
    server.close();
    http.close();
  });
  return { server, clock, moves, failures };
}

async function loopback(issuerPath = '') {
  const as = await LoopbackAuthorizationServer.start([], { issuerPath });
  closing.push(() => as.stop());
  return { as, ...connect({ issuer: as.issuer, devMode: true }) };
}

/** An https issuer with this document, in production mode. */
function production(document: unknown, issuer = ISSUER) {
  const { server } = connect({ issuer });
  const canned = cannedFetch({ [server.metadataUrl]: document });
  return { ...connect({ issuer, fetch: canned.fetch }), requests: canned.requests };
}

describe('RFC 8414 §3: where the metadata stands', () => {
  it.each([
    ['https://auth.example.com', ''],
    ['https://auth.example.com/', ''],
    ['https://auth.example.com/tenant-a', '/tenant-a'],
    ['https://auth.example.com/tenant-a/', '/tenant-a'],
    ['https://auth.example.com/a/b', '/a/b'],
  ])('%s', (issuer, path) => {
    const { server } = connect({ issuer });
    expect(server.metadataUrl).toBe(
      `https://auth.example.com/.well-known/oauth-authorization-server${path}`,
    );
  });

  it('it is read there, once, over HTTP', async () => {
    const { as, server } = await loopback('/tenant');
    expect(await server.endpoint('jwks_uri')).toBe(as.jwksUri);
    expect(await server.endpoint('token_endpoint')).toBe(`${as.origin}/token`);
    expect(as.requests).toEqual(['/.well-known/oauth-authorization-server/tenant']);
  });
});

describe('RFC 8414 §3.3: the issuer', () => {
  it.each([
    [ISSUER, `${ISSUER}/`],
    [`${ISSUER}/`, ISSUER],
    [ISSUER, 'https://AUTH.example.com'],
    [ISSUER, 'https://auth.example.com:443'],
    [ISSUER, 'http://auth.example.com'],
    [ISSUER, 'https://evil.example'],
    [ISSUER, `${ISSUER} `],
    [`${ISSUER}/a`, `${ISSUER}/b`],
  ])('configured %s is not %s', async (configured, received) => {
    const { server } = production({ issuer: received, jwks_uri: `${ISSUER}/jwks` }, configured);
    await expectRefusal(server.endpoint('jwks_uri'), MetadataFetchError, /wrong issuer/);
    const error = await refusalOf(server.endpoint('jwks_uri'));
    expect(error).toMatchObject({ wrongServer: true });
    expect(error.message).toContain(JSON.stringify(received));
    expect(error.message).toContain(`"${configured}"`);
  });

  it.each([undefined, null, '', 1, [ISSUER], { issuer: ISSUER }])('%p is none', async (issuer) => {
    const { server } = production({ issuer, jwks_uri: `${ISSUER}/jwks` });
    await expectRefusal(server.endpoint('jwks_uri'), MetadataFetchError, /names no issuer/);
  });

  it('T10: an issuer in __proto__ is none', async () => {
    const text = `{"__proto__":{"issuer":"${ISSUER}"},"jwks_uri":"${ISSUER}/jwks"}`;
    const { server } = connect({
      issuer: ISSUER,
      fetch: () =>
        Promise.resolve(new Response(text, { headers: { 'content-type': 'application/json' } })),
    });
    await expectRefusal(server.endpoint('jwks_uri'), MetadataFetchError, /names no issuer/);
  });

  it('a foreign issuer is shown bounded and on one line', async () => {
    const issuer = `https://x/\r\n\u0000\u009b\u2028\u202e${'y'.repeat(5000)}`;
    const { server } = production({ issuer, jwks_uri: `${ISSUER}/jwks` });
    const { message } = await refusalOf(server.endpoint('jwks_uri'));
    expect(message).toMatch(/^[\x20-\x7e]+$/);
    expect(message.length).toBeLessThan(2000);
  });
});

describe('T39: endpoints', () => {
  const CALLED = ['jwks_uri', 'token_endpoint', 'introspection_endpoint', 'revocation_endpoint'];

  it.each([
    ['relative', '/jwks', /not an absolute URL/],
    ['a number', 1, /not an absolute URL/],
    ['a list', ['https://auth.example.com/jwks'], /not an absolute URL/],
    ['http', 'http://auth.example.com/jwks', /does not use https/],
    ['another scheme', 'ftp://auth.example.com/jwks', /does not use https/],
    ['data', 'data:application/json,{}', /does not use https/],
    ['file', 'file:///etc/passwd', /does not use https/],
    ['user info', 'https://a:b@auth.example.com/jwks', /user info or a fragment/],
    ['a user name', 'https://a@auth.example.com/jwks', /user info or a fragment/],
    ['a fragment', 'https://auth.example.com/jwks#a', /user info or a fragment/],
  ])('RFC 8414 §2: %s is refused in any that is called', async (_, url, problem) => {
    for (const name of CALLED) {
      const document = { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks`, [name]: url };
      const { server } = production(document);
      await expectRefusal(server.endpoint('jwks_uri'), MetadataFetchError, problem);
      const error = await refusalOf(server.endpoint('jwks_uri'));
      expect(error).toMatchObject({ wrongServer: true });
      expect(error.message).toContain(name);
      expect(error.message).not.toContain('a:b');
    }
  });

  it.each([null, ''])(
    '10.14: %p stands for an endpoint that the server does not have',
    async (none) => {
      const document = {
        issuer: ISSUER,
        jwks_uri: `${ISSUER}/jwks`,
        token_endpoint: none,
        introspection_endpoint: none,
        revocation_endpoint: none,
      };
      const { server } = production(document);
      expect(await server.endpoint('jwks_uri')).toBe(`${ISSUER}/jwks`);
      for (const name of CALLED.slice(1)) {
        await expectRefusal(server.endpoint(name), MissingMetadataEndpointError, /has no/);
      }
      const without = production({ ...document, jwks_uri: none }); // of no use
      await expectRefusal(without.server.endpoint('jwks_uri'), MetadataFetchError, /jwks_uri/);
    },
  );

  it('upper-case HTTPS is https (P31)', async () => {
    const { server } = production({ issuer: ISSUER, jwks_uri: 'HTTPS://auth.example.com/jwks' });
    expect(await server.endpoint('jwks_uri')).toBe('HTTPS://auth.example.com/jwks');
  });

  it('devMode lets http pass and no other scheme', async () => {
    const { as, server } = await loopback();
    expect(await server.endpoint('token_endpoint')).toMatch(/^http:/);
    as.answers.set(as.metadataPath, json({ ...as.metadata(), token_endpoint: 'ftp://x/y' }));
    const second = connect({ issuer: as.issuer, devMode: true });
    const refused = second.server.endpoint('token_endpoint');
    await expectRefusal(refused, MetadataFetchError, /only devMode accepts http/);
  });

  it('other members may be anything', async () => {
    const document = { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks`, op_policy_uri: 1, x: null };
    expect(await production(document).server.endpoint('jwks_uri')).toBe(`${ISSUER}/jwks`);
  });

  it.each([
    ['registration_endpoint', null],
    ['userinfo_endpoint', ''],
    ['device_authorization_endpoint', false],
    ['end_session_endpoint', 1],
    ['pushed_authorization_request_endpoint', ['x']],
  ])(
    '%s: %p is never called and empty, so it refuses nothing and is not kept',
    async (name, value) => {
      const document = { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks`, [name]: value };
      const { server } = production(document);
      expect(await server.endpoint('jwks_uri')).toBe(`${ISSUER}/jwks`);
      await expectRefusal(server.endpoint(name), MissingMetadataEndpointError, /has no/);
    },
  );

  it.each([
    ['device_authorization_endpoint', '/device'],
    ['authorization_endpoint', 'http://auth.example.com/authorize'],
  ])('RFC 8414 §2: %s: %p is refused, called or not', async (name, value) => {
    const document = { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks`, [name]: value };
    await expectRefusal(
      production(document).server.endpoint('jwks_uri'),
      MetadataFetchError,
      /_endpoint/,
    );
  });

  it('one that is never called is not kept either when it is good', async () => {
    const registration = `${ISSUER}/register`;
    const document = {
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/jwks`,
      registration_endpoint: registration,
    };
    const refused = production(document).server.endpoint('registration_endpoint');
    await expectRefusal(refused, MissingMetadataEndpointError, /has no/);
  });

  it('one that is called and spoilt later leaves the last good copy in use', async () => {
    const { as, server, clock } = await loopback();
    const good = await server.endpoint('token_endpoint');
    as.answers.set(as.metadataPath, json({ ...as.metadata(), token_endpoint: '/token' }));
    clock.advance(61);
    await server.refreshIfOlderThan(60);
    expect(as.metadataFetches).toBe(2);
    expect(await server.endpoint('token_endpoint')).toBe(good);
  });

  it('RFC 8414 §2: one that is missing is named, and only jwks_uri is a wrong server', async () => {
    const { server } = production({ issuer: ISSUER });
    await expectRefusal(server.endpoint('jwks_uri'), MissingMetadataEndpointError, /jwks_uri/);
    expect(await refusalOf(server.endpoint('jwks_uri'))).toMatchObject({
      endpoint: 'jwks_uri',
      wrongServer: true,
    });
    expect(await refusalOf(server.endpoint('token_endpoint'))).toMatchObject({
      endpoint: 'token_endpoint',
      wrongServer: false,
    });
  });

  it.each(['__proto__', 'constructor', 'issuer'])('T10: %s is no endpoint', async (name) => {
    const { server } = production({ issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` });
    await expectRefusal(server.endpoint(name), MissingMetadataEndpointError, /has no/);
  });
});

describe('F05: answers that are no metadata', () => {
  const refused: [string, Answer][] = [
    ['an empty body', raw('')],
    ['HTML', raw('<html></html>', { type: 'text/html' })],
    ['[]', json([])],
    ['null', json(null)],
    ['{}', json({})],
    ['status 204', raw('', { status: 204 })],
    ['status 304', raw('', { status: 304 })],
    ['status 404', json({}, 404)],
    ['status 500', json({}, 500)],
    ['a redirect', raw('', { status: 302, headers: { location: '/x' } })],
    ['a duplicate issuer', raw('{"issuer":"a","issuer":"b"}')],
  ];

  it.each(refused)('%s is refused, and the last good copy stays in use', async (_, answer) => {
    const { as, server, clock, moves } = await loopback();
    const good = await server.endpoint('jwks_uri');
    expect(moves).toHaveLength(1);
    as.answers.set(as.metadataPath, answer);
    clock.advance(61);
    await server.refreshIfOlderThan(60);
    expect(as.metadataFetches).toBe(2);
    expect(await server.endpoint('jwks_uri')).toBe(good);
    expect(moves).toHaveLength(1);
    const fresh = connect({ issuer: as.issuer, devMode: true });
    await expectRefusal(fresh.server.endpoint('jwks_uri'), MetadataFetchError, /./);
    expect(fresh.moves).toEqual([]);
  });

  it('a document of the right status with the wrong one is no better', async () => {
    const { as, server } = await loopback();
    as.answers.set(as.metadataPath, json(as.metadata(), 203));
    await expectRefusal(server.endpoint('jwks_uri'), MetadataFetchError, /status 203/);
  });

  it('status 404 is explained', async () => {
    const { as, server } = await loopback();
    as.answers.set(as.metadataPath, json({}, 404));
    await expectRefusal(server.endpoint('jwks_uri'), MetadataFetchError, /check that the issuer/);
  });

  it('F04: Retry-After is handed on', async () => {
    const { as, server } = await loopback();
    const headers = { 'retry-after': '17' };
    as.answers.set(as.metadataPath, raw('{}', { status: 503, headers }));
    const error = await refusalOf(server.endpoint('jwks_uri'));
    expect(error).toMatchObject({ retryAfterSeconds: 17, wrongServer: false });
  });
});

describe('refreshes', () => {
  it('refreshIfOlderThan reads again only when the copy is older', async () => {
    const { as, server, clock } = await loopback();
    await server.endpoint('jwks_uri');
    clock.advance(60);
    await server.refreshIfOlderThan(60);
    expect(as.metadataFetches).toBe(1);
    clock.advance(1);
    await server.refreshIfOlderThan(60);
    expect(as.metadataFetches).toBe(2);
  });

  it('refreshIfOlderThan does not fetch during the pause after a failure', async () => {
    const { as, server, clock } = await loopback();
    await server.endpoint('jwks_uri');
    clock.advance(61);
    as.answers.set(as.metadataPath, json({}, 500));
    for (let i = 0; i < 10; i++) await server.refreshIfOlderThan(60);
    expect(as.metadataFetches).toBe(2);
  });

  it('a moved key set is told of once per move', async () => {
    const { as, server, clock, moves } = await loopback();
    await server.endpoint('jwks_uri');
    expect(moves).toHaveLength(1);
    clock.advance(61);
    await server.refreshIfOlderThan(60);
    expect(moves).toHaveLength(1);
    const moved = `${as.origin}/moved`;
    as.answers.set(as.metadataPath, json({ ...as.metadata(), jwks_uri: moved }));
    clock.advance(61);
    await server.refreshIfOlderThan(60);
    expect(moves).toHaveLength(2);
    expect(await server.endpoint('jwks_uri')).toBe(moved);
  });
});
