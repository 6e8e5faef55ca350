import { createHash } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  dpopProof,
  generateDPoPKey,
  type AuthorizationServerOptions,
  type DPoPKey,
  type DPoPProofOptions,
  type StandInAuthorizationServer,
} from 'authplane-nestjs/testing';
import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, EmbeddedJWK } from 'jose';

import {
  authorizationUrl,
  CALLBACK,
  claimsOf,
  Clock,
  headerOf,
  jsonOf,
  pkce,
  refused,
  RESOURCE,
  Servers,
  START,
  token,
  type Parameters,
} from '../../support/servers/stand-in.js';

const servers = new Servers();
let clock: Clock;
let server: StandInAuthorizationServer;
let key: DPoPKey;

const MACHINE = { grant_type: 'client_credentials', client_id: 'bot', client_secret: 's' };

function start(changes: AuthorizationServerOptions = {}): Promise<StandInAuthorizationServer> {
  return servers.start({
    now: clock.now,
    resources: [{ uri: RESOURCE, scopes: ['mcp:echo'] }],
    clients: [
      { clientId: 'app', redirectUris: [CALLBACK] },
      { clientId: 'bot', clientSecret: 's', scope: 'mcp:echo' },
    ],
    ...changes,
  });
}

beforeEach(async () => {
  clock = new Clock();
  server = await start();
  key = await generateDPoPKey();
});
afterEach(() => servers.closeAll());

type ProofChanges = Partial<DPoPProofOptions> & { readonly key?: DPoPKey };

function proof({ key: other = key, claims, ...changes }: ProofChanges = {}): string {
  return dpopProof(other, {
    method: 'POST',
    url: `${server.issuer}/oauth/token`,
    claims: { iat: clock.seconds, ...claims },
    ...changes,
  });
}

function machine(dpop?: string): Promise<Response> {
  return token(server, MACHINE, dpop === undefined ? {} : { DPoP: dpop });
}

async function codeRequest(): Promise<Parameters> {
  const { challenge, verifier } = pkce();
  const callback = await server.approve(authorizationUrl(server, challenge));
  return {
    grant_type: 'authorization_code',
    client_id: 'app',
    code: callback.searchParams.get('code') ?? '',
    redirect_uri: CALLBACK,
    code_verifier: verifier,
  };
}

function refreshRequest(refreshToken: unknown): Parameters {
  return { grant_type: 'refresh_token', client_id: 'app', refresh_token: String(refreshToken) };
}

