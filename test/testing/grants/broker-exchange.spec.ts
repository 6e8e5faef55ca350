import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
} from 'authplane-nestjs/testing';

import {
  ACCESS_TOKEN,
  CALENDAR,
  exchange,
  OPTIONS,
  type ExchangeRequest,
} from '../../support/servers/exchange.js';
import { jsonOf, refused, Servers } from '../../support/servers/stand-in.js';

const servers = new Servers();
let server: StandInAuthorizationServer;

beforeEach(async () => {
  server = await servers.start(OPTIONS);
  server.giveConsent({ resource: 'google-cal' });
  server.giveConsent({ resource: 'github' });
});
afterEach(() => servers.closeAll());

const FORM = { resource: 'google-cal', scope: 'calendar.read' };

function vend(request: ExchangeRequest = {}): Promise<Response> {
  return exchange(server, { form: FORM, ...request });
}

describe('a broker resource behind a gateway', () => {
  it('gives the token of the provider, which nobody else can read', async () => {
    const response = await vend();
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await jsonOf(response)).toEqual({
      access_token: expect.stringMatching(/^google-[\w-]{43}$/),
      issued_token_type: ACCESS_TOKEN,
      token_type: 'Bearer',
      expires_in: 3599,
      scope: 'calendar.read',
    });
    const byUri = await jsonOf(await vend({ form: { ...FORM, resource: CALENDAR } }));
    expect(byUri.scope).toBe('calendar.read');
  });

  it('asks the provider every time', async () => {
    expect(server.upstreamCalls()).toBe(0);
    const first = await jsonOf(await vend());
    expect((await jsonOf(await vend())).access_token).not.toBe(first.access_token);
    await vend({ client: 'client-1' });
    expect(server.upstreamCalls()).toBe(2);
    server.resetCounters();
    expect(server.upstreamCalls()).toBe(0);
  });

  it('is a bearer token also with a proof, which is judged and spent', async () => {
    const key = await generateDPoPKey();
    const DPoP = dpopProof(key, { method: 'POST', url: `${server.issuer}/oauth/token` });
    const subject = { cnf: { jkt: 'thumbprint' }, scope: 'tool:list' };
    const response = await vend({ subject, headers: { DPoP } });
    expect(response.headers.get('dpop-nonce')).not.toBeNull();
    expect((await jsonOf(response)).token_type).toBe('Bearer');
    await refused(await vend({ headers: { DPoP } }), 'invalid_dpop_proof');
    expect(server.upstreamCalls()).toBe(1);
  });

  it('refuses an actor token', async () => {
    const response = await vend({ form: { ...FORM, actor_token: 'x' } });
    expect((await jsonOf(response.clone())).detail).toBe('actor not allowed for broker resource');
    await refused(response, 'invalid_request');
  });

  it('needs a link, and says between what', async () => {
    const response = await vend({ form: { resource: 'github', scope: 'repo' } });
    expect((await jsonOf(response.clone())).error_description).toBe(
      'no fronting link declared from "my-mcp" to "github"',
    );
    await refused(response, 'invalid_request');
  });

  it('is for clients that run the gateway', async () => {
    await refused(await vend({ client: 'stranger' }), 'access_denied', 403);
  });

  it('takes any scope of the gateway that covers', async () => {
    const write = { scope: 'tool:write' };
    expect((await vend({ subject: write })).status).toBe(200);
    const more = { resource: 'google-cal', scope: 'calendar.read calendar.write' };
    expect((await jsonOf(await vend({ subject: write, form: more }))).scope).toBe(more.scope);
    await refused(await vend({ form: more }), 'invalid_scope');
    const unmapped = { resource: 'google-cal', scope: 'tool:list' };
    await refused(await vend({ form: unmapped }), 'invalid_scope');
  });

  it('gives all that can be reached when no scope is named, and nothing is a matter of consent', async () => {
    const form = { resource: 'google-cal' };
    const both = await vend({ subject: { scope: 'tool:write' }, form });
    expect((await jsonOf(both)).scope).toBe('calendar.read calendar.write');
    const nothing = await vend({ subject: { scope: 'tool:admin' }, form });
    expect((await jsonOf(nothing.clone())).cause).toBe('scope_insufficient');
    await refused(nothing, 'consent_required');
    expect(server.upstreamCalls()).toBe(1);
  });

  it('has nothing for a machine, whatever anybody agreed to', async () => {
    const subject = { sub: 'client-1', scope: 'tool:list' };
    await refused(await vend({ subject }), 'consent_required');
  });

  it('keeps to the list of the target', async () => {
    const resources = (OPTIONS.resources ?? []).map((resource) =>
      resource.slug === 'google-cal'
        ? { ...resource, policy: { exchangeClients: ['client-1'] } }
        : resource,
    );
    server = await servers.start({ ...OPTIONS, resources });
    await refused(await vend(), 'access_denied', 403);
  });
});

describe('a broker resource without a gateway', () => {
  const subject = () => ({ aud: [server.issuer], scope: 'repo' });
  const form = { resource: 'github', scope: 'repo' };

  it('gives a token that does not say how long it lives', async () => {
    const body = await jsonOf(await vend({ subject: subject(), form }));
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 0, scope: 'repo' });
    expect(String(body.access_token)).toMatch(/^github-/);
  });

  it('takes a token for the broker itself', async () => {
    const aud = ['https://api.github.com/'];
    expect((await vend({ subject: { ...subject(), aud }, form })).status).toBe(200);
  });

  it('is for clients that run some resource', async () => {
    await refused(
      await vend({ client: 'stranger', subject: subject(), form }),
      'access_denied',
      403,
    );
  });

  it('gives no more scope than the subject token has', async () => {
    const narrow = { ...subject(), scope: 'other' };
    await refused(await vend({ subject: narrow, form }), 'invalid_scope');
    const derived = await vend({ subject: subject(), form: { resource: 'github' } });
    expect((await jsonOf(derived)).scope).toBe('repo');
  });

  it('needs what the user agreed to at the resource of the client', async () => {
    server.requireConsent({ resource: 'my-mcp' });
    const response = await vend({ subject: subject(), form });
    expect((await jsonOf(response.clone())).consent_url).toBe(
      `${server.issuer}/authorize?resource=my-mcp`,
    );
    await refused(response, 'consent_required');
  });
});

describe('broker resources elsewhere', () => {
  it('are no target of an authorization request', async () => {
    const query = new URLSearchParams({
      client_id: 'app',
      redirect_uri: 'https://app.example/cb',
      resource: CALENDAR,
    });
    server = await servers.start({
      ...OPTIONS,
      clients: [{ clientId: 'app', redirectUris: ['https://app.example/cb'] }],
    });
    const response = await fetch(`${server.issuer}/oauth/authorize?${query}`);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('The resource is not registered.');
  });
});
