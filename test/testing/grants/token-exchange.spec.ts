import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  type TokenClaims,
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
  type Parameters,
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

describe('a token for another resource', () => {
  const form = { resource: 'api', scope: 'tool:list' };

  it('is for the same user, and for the client that asks', async () => {
    const response = await exchange(server, { form });
    expect(response.headers.get('cache-control')).toBe('no-store');
    const { body, claims } = await granted(response);
    expect(body).toEqual({
      access_token: expect.any(String),
      issued_token_type: ACCESS_TOKEN,
      token_type: 'Bearer',
      expires_in: 3599,
      scope: 'tool:list',
    });
    expect(claims).toEqual({
      iss: server.issuer,
      sub: 'user-1',
      aud: [API],
      client_id: 'gateway',
      scope: 'tool:list',
      jti: expect.stringMatching(/^[\w-]{22}$/),
      iat: START,
      exp: START + 3600,
      nbf: START,
    });
  });

  it('has another lifetime on request', async () => {
    server = await servers.start({ ...OPTIONS, accessTokenTtlSeconds: 5 });
    expect((await granted(await exchange(server, { form }))).body.expires_in).toBe(4);
  });

  it('a: is only for those on the list of the target', async () => {
    const own = { client: 'stranger', subject: { client_id: 'stranger' } };
    await refused(await exchange(server, { ...own, form }), 'access_denied', 403);
    const open = { resource: 'open', scope: 'tool:list' };
    expect((await exchange(server, { ...own, form: open })).status).toBe(200);
  });

  it('b: has no more scope than the subject token, which bounds nothing when it has none', async () => {
    const wide = { resource: 'api', scope: 'tool:list read' };
    await refused(await exchange(server, { form: wide }), 'invalid_scope');
    const { claims } = await granted(
      await exchange(server, { subject: { scope: undefined }, form: wide }),
    );
    expect(claims.scope).toBe('tool:list read');
  });

  it('b: holds for a client that exchanges its own token', async () => {
    server = await servers.start({ ...OPTIONS, allowSelfExchange: true });
    const wide = { resource: 'open', scope: 'tool:list x' };
    await refused(await exchange(server, { client: 'client-1', form: wide }), 'invalid_scope');
  });

  it('c: of another client needs a place on a list of the target', async () => {
    const open = { resource: 'open', scope: 'tool:list' };
    await refused(await exchange(server, { form: open }), 'access_denied', 403);
    const own = { resource: 'own', scope: 'tool:list' };
    expect((await exchange(server, { client: 'owner', form: own })).status).toBe(200);
    await refused(await exchange(server, { form: own }), 'access_denied', 403);
    expect((await exchange(server, { client: 'client-1', form: open })).status).toBe(200);
  });

  it('d: needs the consent of the user when a test says so', async () => {
    server.requireConsent({ resource: 'api' });
    const response = await exchange(server, { form });
    expect(await jsonOf(response.clone())).toMatchObject({
      consent_url: `${server.issuer}/authorize?resource=api`,
      cause: 'consent_missing',
    });
    await refused(response, 'consent_required');
  });

  it('has the scopes that subject and target share when none is named', async () => {
    const subject = { scope: 'tool:admin write read' };
    const { body, claims } = await granted(
      await exchange(server, { subject, form: { resource: 'api' } }),
    );
    expect([body.scope, claims.scope]).toEqual(['read write', 'read write']);
    const nothing = { subject: { scope: 'other' }, form: { resource: 'api' } };
    await refused(await exchange(server, nothing), 'invalid_scope');
  });

  it('takes any resource when none is registered, for any client', async () => {
    server = await servers.start({ clients: OPTIONS.clients ?? [] });
    const anywhere = { resource: 'https://any.example/mcp' };
    const { claims } = await granted(await exchange(server, { form: anywhere }));
    expect(claims).toMatchObject({ aud: ['https://any.example/mcp'], scope: 'tool:list' });
    await refused(await exchange(server, { form: { resource: 'any' } }), 'not_found');
  });
});

