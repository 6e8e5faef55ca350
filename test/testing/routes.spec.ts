import { beforeAll, describe, expect, it } from 'vitest';
import { deploy } from '../../src/testing/deployment.js';
import type { AuthorizationServerOptions } from '../../src/testing/options.js';
import { SigningKeys } from '../../src/testing/records/signing-keys.js';
import { Documents, routesOf } from '../../src/testing/routes.js';

let keys: SigningKeys;
beforeAll(async () => {
  keys = await SigningKeys.create('ES256');
});

function start(options: AuthorizationServerOptions = {}, issuer = 'https://auth.example.com') {
  const documents = new Documents();
  const find = routesOf(deploy(options, issuer, keys), documents);
  const read = async (path: string) => {
    const reply = await find(path)?.methods.get('GET')?.({} as never);
    return JSON.parse(reply?.body ?? '') as Record<string, unknown>;
  };
  return { documents, find, read };
}

const METADATA = '/.well-known/oauth-authorization-server';

describe('routesOf', () => {
  it.each([
    [METADATA, 'metadata', ['GET'], true],
    ['/.well-known/openid-configuration', 'metadata', ['GET'], true],
    ['/.well-known/jwks.json', 'jwks', ['GET'], true],
    ['/keys/jwks.json', 'jwks-moved', ['GET'], true],
    ['/oauth/register', 'register', ['POST'], true],
    ['/oauth/token', 'token', ['POST'], true],
    ['/oauth/revoke', 'revoke', ['POST'], true],
    ['/oauth/introspect', 'introspect', ['POST'], true],
    ['/oauth/authorize', 'authorize', ['GET', 'POST'], false],
    ['/connect/google', 'connect', ['GET', 'POST'], false],
    ['/connections', 'connect', ['GET'], false],
  ])('%s is %s, by %j, for web pages: %s', (path, endpoint, methods, crossOrigin) => {
    const route = start().find(path);
    expect(route).toMatchObject({ endpoint, crossOrigin });
    expect([...(route?.methods.keys() ?? [])]).toEqual(methods);
  });

  it('nothing else is anything', () => {
    const { find } = start();
    for (const path of ['/', '/oauth', '/oauth/token/', '//oauth/token', '/OAUTH/token']) {
      expect(find(path)).toBeUndefined();
    }
  });

  it('RFC 8414 §3.1: all is below the path of the issuer, but the metadata', () => {
    const { find } = start({}, 'https://auth.example.com/tenant');
    expect(find(`${METADATA}/tenant`)?.endpoint).toBe('metadata');
    expect(find('/tenant/oauth/token')?.endpoint).toBe('token');
    expect(find('/oauth/token')).toBeUndefined();
  });

  it('what is switched off is not there, and not in the metadata', async () => {
    const features = { tokenExchange: false, clientCredentials: false, introspection: false };
    const { find, read } = start({ features, dpop: false });
    expect(find('/oauth/introspect')).toBeUndefined();
    const metadata = await read(METADATA);
    expect(metadata['grant_types_supported']).toEqual(['authorization_code', 'refresh_token']);
    expect(metadata).not.toHaveProperty('introspection_endpoint');
    expect(metadata).not.toHaveProperty('dpop_signing_alg_values_supported');
    expect((await start().read(METADATA))['grant_types_supported']).toHaveLength(4);
  });

  it('documents may be what a test says', async () => {
    const { documents, read } = start();
    expect(await read('/.well-known/jwks.json')).toEqual(keys.jwks());
    documents.metadataPatch = { issuer: 'https://other.example' };
    documents.jwks = { keys: [] };
    expect((await read(METADATA))['issuer']).toBe('https://other.example');
    expect(await read('/keys/jwks.json')).toEqual({ keys: [] });
  });
});