describe('a proof at the token endpoint', () => {
  it('binds a machine token', async () => {
    const body = await jsonOf(await machine(proof()));
    expect(body.token_type).toBe('DPoP');
    expect(claimsOf(body.access_token).cnf).toEqual({ jkt: key.thumbprint });
  });

  it('binds the access tokens of a user, each anew, and never the refresh token', async () => {
    const first = await jsonOf(await token(server, await codeRequest(), { DPoP: proof() }));
    expect(first.token_type).toBe('DPoP');
    expect(claimsOf(first.access_token).cnf).toEqual({ jkt: key.thumbprint });
    const bearer = await jsonOf(await token(server, refreshRequest(first.refresh_token)));
    expect(bearer.token_type).toBe('Bearer');
    expect(claimsOf(bearer.access_token)).not.toHaveProperty('cnf');
    const other = await generateDPoPKey();
    const bound = await token(server, refreshRequest(bearer.refresh_token), {
      DPoP: proof({ key: other }),
    });
    expect(claimsOf((await jsonOf(bound)).access_token).cnf).toEqual({ jkt: other.thumbprint });
  });

  it.each(['ES256', 'RS256', 'PS256'] as const)('may be signed with %s', async (algorithm) => {
    const other = await generateDPoPKey({ algorithm });
    const body = await jsonOf(await machine(proof({ key: other })));
    expect(claimsOf(body.access_token).cnf).toEqual({ jkt: other.thumbprint });
  });

  const path = '/oauth/token';
  it.each<[string, () => ProofChanges]>([
    ['typ in capitals', () => ({ header: { typ: 'DPoP+JWT' } })],
    ['htm in small letters', () => ({ claims: { htm: 'post' } })],
    ['the host in capitals', () => ({ url: server.issuer.replace('http:', 'HTTP:') + path })],
    ['a query', () => ({ claims: { htu: `${server.issuer}${path}?a=b` } })],
    ['a fragment', () => ({ claims: { htu: `${server.issuer}${path}#a` } })],
    ['iat a minute ago', () => ({ claims: { iat: START - 60 } })],
    ['iat in a minute', () => ({ claims: { iat: START + 60 } })],
    ['an exp of long ago and an ath of nothing', () => ({ claims: { exp: 1, ath: 'x' } })],
    ['a nonce when none is asked for', () => ({ nonce: 'x' })],
  ])('is accepted with %s', async (_, changes) => {
    expect((await jsonOf(await machine(proof(changes())))).token_type).toBe('DPoP');
  });

  it.each<[string, () => ProofChanges]>([
    ['typ JWT', () => ({ header: { typ: 'JWT' } })],
    ['no typ', () => ({ header: { typ: undefined } })],
    ['no jwk', () => ({ header: { jwk: undefined } })],
    ['a private jwk', () => ({ header: { jwk: key.privateKey.export({ format: 'jwk' }) } })],
    ['a symmetric jwk', () => ({ header: { jwk: { kty: 'oct', k: 'AAAA' } } })],
    ['no signature', () => ({ header: { alg: 'none' } })],
    ['a symmetric signature', () => ({ header: { alg: 'HS256' } })],
    ['an unknown crit', () => ({ header: { crit: ['x'], x: 1 } })],
    ['another method', () => ({ method: 'GET' })],
    ['no method', () => ({ claims: { htm: undefined } })],
    ['another path', () => ({ url: `${server.issuer}/oauth/introspect` })],
    ['another spelling of the path', () => ({ url: `${server.issuer}/OAuth/token` })],
    ['a slash at the end', () => ({ url: `${server.issuer}${path}/` })],
    ['another host', () => ({ url: `https://as.example${path}` })],
    ['a malformed htu', () => ({ claims: { htu: 'token' } })],
    ['no htu', () => ({ claims: { htu: undefined } })],
    ['an old iat', () => ({ claims: { iat: START - 61 } })],
    ['a future iat', () => ({ claims: { iat: START + 61 } })],
    ['iat as text', () => ({ claims: { iat: String(START) } })],
    ['no iat', () => ({ claims: { iat: undefined } })],
    ['no jti', () => ({ claims: { jti: undefined } })],
    ['an empty jti', () => ({ claims: { jti: '' } })],
    ['jti as a number', () => ({ claims: { jti: 1 } })],
  ])('is refused with %s', async (_, changes) => {
    await refused(await machine(proof(changes())), 'invalid_dpop_proof');
  });

  it('is refused with the key of somebody else, a weak key or another algorithm', async () => {
    const stranger = await generateDPoPKey();
    await refused(
      await machine(proof({ header: { jwk: stranger.publicJwk } })),
      'invalid_dpop_proof',
    );
    const weak = await generateDPoPKey({ algorithm: 'RS256', modulusLength: 1024 });
    await refused(await machine(proof({ key: weak })), 'invalid_dpop_proof');
    for (const algorithm of ['ES384', 'ES512', 'EdDSA'] as const) {
      const other = await generateDPoPKey({ algorithm });
      await refused(await machine(proof({ key: other })), 'invalid_dpop_proof');
    }
  });

  it('is refused when it is none, or when there are two', async () => {
    await refused(await machine('x'), 'invalid_dpop_proof');
    await refused(await machine(`${proof()}, ${proof()}`), 'invalid_dpop_proof');
    await refused(await machine(`${proof()}x`), 'invalid_dpop_proof');
  });

  it('can be used once in two lifetimes', async () => {
    const future = proof({ claims: { iat: START + 60 } });
    expect((await machine(future)).status).toBe(200);
    await refused(await machine(future), 'invalid_dpop_proof');
    clock.seconds += 119;
    const same = { jti: claimsOf(future).jti, iat: clock.seconds };
    await refused(await machine(proof({ claims: same })), 'invalid_dpop_proof');
    clock.seconds += 1;
    expect((await machine(proof({ claims: same }))).status).toBe(200);
  });

  it('lives as long as the server says', async () => {
    server = await start({ dpopProofLifetimeSeconds: 10 });
    expect((await machine(proof({ claims: { iat: START - 10 } }))).status).toBe(200);
    await refused(await machine(proof({ claims: { iat: START - 11 } })), 'invalid_dpop_proof');
  });

  it('names the issuer as it is known, with its path', async () => {
    server = await start({ host: 'localhost', issuerPath: '/tenant' });
    expect((await jsonOf(await machine(proof()))).token_type).toBe('DPoP');
  });

  it('spends the code and the refresh token even when it is refused', async () => {
    const request = await codeRequest();
    await refused(await token(server, request, { DPoP: 'x' }), 'invalid_dpop_proof');
    await refused(await token(server, request), 'invalid_grant');
    const { refresh_token } = await jsonOf(await token(server, await codeRequest()));
    const refresh = refreshRequest(refresh_token);
    await refused(await token(server, refresh, { DPoP: 'x' }), 'invalid_dpop_proof');
    await refused(await token(server, refresh), 'invalid_grant');
  });

  it.each<AuthorizationServerOptions>([{ dpop: false }, { features: { dpop: false } }])(
    'is disregarded when DPoP is off: %j',
    async (off) => {
      server = await start({ ...off, dpopRequireNonce: true });
      const response = await machine('x');
      expect(response.headers.get('dpop-nonce')).toBeNull();
      expect((await jsonOf(response)).token_type).toBe('Bearer');
    },
  );
});

