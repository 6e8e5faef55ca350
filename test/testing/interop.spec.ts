import { afterEach, describe, expect, it } from '@jest/globals';
import * as v2 from '@modelcontextprotocol/client';
import * as v1 from '@modelcontextprotocol/sdk/client/auth.js';
import * as oauth from 'oauth4webapi';

import { CALLBACK, claimsOf, RESOURCE, Servers } from './stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

const RESOURCES = [{ uri: RESOURCE, scopes: ['mcp:echo', 'mcp:add'] }];

function clientMetadata(authMethod: string) {
  return {
    client_name: 'an MCP client',
    redirect_uris: [CALLBACK],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: authMethod,
  };
}

describe.each(['none', 'client_secret_basic', 'client_secret_post'])(
  'MCP SDK clients that authenticate with %s',
  (authMethod) => {
    it('v1: discover, register, authorize, redeem and refresh', async () => {
      const server = await servers.start({ resources: RESOURCES, issuerPath: '/tenant' });
      const metadata = await v1.discoverAuthorizationServerMetadata(server.issuer);
      if (metadata === undefined) throw new Error('no metadata');
      const clientInformation = await v1.registerClient(server.issuer, {
        metadata,
        clientMetadata: clientMetadata(authMethod),
        scope: 'mcp:echo',
      });
      const { authorizationUrl, codeVerifier } = await v1.startAuthorization(server.issuer, {
        metadata,
        clientInformation,
        redirectUrl: CALLBACK,
        scope: 'mcp:echo',
        state: 'state',
        resource: new URL(RESOURCE),
      });
      const callback = await server.approve(authorizationUrl);
      expect(callback.searchParams.get('state')).toBe('state');
      const tokens = await v1.exchangeAuthorization(server.issuer, {
        metadata,
        clientInformation,
        authorizationCode: callback.searchParams.get('code') ?? '',
        codeVerifier,
        redirectUri: CALLBACK,
        resource: new URL(RESOURCE),
      });
      expect(claimsOf(tokens.access_token)).toMatchObject({ aud: [RESOURCE], scope: 'mcp:echo' });
      const refreshed = await v1.refreshAuthorization(server.issuer, {
        metadata,
        clientInformation,
        refreshToken: tokens.refresh_token ?? '',
        resource: new URL(RESOURCE),
      });
      expect(refreshed.refresh_token).not.toBe(tokens.refresh_token);
      const replay = v1.refreshAuthorization(server.issuer, {
        metadata,
        clientInformation,
        refreshToken: tokens.refresh_token ?? '',
      });
      await expect(replay).rejects.toMatchObject({ errorCode: 'invalid_grant' });
    });

    it('v2: discover, register, authorize, redeem and refresh', async () => {
      const server = await servers.start({ resources: RESOURCES });
      const metadata = await v2.discoverAuthorizationServerMetadata(server.issuer);
      if (metadata === undefined) throw new Error('no metadata');
      const clientInformation = await v2.registerClient(server.issuer, {
        metadata,
        clientMetadata: clientMetadata(authMethod),
        scope: 'mcp:echo',
      });
      const { authorizationUrl, codeVerifier } = await v2.startAuthorization(server.issuer, {
        metadata,
        clientInformation,
        redirectUrl: CALLBACK,
        scope: 'mcp:echo',
        resource: new URL(RESOURCE),
      });
      const callback = await server.approve(authorizationUrl);
      const tokens = await v2.exchangeAuthorization(server.issuer, {
        metadata,
        clientInformation,
        authorizationCode: callback.searchParams.get('code') ?? '',
        iss: callback.searchParams.get('iss') ?? '',
        codeVerifier,
        redirectUri: CALLBACK,
        resource: new URL(RESOURCE),
      });
      expect(claimsOf(tokens.access_token)).toMatchObject({ aud: [RESOURCE], scope: 'mcp:echo' });
      const refreshed = await v2.refreshAuthorization(server.issuer, {
        metadata,
        clientInformation,
        refreshToken: tokens.refresh_token ?? '',
        resource: new URL(RESOURCE),
      });
      expect(refreshed.refresh_token).not.toBe(tokens.refresh_token);
    });
  },
);

describe('oauth4webapi', () => {
  it.each(['oauth2', 'oidc'] as const)('discovers the server as %s', async (algorithm) => {
    const server = await servers.start({ issuerPath: '/tenant' });
    const issuer = new URL(server.issuer);
    const insecure = { [oauth.allowInsecureRequests]: true };
    const response = await oauth.discoveryRequest(issuer, { ...insecure, algorithm });
    const metadata = await oauth.processDiscoveryResponse(issuer, response);
    expect(metadata.jwks_uri).toBe(server.jwksUri);
  });

  it('validates the authorization response, redeems the code and validates the token', async () => {
    const server = await servers.start({
      resources: RESOURCES,
      clients: [{ clientId: 'app', clientSecret: 'a b+c%', redirectUris: [CALLBACK] }],
    });
    const insecure = { [oauth.allowInsecureRequests]: true };
    const issuer = new URL(server.issuer);
    const metadata = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }),
    );
    const client = { client_id: 'app' };
    const verifier = oauth.generateRandomCodeVerifier();
    const url = new URL(metadata.authorization_endpoint ?? '');
    url.search = new URLSearchParams({
      client_id: 'app',
      redirect_uri: CALLBACK,
      response_type: 'code',
      scope: 'mcp:add',
      resource: RESOURCE,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).toString();
    const callback = oauth.validateAuthResponse(metadata, client, await server.approve(url));
    const response = await oauth.authorizationCodeGrantRequest(
      metadata,
      client,
      oauth.ClientSecretBasic('a b+c%'),
      callback,
      CALLBACK,
      verifier,
      insecure,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(metadata, client, response);
    const request = new Request(RESOURCE, {
      headers: { Authorization: `Bearer ${tokens.access_token}` },
    });
    const claims = await oauth.validateJwtAccessToken(metadata, request, RESOURCE, insecure);
    expect(claims.scope).toBe('mcp:add');
  });
});
