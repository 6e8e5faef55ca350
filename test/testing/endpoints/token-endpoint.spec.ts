import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StandInAuthorizationServer } from 'authplane-nestjs/testing';

import { grantOptions, refresh } from '../../support/servers/grant-requests.js';
import { Clock, jsonOf, post, refused, Servers, token } from '../../support/servers/stand-in.js';

const servers = new Servers();
let clock: Clock;
let server: StandInAuthorizationServer;

beforeEach(async () => {
  clock = new Clock();
  server = await servers.start(grantOptions(clock));
});
afterEach(() => servers.closeAll());

function basic(clientId: string, secret: string): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}` };
}

describe('client authentication', () => {
  const grant = { grant_type: 'client_credentials', scope: 'mcp:echo' };

  it('RFC 6749 §2.3.1: form-decodes both halves of Basic', async () => {
    const encoded = basic('ma%3Achine', 's%25cr+t%2B');
    expect((await token(server, grant, encoded)).status).toBe(200);
    expect((await token(server, grant, basic('bare', 'secret'))).status).toBe(400);
    const sameId = { ...grant, client_id: 'ma:chine' };
    expect((await token(server, sameId, encoded)).status).toBe(200);
  });

  it.each([
    ['a wrong secret', basic('ma%3Achine', 'wrong')],
    ['no secret', basic('ma%3Achine', '')],
    ['an unknown client', basic('nobody', 'secret')],
    ['a secret of a public client', basic('app', 'secret')],
    ['broken percent-encoding', basic('ma%3Achine', '%zz')],
    ['no colon', { Authorization: `Basic ${Buffer.from('x').toString('base64')}` }],
    ['not base64', { Authorization: 'Basic ***' }],
    ['another spelling of the scheme', { Authorization: 'basic bWFjaGluZTpz' }],
    ['none', {}],
  ])('answers 401 with a challenge: %s', async (_, headers) => {
    const response = await token(server, grant, headers);
    expect(response.headers.get('www-authenticate')).toBe('Basic realm="authserver"');
    await refused(response, 'invalid_client', 401);
  });

  it('refuses two methods at once', async () => {
    const encoded = basic('ma%3Achine', 's%25cr+t%2B');
    const twice = { ...grant, client_secret: 's%cr t+' };
    await refused(await token(server, twice, encoded), 'invalid_request');
    await refused(await token(server, { ...grant, client_id: 'app' }, encoded), 'invalid_request');
  });
});

describe('the token endpoint', () => {
  it('answers errors as a problem with the members of OAuth and of RFC 9457', async () => {
    const response = await refresh(server, 'unknown');
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(await jsonOf(response)).toEqual({
      error: 'invalid_grant',
      error_description: 'the authorization grant is invalid, expired, or revoked',
      type: 'https://docs.authplane.ai/errors/invalid_grant',
      title: 'Bad Request',
      detail: 'the authorization grant is invalid, expired, or revoked',
      status: 400,
    });
  });

  it('refuses unknown grant types and incomplete requests', async () => {
    for (const grantType of ['password', 'constructor', '__proto__']) {
      await refused(await token(server, { grant_type: grantType }), 'unsupported_grant_type');
    }
    await refused(await token(server, {}), 'invalid_request');
    const client = { client_id: 'app' };
    const code = { ...client, grant_type: 'authorization_code' };
    await refused(await token(server, code), 'invalid_request');
    await refused(
      await token(server, { ...client, grant_type: 'refresh_token' }),
      'invalid_request',
    );
  });

  it('reads forms only, and at most 64 KiB', async () => {
    const url = `${server.issuer}/oauth/token`;
    const asJson = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' };
    await refused(await fetch(url, asJson), 'invalid_request');
    await refused(await fetch(url, { method: 'POST' }), 'invalid_request');
    const big = await post(url, { grant_type: 'x'.repeat(70_000) });
    await refused(big, 'invalid_request', 413);
    await refused(await post(url, { grant_type: 'x'.repeat(65_000) }), 'unsupported_grant_type');
  });

  it('survives bytes that are no form', async () => {
    const response = await fetch(`${server.issuer}/oauth/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: Buffer.from([0xff, 0x00, 0x25, 0x26, 0x3d, 0xc3]),
    });
    await refused(response, 'invalid_request');
  });
});
