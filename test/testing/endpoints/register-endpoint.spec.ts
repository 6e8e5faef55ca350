import { afterEach, describe, expect, it } from 'vitest';

import { CALLBACK, Clock, jsonOf, Servers, START } from '../../support/servers/stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

async function register(body: unknown, contentType = 'application/json') {
  const server = await servers.start({ now: new Clock().now });
  return fetch(`${server.issuer}/oauth/register`, {
    method: 'POST',
    headers: { 'Content-Type': contentType },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

describe('dynamic client registration', () => {
  it('RFC 7591 §3.2.1: gives a confidential client a secret, and discards the scope', async () => {
    const response = await register({ redirect_uris: [CALLBACK], client_name: 'App', scope: 'x' });
    expect(response.status).toBe(201);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await jsonOf(response)).toEqual({
      client_id: expect.stringMatching(/^[\w-]{22}$/),
      client_id_issued_at: START,
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
      client_secret_expires_at: 0,
      client_name: 'App',
      redirect_uris: [CALLBACK],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    });
  });

  it('gives a public client no secret, and keeps what it says of itself', async () => {
    const metadata = {
      redirect_uris: ['https://app.example/cb', 'http://[::1]:1/cb', 'http://127.0.0.1/cb'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      agent: true,
      agent_description: 'does things',
    };
    const body = await jsonOf(await register(metadata));
    expect(body).toMatchObject(metadata);
    expect(body).not.toHaveProperty('client_secret');
  });

  it.each([
    ['none', {}],
    ['an empty list', { redirect_uris: [] }],
    ['not a list', { redirect_uris: CALLBACK }],
    ['not text', { redirect_uris: [1] }],
    ['plain http', { redirect_uris: ['http://app.example/cb'] }],
    ['a scheme of its own', { redirect_uris: ['cursor://cb'] }],
    ['script', { redirect_uris: ['javascript:alert(1)'] }],
    ['a fragment', { redirect_uris: ['https://app.example/#x'] }],
    ['no URI', { redirect_uris: ['::'] }],
    ['eleven', { redirect_uris: Array.from({ length: 11 }, () => CALLBACK) }],
  ])('refuses redirect URIs: %s', async (_, body) => {
    const response = await register(body);
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error).toBe('invalid_redirect_uri');
  });

  it.each([
    ['grant_types', ['client_credentials']],
    ['grant_types', []],
    ['grant_types', 'authorization_code'],
    ['response_types', ['token']],
    ['token_endpoint_auth_method', 'private_key_jwt'],
    ['token_endpoint_auth_method', 7],
    ['client_name', {}],
    ['application_type', 'desktop'],
    ['agent', 'yes'],
    ['agent_description', 'x'.repeat(256)],
  ])('refuses %s: %j', async (name, value) => {
    const response = await register({ redirect_uris: [CALLBACK], [name]: value });
    expect(response.status).toBe(400);
    expect(await jsonOf(response)).toMatchObject({
      error: 'invalid_client_metadata',
      detail: `${name} is invalid`,
    });
  });

  it.each(['', '{', '[]', 'null', '"x"', '{"a":1,"a":2}'])('refuses the body %j', async (body) => {
    const response = await register(body);
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error).toBe('invalid_client_metadata');
  });

  it('refuses a body of another type', async () => {
    expect((await register('{}', 'text/plain')).status).toBe(400);
  });
});
