import { createPublicKey } from 'node:crypto';

import { afterEach, describe, expect, it } from 'vitest';
import { createLocalJWKSet, createRemoteJWKSet, jwtVerify } from 'jose';

import {
  claimsOf,
  Clock,
  headerOf,
  jsonOf,
  RESOURCE,
  Servers,
  START,
} from '../../support/servers/stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

describe('issued tokens', () => {
  it.each(['ES256', 'RS256'] as const)('verify under %s with the published key', async (alg) => {
    const server = await servers.start({ algorithm: alg });
    const token = await server.issueToken({ aud: [RESOURCE], scope: 'mcp:echo' });
    const { payload, protectedHeader } = await jwtVerify(
      token,
      createRemoteJWKSet(new URL(server.jwksUri)),
      { issuer: server.issuer, audience: RESOURCE, typ: 'at+jwt', algorithms: [alg] },
    );
    const key = server.jwks().keys[0];
    expect(protectedHeader).toEqual({ alg, kid: key?.kid, typ: 'at+jwt' });
    expect(key?.kid).toMatch(/^[\w-]{22}$/);
    expect(payload.scope).toBe('mcp:echo');
    const members = alg === 'ES256' ? ['crv', 'x', 'y'] : ['e', 'n'];
    expect(Object.keys(key ?? {}).sort()).toEqual(['alg', 'kid', 'kty', 'use', ...members].sort());
  });

  it('have the claims of AuthPlane by default', async () => {
    const server = await servers.start({ now: new Clock().now });
    expect(claimsOf(await server.issueToken())).toEqual({
      iss: server.issuer,
      sub: 'user-1',
      aud: [server.issuer],
      client_id: 'client-1',
      jti: expect.stringMatching(/^[\w-]{22}$/),
      iat: START,
      exp: START + 900,
      nbf: START,
    });
  });

  it('are for the first registered resource, and name an agent', async () => {
    const server = await servers.start({
      resources: [{ uri: RESOURCE, scopes: [] }],
      clients: [{ clientId: 'bot', agent: true }],
    });
    const claims = claimsOf(await server.issueToken({ client_id: 'bot' }));
    expect(claims).toMatchObject({ aud: [RESOURCE], client_id: 'bot', agent_id: 'bot' });
  });

  it('take any claim and header member as given, and leave out undefined ones', async () => {
    const server = await servers.start();
    const token = await server.issueToken(
      { aud: 'text', exp: 'soon', sub: undefined, act: { sub: 'x' } },
      { typ: 'JWT', kid: undefined, crit: ['x'] },
    );
    expect(claimsOf(token)).toMatchObject({ aud: 'text', exp: 'soon', act: { sub: 'x' } });
    expect(claimsOf(token)).not.toHaveProperty('sub');
    expect(headerOf(token)).toEqual({ alg: 'ES256', typ: 'JWT', crit: ['x'] });
  });

  it('are unsigned, signed with the public key as a secret, or mislabelled on request', async () => {
    const server = await servers.start();
    const unsigned = await server.issueToken({}, { alg: 'none' });
    expect(headerOf(unsigned).alg).toBe('none');
    expect(unsigned).toMatch(/\.$/);
    const confused = await server.issueToken({}, { alg: 'HS256' });
    const publicKey = createPublicKey({ key: { ...server.jwks().keys[0] }, format: 'jwk' });
    const pem = publicKey.export({ format: 'pem', type: 'spki' });
    await jwtVerify(confused, Buffer.from(pem), { algorithms: ['HS256'] });
    const mislabelled = await server.issueToken({}, { alg: 'ES512' });
    expect(headerOf(mislabelled).alg).toBe('ES512');
  });
});

describe('key rotation', () => {
  it('signs with the new key at once and keeps one previous key', async () => {
    const server = await servers.start();
    const before = await server.issueToken();
    const first = server.jwks().keys[0]?.kid;
    const second = await server.rotateKeys();
    expect(second.alg).toBe('ES256');
    expect(server.jwks().keys.map(({ kid }) => kid)).toEqual([second.kid, first]);
    const keySet = createLocalJWKSet(server.jwks());
    await jwtVerify(before, keySet);
    const after = await server.issueToken();
    expect(headerOf(after).kid).toBe(second.kid);
    await jwtVerify(after, keySet);
    const third = await server.rotateKeys();
    expect(server.jwks().keys.map(({ kid }) => kid)).toEqual([third.kid, second.kid]);
  });

  it('can withhold the new key', async () => {
    const server = await servers.start();
    const published = server.jwks();
    const { kid } = await server.rotateKeys({ publish: false });
    expect(headerOf(await server.issueToken()).kid).toBe(kid);
    expect(await jsonOf(await fetch(server.jwksUri))).toEqual(published);
    server.publishKeys();
    expect(server.jwks().keys.map((key) => key.kid)).toEqual([kid, published.keys[0]?.kid]);
  });

  it('can drop the previous key', async () => {
    const server = await servers.start();
    const { kid } = await server.rotateKeys({ keepPrevious: false });
    expect(server.jwks().keys.map((key) => key.kid)).toEqual([kid]);
  });
});