describe('the chain of actors', () => {
  const form = { resource: 'api', scope: 'tool:list' };

  function actors(count: number): TokenClaims | undefined {
    return count === 0 ? undefined : { sub: `a${count}`, act: actors(count - 1) };
  }

  it('is kept without an actor token, and shows in agent_chain of an agent', async () => {
    const subject = { act: { sub: 'b', actor_type: 'service', act: { sub: 'a' } } };
    const kept = await granted(await exchange(server, { subject, form }));
    expect(kept.claims.act).toEqual(subject.act);
    expect(kept.claims).not.toHaveProperty('agent_chain');
    const agent = await granted(await exchange(server, { client: 'agent', subject, form }));
    expect(agent.claims).toMatchObject({ agent_id: 'agent', agent_chain: ['a', 'b'] });
  });

  it('gets the client that asks as its outermost member with an actor token', async () => {
    const actor_token = await server.issueToken({ sub: 'whoever' });
    for (const [client, actor_type] of [
      ['gateway', 'service'],
      ['agent', 'agent'],
    ] as const) {
      const { claims } = await granted(
        await exchange(server, {
          client,
          subject: { act: { sub: 'a', exp: 1 } },
          form: { ...form, actor_token, actor_token_type: ACCESS_TOKEN },
        }),
      );
      expect(claims.act).toEqual({ sub: client, actor_type, act: { sub: 'a' } });
    }
  });

  it('asks for an actor token that is good', async () => {
    for (const wrong of [
      { actor_token: 'x' },
      { actor_token: await server.issueToken(), actor_token_type: 'x' },
    ]) {
      await refused(await exchange(server, { form: { ...form, ...wrong } }), 'invalid_grant');
    }
  });

  it('has at most five members', async () => {
    const subject = { act: actors(5) };
    expect((await exchange(server, { subject, form })).status).toBe(200);
    const actor_token = await server.issueToken();
    const deeper = { subject, form: { ...form, actor_token } };
    await refused(await exchange(server, deeper), 'invalid_request');
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

describe('an exchange along a fronting link', () => {
  const form = { resource: 'backend', scope: 'b:read' };
  const subject = { scope: 'tool:list' };

  it('names the gateway as client and the agent behind it', async () => {
    const { body, claims } = await granted(await exchange(server, { subject, form }));
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 3599, scope: 'b:read' });
    expect(claims).toMatchObject({
      sub: 'user-1',
      aud: ['https://backend.example/'],
      client_id: 'my-mcp',
      scope: 'b:read',
      act: { sub: 'my-mcp', act: { sub: 'client-1' } },
    });
    expect(claims).not.toHaveProperty('agent_id');
  });

  it('keeps a chain that is there, and names an agent', async () => {
    const chained = { ...subject, act: { sub: 'a' } };
    const agent = await exchange(server, { client: 'gateway-agent', subject: chained, form });
    expect((await granted(agent)).claims).toMatchObject({
      act: { sub: 'my-mcp', act: { sub: 'a' } },
      agent_id: 'gateway-agent',
      agent_chain: ['a', 'my-mcp'],
    });
  });

  it('is for clients that run the source', async () => {
    await refused(
      await exchange(server, { client: 'client-1', subject, form }),
      'access_denied',
      403,
    );
  });

  it('asks for the first scope of the source that stands for the one requested', async () => {
    const write = { scope: 'tool:write' };
    await refused(await exchange(server, { subject: write, form }), 'invalid_scope');
    const mapped: Parameters = { resource: 'backend', scope: 'b:write' };
    expect((await exchange(server, { subject: write, form: mapped })).status).toBe(200);
    await refused(await exchange(server, { subject, form: mapped }), 'invalid_scope');
  });

  it('gives all that can be reached when no scope is named', async () => {
    const resource = { resource: 'backend' };
    const both = { subject: { scope: 'tool:list tool:admin' }, form: resource };
    expect((await granted(await exchange(server, both))).body.scope).toBe('b:admin b:read');
    const nothing = { subject: { scope: undefined }, form: resource };
    await refused(await exchange(server, nothing), 'invalid_scope');
  });

  it('refuses to start with a link to nowhere', async () => {
    const fronting = [{ source: 'my-mcp', target: 'nowhere', scopeMap: {} }];
    await expect(servers.start({ ...OPTIONS, fronting })).rejects.toThrow('resource not found');
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