describe('the nonce', () => {
  it('is given to who sends a proof, on success and on refusal, and to nobody else', async () => {
    for (const dpop of [proof(), 'x']) {
      expect((await machine(dpop)).headers.get('dpop-nonce')).toMatch(/^[\w-]{43}$/);
    }
    const unauthenticated = await token(server, { ...MACHINE, client_secret: 'x' }, { DPoP: 'x' });
    expect(unauthenticated.status).toBe(401);
    expect(unauthenticated.headers.get('dpop-nonce')).toMatch(/^[\w-]{43}$/);
    expect(unauthenticated.headers.get('access-control-expose-headers')).toContain('DPoP-Nonce');
    expect((await machine()).headers.get('dpop-nonce')).toBeNull();
    expect((await machine('')).headers.get('dpop-nonce')).toBeNull();
  });

  it('can be asked for, and then serves for a minute', async () => {
    server = await start({ dpopRequireNonce: true });
    const challenge = await machine(proof());
    await refused(challenge, 'use_dpop_nonce');
    expect(challenge.headers.get('content-type')).toBe('application/problem+json');
    expect(challenge.headers.get('www-authenticate')).toBeNull();
    const nonce = challenge.headers.get('dpop-nonce') ?? '';
    await refused(await machine(proof({ nonce: 'another' })), 'use_dpop_nonce');
    const success = await machine(proof({ nonce }));
    expect((await jsonOf(success)).token_type).toBe('DPoP');
    expect(success.headers.get('dpop-nonce')).not.toBe(nonce);
    clock.seconds += 59;
    expect((await machine(proof({ nonce }))).status).toBe(200);
    clock.seconds += 1;
    await refused(await machine(proof({ nonce })), 'use_dpop_nonce');
  });

  it('is not asked for without a proof', async () => {
    server = await start({ dpopRequireNonce: true });
    expect((await jsonOf(await machine())).token_type).toBe('Bearer');
  });

  it('comes after the other checks, and does not spend the proof', async () => {
    server = await start({ dpopRequireNonce: true });
    await refused(await machine(proof({ method: 'GET' })), 'invalid_dpop_proof');
    const jti = 'once';
    const response = await machine(proof({ claims: { jti } }));
    const nonce = response.headers.get('dpop-nonce') ?? '';
    expect((await machine(proof({ claims: { jti }, nonce }))).status).toBe(200);
  });

  it('costs a code, as with AuthPlane', async () => {
    server = await start({ dpopRequireNonce: true });
    const request = await codeRequest();
    const challenge = await token(server, request, { DPoP: proof() });
    await refused(challenge, 'use_dpop_nonce');
    const nonce = challenge.headers.get('dpop-nonce') ?? '';
    await refused(await token(server, request, { DPoP: proof({ nonce }) }), 'invalid_grant');
    const again = await token(server, await codeRequest(), { DPoP: proof({ nonce }) });
    expect((await jsonOf(again)).token_type).toBe('DPoP');
  });
});

describe('dpopProof', () => {
  const url = 'https://mcp.example/mcp?a=b#c';

  it('makes a proof that verifies, with no more than it needs', async () => {
    const made = dpopProof(key, { method: 'GET', url });
    await compactVerify(made, EmbeddedJWK);
    expect(headerOf(made)).toEqual({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicJwk });
    expect(claimsOf(made)).toEqual({
      jti: expect.any(String),
      htm: 'GET',
      htu: 'https://mcp.example/mcp',
      iat: expect.any(Number),
    });
    expect(Math.abs(Number(claimsOf(made).iat) - Date.now() / 1000)).toBeLessThan(5);
    expect(claimsOf(dpopProof(key, { method: 'GET', url })).jti).not.toBe(claimsOf(made).jti);
  });

  it('RFC 9449 §4.2: hashes the access token, and takes a nonce', () => {
    const made = claimsOf(
      dpopProof(key, { method: 'GET', url: new URL(url), accessToken: 'abc', nonce: 'n' }),
    );
    expect(made.ath).toBe(createHash('sha256').update('abc').digest('base64url'));
    expect(made.nonce).toBe('n');
  });

  it('replaces and leaves out what it is told to', () => {
    const made = dpopProof(key, {
      method: 'GET',
      url,
      claims: { htu: url, iat: undefined },
      header: { typ: undefined, kid: 'x' },
    });
    expect(claimsOf(made)).toEqual({ jti: expect.any(String), htm: 'GET', htu: url });
    expect(headerOf(made)).toEqual({ alg: 'ES256', jwk: key.publicJwk, kid: 'x' });
  });

  it.each(['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA'] as const)(
    'signs with %s',
    async (algorithm) => {
      const other = await generateDPoPKey({ algorithm });
      const made = dpopProof(other, { method: 'GET', url });
      expect(decodeProtectedHeader(made).alg).toBe(algorithm);
      await compactVerify(made, EmbeddedJWK);
      expect(other.thumbprint).toBe(await calculateJwkThumbprint(other.publicJwk));
      expect(other.publicJwk).not.toHaveProperty('d');
    },
  );
});
