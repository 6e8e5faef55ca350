import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StandInAuthorizationServer, TokenClaims } from 'authplane-nestjs/testing';

import { exchange, OPTIONS } from '../../support/servers/exchange.js';
import {
  authorizationUrl,
  jsonOf,
  pkce,
  refused,
  Servers,
} from '../../support/servers/stand-in.js';

const servers = new Servers();
let server: StandInAuthorizationServer;

beforeEach(async () => {
  server = await servers.start(OPTIONS);
});
afterEach(() => servers.closeAll());

const CALENDAR_FORM = { resource: 'google-cal', scope: 'calendar.read' };
const API_FORM = { resource: 'api', scope: 'tool:list' };

function vend(subject: TokenClaims = {}): Promise<Response> {
  return exchange(server, { subject, form: CALENDAR_FORM });
}

async function consentUrl(): Promise<URL> {
  return new URL(String((await jsonOf(await vend())).consent_url));
}

describe('consent_required', () => {
  it('is the answer for a broker resource until the user has connected an account', async () => {
    const response = await vend();
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    const home = encodeURIComponent(`${server.issuer}/connections`);
    const url = `${server.issuer}/connect/google?resource=google-cal&return_url=${home}`;
    expect(await jsonOf(response)).toEqual({
      error: 'consent_required',
      error_description: 'Authorize access to google-cal',
      type: 'https://docs.authplane.ai/errors/consent_required',
      title: 'Bad Request',
      detail: 'Authorize access to google-cal',
      status: 400,
      consent_url: url,
      cause: 'consent_missing',
    });
    expect((await server.approveConsent(url)).href).toBe(`${server.issuer}/connections`);
    expect((await vend()).status).toBe(200);
  });

  it('is a matter of each user', async () => {
    await server.approveConsent(await consentUrl(), { user: 'user-2' });
    await refused(await vend(), 'consent_required');
    expect((await vend({ sub: 'user-2' })).status).toBe(200);
    server.giveConsent({ resource: 'google-cal' });
    expect((await vend()).status).toBe(200);
    server.requireConsent({ resource: 'google-cal', user: 'user-2' });
    await refused(await vend({ sub: 'user-2' }), 'consent_required');
    expect((await vend()).status).toBe(200);
    server.requireConsent({ resource: 'google-cal' });
    await refused(await vend(), 'consent_required');
    server.giveConsent({ resource: 'google-cal', user: 'user-1' });
    expect((await vend()).status).toBe(200);
  });

  it('hints at an authorization request for other resources, and is settled by one', async () => {
    const challenge = () => pkce().challenge;
    server = await servers.start({
      ...OPTIONS,
      clients: [
        ...(OPTIONS.clients ?? []),
        { clientId: 'app', redirectUris: ['http://localhost:3333/callback'] },
      ],
    });
    server.requireConsent({ resource: 'api', cause: 'scope_insufficient' });
    const response = await exchange(server, { form: API_FORM });
    expect(await jsonOf(response.clone())).toMatchObject({
      error_description: 'Authorize access to api',
      consent_url: `${server.issuer}/authorize?resource=api&scope=tool%3Alist`,
      cause: 'scope_insufficient',
    });
    await refused(response, 'consent_required');
    const hint = `${server.issuer}/authorize?resource=api`;
    await expect(server.approveConsent(hint)).rejects.toThrow('answered 404');
    const api = { resource: 'http://localhost:8081/api', scope: 'tool:list' };
    await server.approve(authorizationUrl(server, challenge(), api));
    expect((await exchange(server, { form: API_FORM })).status).toBe(200);
  });

  it('has the variants of other servers and flavours', async () => {
    server.requireConsent({
      resource: 'google-cal',
      flavour: 'authorize',
      cause: 'scope_insufficient',
    });
    expect(await jsonOf(await vend())).toMatchObject({
      consent_url: `${server.issuer}/authorize?resource=google-cal&scope=calendar.read`,
    });
    server.requireConsent({ resource: 'google-cal', withoutUrl: true });
    expect(await jsonOf(await vend())).not.toHaveProperty('consent_url');
    server.requireConsent({ resource: 'google-cal', withoutCause: true });
    const old = await jsonOf(await vend());
    expect(old).toHaveProperty('consent_url');
    expect(old).not.toHaveProperty('cause');
  });

  it('can be settled on the page of any resource', async () => {
    server.requireConsent({ resource: 'http://localhost:8081/api', flavour: 'connect' });
    const { consent_url } = await jsonOf(await exchange(server, { form: API_FORM }));
    expect(String(consent_url)).toMatch(/\/connect\/api\?resource=api&/);
    await server.approveConsent(String(consent_url));
    expect((await exchange(server, { form: API_FORM })).status).toBe(200);
  });

  it('works where no resource is registered', async () => {
    server = await servers.start({ clients: OPTIONS.clients ?? [], issuerPath: '/tenant' });
    const resource = 'https://any.example/mcp';
    server.requireConsent({ resource, flavour: 'connect' });
    const { consent_url } = await jsonOf(await exchange(server, { form: { resource } }));
    await server.approveConsent(String(consent_url));
    expect((await exchange(server, { form: { resource } })).status).toBe(200);
  });

  it('holds for exchanges along a link', async () => {
    server.requireConsent({ resource: 'backend' });
    const form = { resource: 'backend', scope: 'b:read' };
    await refused(await exchange(server, { form }), 'consent_required');
  });

  it('knows only resources that are registered', () => {
    expect(() => server.requireConsent({ resource: 'nowhere' })).toThrow('resource not found');
    expect(() => server.giveConsent({ resource: 'nowhere' })).toThrow('resource not found');
  });
});

