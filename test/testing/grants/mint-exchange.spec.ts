import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StandInAuthorizationServer, TokenClaims } from 'authplane-nestjs/testing';

import { ACCESS_TOKEN, API, exchange, OPTIONS } from '../../support/servers/exchange.js';
import {
  claimsOf,
  Clock,
  jsonOf,
  refused,
  Servers,
  START,
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

  it('has at most five members', async () => {
    const subject = { act: actors(5) };
    expect((await exchange(server, { subject, form })).status).toBe(200);
    const actor_token = await server.issueToken();
    const deeper = { subject, form: { ...form, actor_token } };
    await refused(await exchange(server, deeper), 'invalid_request');
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
