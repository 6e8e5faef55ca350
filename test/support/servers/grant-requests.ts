import type {
  AuthorizationServerOptions,
  StandInAuthorizationServer,
} from 'authplane-nestjs/testing';

import {
  authorizationUrl,
  CALLBACK,
  type Clock,
  pkce,
  RESOURCE,
  token,
  type Parameters,
} from './stand-in.js';

export const OTHER = 'http://localhost:8081/mcp';

/** A server with a client for each way to get a token. */
export function grantOptions(
  clock: Clock,
  changes: AuthorizationServerOptions = {},
): AuthorizationServerOptions {
  return {
    now: clock.now,
    resources: [
      { uri: RESOURCE, scopes: ['mcp:echo', 'mcp:add'] },
      { uri: OTHER, scopes: ['other'] },
    ],
    clients: [
      { clientId: 'app', redirectUris: [CALLBACK] },
      { clientId: 'second', redirectUris: [CALLBACK] },
      { clientId: 'once', redirectUris: [CALLBACK], grantTypes: ['authorization_code'] },
      { clientId: 'agent', redirectUris: [CALLBACK], agent: true },
      { clientId: 'ma:chine', clientSecret: 's%cr t+', scope: 'mcp:echo mcp:add mcp:gone' },
      { clientId: 'bare', clientSecret: 'secret' },
      { clientId: 'public', grantTypes: ['client_credentials'], scope: 'mcp:echo' },
    ],
    ...changes,
  };
}

/** The form that redeems a code which the user has just been given. */
export async function codeRequest(
  server: StandInAuthorizationServer,
  changes: Parameters = {},
): Promise<Parameters> {
  const { challenge, verifier } = pkce();
  const callback = await server.approve(authorizationUrl(server, challenge, changes));
  return {
    grant_type: 'authorization_code',
    client_id: changes.client_id ?? 'app',
    code: callback.searchParams.get('code') ?? '',
    redirect_uri: CALLBACK,
    code_verifier: verifier,
  };
}

export function refresh(
  server: StandInAuthorizationServer,
  refreshToken: unknown,
  changes: Parameters = {},
) {
  return token(server, {
    grant_type: 'refresh_token',
    client_id: 'app',
    refresh_token: String(refreshToken),
    ...changes,
  });
}

export function machine(server: StandInAuthorizationServer, changes: Parameters = {}) {
  return token(server, {
    grant_type: 'client_credentials',
    client_id: 'ma:chine',
    client_secret: 's%cr t+',
    ...changes,
  });
}
