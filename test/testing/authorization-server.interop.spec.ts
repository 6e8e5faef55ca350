import { afterEach, describe, expect, it } from 'vitest';
import * as v2 from '@modelcontextprotocol/client';
import * as v1 from '@modelcontextprotocol/sdk/client/auth.js';
import * as oauth from 'oauth4webapi';

import { CALLBACK, claimsOf, RESOURCE, Servers } from '../support/servers/stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

const MCP = { uri: RESOURCE, scopes: ['mcp:echo', 'mcp:add'] };
const RESOURCES = [MCP];

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

  it('gets a bound token, exchanges it and introspects the result, with a nonce', async () => {
    const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
    const server = await servers.start({
      dpopRequireNonce: true,
      resources: [
        { ...MCP, policy: { runtimeClients: ['bot'] } },
        { uri: 'https://api.example/', slug: 'api', scopes: ['mcp:echo'] },
      ],
      clients: [
        {
          clientId: 'bot',
          clientSecret: 's',
          scope: 'mcp:echo',
          grantTypes: ['client_credentials', exchange],
        },
      ],
    });
    const insecure = { [oauth.allowInsecureRequests]: true };
    const issuer = new URL(server.issuer);
    const metadata = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }),
    );
    const client = { client_id: 'bot' };
    const authentication = oauth.ClientSecretBasic('s');
    const DPoP = oauth.DPoP({}, await oauth.generateKeyPair('ES256'));
    const machine = async () =>
      oauth.processClientCredentialsResponse(
        metadata,
        client,
        await oauth.clientCredentialsGrantRequest(
          metadata,
          client,
          authentication,
          { resource: RESOURCE },
          { ...insecure, DPoP },
        ),
      );
    // It takes errors as application/json only, and AuthPlane sends application/problem+json; the
    // nonce of the header it remembers all the same.
    await expect(machine()).rejects.toMatchObject({ code: oauth.RESPONSE_IS_NOT_JSON });
    const bound = await machine();
    expect(bound.token_type).toBe('dpop');
    const jkt = await DPoP.calculateThumbprint();
    expect(claimsOf(bound.access_token).cnf).toEqual({ jkt });

    const exchanged = await oauth.processGenericTokenEndpointResponse(
      metadata,
      client,
      await oauth.genericTokenEndpointRequest(
        metadata,
        client,
        authentication,
        exchange,
        {
          subject_token: bound.access_token,
          subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          resource: 'api',
          scope: 'mcp:echo',
        },
        { ...insecure, DPoP },
      ),
    );
    expect(exchanged.token_type).toBe('dpop');
    expect(exchanged.issued_token_type).toBe('urn:ietf:params:oauth:token-type:access_token');
    expect(claimsOf(exchanged.access_token)).toMatchObject({
      aud: ['https://api.example/'],
      cnf: { jkt },
    });

    const introspection = await oauth.processIntrospectionResponse(
      metadata,
      client,
      await oauth.introspectionRequest(
        metadata,
        client,
        authentication,
        bound.access_token,
        insecure,
      ),
    );
    expect(introspection).toMatchObject({ active: true, aud: RESOURCE, cnf: { jkt } });
    const revocation = await oauth.revocationRequest(
      metadata,
      client,
      authentication,
      bound.access_token,
      insecure,
    );
    await oauth.processRevocationResponse(revocation);
  });
});
