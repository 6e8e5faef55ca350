import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
} from 'authplane-nestjs/testing';

import {
  ACCESS_TOKEN,
  API,
  EXCHANGE,
  exchange,
  MCP,
  OPTIONS,
} from '../../support/servers/exchange.js';
import {
  claimsOf,
  Clock,
  jsonOf,
  post,
  refused,
  Servers,
  START,
  token,
} from '../../support/servers/stand-in.js';

const servers = new Servers();
let clock: Clock;
let server: StandInAuthorizationServer;

beforeEach(async () => {
  clock = new Clock();
  server = await servers.start({ ...OPTIONS, now: clock.now });
});
afterEach(() => servers.closeAll());

async function granted(response: Response) {
  const body = await jsonOf(response);
  expect(body).not.toHaveProperty('error');
  return { body, claims: claimsOf(body.access_token) };
}

describe('the checks on every exchange', () => {
  it('1: the subject token is there, before anything is asked of the client', async () => {
    for (const subject_token of [undefined, '']) {
      const response = await exchange(server, { client: 'nobody', form: { subject_token } });
      expect((await jsonOf(response.clone())).error_description).toMatch(
        /: subject_token is required$/,
      );
      await refused(response, 'invalid_grant');
    }
  });

  it('2: the client is known, confidential and has the secret', async () => {
    for (const form of [
      { client_id: 'nobody' },
      { client_secret: 'wrong' },
      { client_secret: undefined },
      { client_id: 'public', client_secret: undefined },
      { client_id: 'public-exchange', client_secret: undefined },
    ]) {
      const response = await exchange(server, { form: { resource: 'api', ...form } });
      expect(response.headers.get('www-authenticate')).toBe('Basic realm="authserver"');
      await refused(response, 'invalid_client', 401);
    }
  });

  it('3: the client is registered for it', async () => {
    const response = await exchange(server, { client: 'machine', form: { resource: 'api' } });
    await refused(response, 'unauthorized_client');
  });

  it('7: the resource is known by slug or URI, and there is only one', async () => {
    for (const resource of ['api', API]) {
      const { claims } = await granted(await exchange(server, { form: { resource } }));
      expect(claims.aud).toEqual([API]);
    }
    for (const resource of ['API', `${API}/`, 'nowhere']) {
      const response = await exchange(server, { form: { resource } });
      expect((await jsonOf(response.clone())).error_description).toBe('resource not found');
      await refused(response, 'not_found');
    }
    const ambiguous = await exchange(server, { form: { resource: 'twin' } });
    expect((await jsonOf(ambiguous.clone())).error_description).toBe(
      'resource identifier is ambiguous',
    );
    await refused(ambiguous, 'invalid_request');
  });

  it('8: every scope is one of the resource, also where nothing else would be looked at', async () => {
    const subject = { scope: undefined };
    for (const [resource, scope] of [
      ['api', 'read nothing'],
      ['backend', 'tool:list'],
      ['github', 'calendar.read'],
    ]) {
      const form = { resource, scope };
      await refused(await exchange(server, { subject, form }), 'invalid_scope');
    }
  });

  it('reads the first resource only, and neither audience nor requested_token_type', async () => {
    const form = new URLSearchParams({
      grant_type: EXCHANGE,
      client_id: 'gateway',
      client_secret: 's',
      subject_token: await server.issueToken({ aud: [MCP], scope: 'tool:list' }),
      subject_token_type: ACCESS_TOKEN,
      resource: 'api',
      audience: 'https://elsewhere.example',
      requested_token_type: 'urn:ietf:params:oauth:token-type:saml2',
    });
    form.append('resource', 'nowhere');
    const url = `${server.issuer}/oauth/token`;
    const { body, claims } = await granted(await fetch(url, { method: 'POST', body: form }));
    expect(claims.aud).toEqual([API]);
    expect(body.issued_token_type).toBe(ACCESS_TOKEN);
  });

  it('does not exist when switched off', async () => {
    server = await servers.start({
      ...OPTIONS,
      features: { tokenExchange: false, clientCredentials: false },
    });
    for (const [grant_type, feature] of [
      [EXCHANGE, 'token_exchange'],
      ['client_credentials', 'client_credentials'],
    ]) {
      const response = await exchange(server, { form: { grant_type } });
      expect((await jsonOf(response.clone())).error_description).toBe(
        `feature ${feature} is disabled (set ${feature}.enabled=true to enable)`,
      );
      await refused(response, 'unsupported_grant_type');
    }
  });

  it('can be made to ask for patience', async () => {
    server.fail('token', {
      status: 429,
      body: '{"error":"slow_down"}',
      contentType: 'application/problem+json',
      headers: { 'Retry-After': '1' },
    });
    const response = await exchange(server, { form: { resource: 'api' } });
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '1']);
  });
});