describe('the connect page', () => {
  it('names the user, the provider and the resource', async () => {
    const response = await fetch(await consentUrl());
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    const html = await response.text();
    for (const text of ['user-1', 'google', 'google-cal', 'Approve', 'Deny', '/connections']) {
      expect(html).toContain(text);
    }
    expect((await vend()).status).toBe(400);
    expect(server.requests().connect).toBe(1);
    expect((await fetch(`${server.issuer}/connections`)).status).toBe(200);
    expect(server.requests().connect).toBe(2);
  });

  it('sends the user back to an address that is allowed, with nothing added', async () => {
    const allowed = ['http://localhost:*', 'https://app.example/done'];
    server = await servers.start({ ...OPTIONS, connectReturnUrls: allowed });
    for (const returnUrl of [
      'http://localhost:3000/done?state=1',
      'http://localhost:1',
      'https://app.example/done',
    ]) {
      const url = await consentUrl();
      url.searchParams.set('return_url', returnUrl);
      expect(await server.approveConsent(url, { user: 'user-9' })).toEqual(new URL(returnUrl));
    }
  });

  it.each([
    'https://evil.example/',
    'http://localhost:@evil.example/',
    'http://localhost:80@evil.example/',
    'http://localhost:/x',
    'http://localhost.evil.example:1/',
    'http://127.0.0.1:1?x',
    'https://localhost:1/',
    'javascript:alert(1)',
  ])('sends nobody to %s', async (returnUrl) => {
    const url = await consentUrl();
    url.searchParams.set('return_url', returnUrl);
    expect((await fetch(url)).status).toBe(400);
    await expect(server.approveConsent(url)).rejects.toThrow('answered 400');
    await refused(await vend(), 'consent_required');
  });

  it('can be denied, and asks again without a name', async () => {
    const url = await consentUrl();
    expect((await server.approveConsent(url, { decision: 'deny' })).pathname).toBe('/connections');
    await expect(server.approveConsent(url, { user: ' ' })).rejects.toThrow('answered 200');
    await refused(await vend(), 'consent_required');
  });

  it('does without a query when the provider has one resource', async () => {
    const callback = await server.approveConsent(`${server.issuer}/connect/google`);
    expect(callback.href).toBe(`${server.issuer}/connections`);
    expect((await vend()).status).toBe(200);
  });

  it.each([
    'google?resource=github',
    'google?resource=nowhere',
    'nobody',
    'nobody?resource=google-cal',
    '%zz',
    '',
  ])('does not exist at /connect/%s', async (rest) => {
    expect((await fetch(`${server.issuer}/connect/${rest}`)).status).toBe(400);
  });

  it('escapes what it shows', async () => {
    const slug = '<b>"slug"</b>';
    const resources = [{ uri: 'https://x.example/', slug, scopes: [], broker: { provider: 'x' } }];
    server = await servers.start({ resources });
    const html = await (await fetch(`${server.issuer}/connect/x`)).text();
    expect(html).not.toContain('<b>"');
  });

  it('can be made to fail', async () => {
    server.fail('connect', { status: 503 });
    await expect(server.approveConsent(`${server.issuer}/connect/google`)).rejects.toThrow(
      'answered 503',
    );
  });
});
