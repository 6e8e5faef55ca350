import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StandInAuthorizationServer, TokenClaims } from 'authplane-nestjs/testing';

import { ACCESS_TOKEN, exchange, MCP, OPTIONS } from '../../support/servers/exchange.js';
import { Clock, refused, Servers, START } from '../../support/servers/stand-in.js';

const servers = new Servers();
let clock: Clock;
let server: StandInAuthorizationServer;

beforeEach(async () => {
  clock = new Clock();
  server = await servers.start({ ...OPTIONS, now: clock.now });
});
afterEach(() => servers.closeAll());

describe('the subject token of an exchange', () => {
  it('4: the type of the subject token is one of two, and not left out', async () => {
    for (const subject_token_type of [undefined, '', 'access_token', `${ACCESS_TOKEN} `]) {
      const form = { subject_token_type, resource: 'api' };
      await refused(await exchange(server, { form }), 'invalid_grant');
    }
    const jwt = 'urn:ietf:params:oauth:token-type:jwt';
    const form = { subject_token_type: jwt, resource: 'api' };
    expect((await exchange(server, { form })).status).toBe(200);
  });

  it.each<[string, TokenClaims]>([
    ['expired', { exp: START - 31 }],
    ['without exp', { exp: undefined }],
    ['not yet valid', { nbf: START + 31 }],
    ['of another issuer', { iss: 'https://as.example' }],
  ])('5: the subject token is not %s', async (_, subject) => {
    const form = { resource: 'api' };
    await refused(await exchange(server, { subject, form }), 'invalid_grant');
  });

  it('5: the subject token is signed by this server, and an access token', async () => {
    const foreign = await servers.start({ ...OPTIONS, issuer: server.issuer, now: clock.now });
    const tokens = [
      'x',
      await foreign.issueToken(),
      await server.issueToken({}, { typ: 'JWT' }),
      await server.issueToken({}, { alg: 'none' }),
      await server.issueToken({}, { alg: 'HS256' }),
      await server.issueToken({}, { alg: 'RS256' }),
      await server.issueToken({}, { kid: 'unknown' }),
    ];
    for (const subject_token of tokens) {
      const form = { subject_token, resource: 'api' };
      await refused(await exchange(server, { form }), 'invalid_grant');
    }
  });

  it('5: a skew of 30 seconds and the key before this one are fine', async () => {
    const subject_token = await server.issueToken({
      aud: MCP,
      scope: 'tool:list',
      exp: START - 29,
    });
    await server.rotateKeys();
    const form = { subject_token, resource: 'api' };
    expect((await exchange(server, { form })).status).toBe(200);
  });

  it('6: the subject token is not revoked', async () => {
    const subject_token = await server.issueToken();
    server.revokeToken(subject_token);
    const form = { subject_token, resource: 'api' };
    await refused(await exchange(server, { form }), 'invalid_grant');
  });
});

describe('the actor token of an exchange', () => {
  const form = { resource: 'api', scope: 'tool:list' };

  it('asks for an actor token that is good', async () => {
    for (const wrong of [
      { actor_token: 'x' },
      { actor_token: await server.issueToken(), actor_token_type: 'x' },
    ]) {
      await refused(await exchange(server, { form: { ...form, ...wrong } }), 'invalid_grant');
    }
  });
});