describe('DPoP in an exchange', () => {
  const form = { resource: 'api', scope: 'tool:list' };

  it('binds to the key of the proof, whatever the subject token is bound to', async () => {
    const key = await generateDPoPKey();
    for (const subject of [{}, { cnf: { jkt: 'another' } }]) {
      const url = `${server.issuer}/oauth/token`;
      const DPoP = dpopProof(key, { method: 'POST', url, claims: { iat: START } });
      const response = await exchange(server, { subject, form, headers: { DPoP } });
      const { body, claims } = await granted(response);
      expect([body.token_type, claims.cnf]).toEqual(['DPoP', { jkt: key.thumbprint }]);
    }
  });

  it('hands the binding of the subject token on without a proof', async () => {
    const subject = { cnf: { jkt: 'thumbprint' } };
    const { body, claims } = await granted(await exchange(server, { subject, form }));
    expect([body.token_type, claims.cnf]).toEqual(['DPoP', { jkt: 'thumbprint' }]);
  });

  it('is judged last', async () => {
    const headers = { DPoP: 'x' };
    await refused(await exchange(server, { form, headers }), 'invalid_dpop_proof');
    const nowhere = { resource: 'nowhere' };
    await refused(await exchange(server, { form: nowhere, headers }), 'not_found');
  });
});

describe('an exchange without a resource', () => {
  const own = { client: 'client-1', subject: { cnf: { jkt: 'thumbprint' } } };

  beforeEach(async () => {
    server = await servers.start({ ...OPTIONS, now: clock.now, allowSelfExchange: true });
  });

  it('renews the own token of a client, for the same audience', async () => {
    const { body, claims } = await granted(await exchange(server, own));
    expect(body).toMatchObject({ token_type: 'DPoP', expires_in: 3600, scope: 'tool:list' });
    expect(claims).toMatchObject({ sub: 'user-1', aud: [MCP], client_id: 'client-1' });
    const actor_token = await server.issueToken();
    const delegated = await granted(await exchange(server, { ...own, form: { actor_token } }));
    expect(delegated.claims.act).toEqual({ sub: 'client-1', actor_type: 'service' });
  });

  it('gives a token that its client can revoke', async () => {
    const { body } = await granted(await exchange(server, own));
    const client = { client_id: 'client-1', client_secret: 's', token: String(body.access_token) };
    const introspect = () => post(`${server.issuer}/oauth/introspect`, client).then(jsonOf);
    expect((await introspect()).active).toBe(true);
    await post(`${server.issuer}/oauth/revoke`, client);
    expect(await introspect()).toEqual({ active: false });
  });

  it('refuses the token of another client, and more scope', async () => {
    await refused(await exchange(server, {}), 'access_denied', 403);
    const wide = { ...own, form: { scope: 'tool:list tool:write' } };
    await refused(await exchange(server, wide), 'invalid_scope');
  });

  it('is refused where it is not allowed', async () => {
    server = await servers.start({ ...OPTIONS, now: clock.now });
    await refused(await exchange(server, own), 'access_denied', 403);
  });
});

describe('grantRequests', () => {
  it('counts token requests by grant type', async () => {
    await exchange(server, {});
    await exchange(server, {});
    await token(server, { grant_type: '__proto__' });
    await token(server, {});
    expect(Object.entries(server.grantRequests())).toEqual([
      [EXCHANGE, 2],
      ['__proto__', 1],
    ]);
    expect(server.requests().token).toBe(4);
    server.resetCounters();
    expect(server.grantRequests()).toEqual({});
  });
});
