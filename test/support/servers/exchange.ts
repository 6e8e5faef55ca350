import type { AuthorizationServerOptions, TokenClaims } from 'authplane-nestjs/testing';

import { token, type Parameters, type Servers } from './stand-in.js';

export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
export const MCP = 'http://localhost:8080/mcp';
export const API = 'http://localhost:8081/api';
export const CALENDAR = 'https://www.googleapis.com/calendar/v3';

/** A gateway `my-mcp` in front of a mint resource `backend` and a broker resource `google-cal`. */
export const OPTIONS: AuthorizationServerOptions = {
  resources: [
    {
      uri: MCP,
      slug: 'my-mcp',
      scopes: ['tool:list', 'tool:write', 'tool:admin'],
      policy: { runtimeClients: ['gateway', 'gateway-agent'] },
    },
    {
      uri: API,
      slug: 'api',
      scopes: ['read', 'write', 'tool:list', 'tool:write'],
      policy: { exchangeClients: ['gateway', 'agent', 'client-1'] },
    },
    { uri: 'https://open.example/', slug: 'open', scopes: ['tool:list', 'x'] },
    {
      uri: 'https://own.example/',
      slug: 'own',
      scopes: ['tool:list'],
      policy: { runtimeClients: ['owner'] },
    },
    { uri: 'https://backend.example/', slug: 'backend', scopes: ['b:read', 'b:write', 'b:admin'] },
    {
      uri: CALENDAR,
      slug: 'google-cal',
      scopes: ['calendar.read', 'calendar.write', 'tool:list'],
      broker: { provider: 'google' },
    },
    {
      uri: 'https://api.github.com/',
      slug: 'github',
      scopes: ['repo'],
      broker: { provider: 'github', expiresIn: 0 },
    },
    { uri: 'https://twin.example/a', slug: 'twin', scopes: [] },
    { uri: 'https://twin.example/b', slug: 'twin', scopes: [] },
  ],
  clients: [
    ...['gateway', 'agent', 'owner', 'stranger', 'client-1'].map((clientId) => ({
      clientId,
      clientSecret: 's',
      grantTypes: [EXCHANGE],
      agent: clientId === 'agent',
    })),
    { clientId: 'gateway-agent', clientSecret: 's', grantTypes: [EXCHANGE], agent: true },
    { clientId: 'machine', clientSecret: 's', scope: 'tool:list' },
    { clientId: 'public' },
    { clientId: 'public-exchange', grantTypes: [EXCHANGE] },
  ],
  fronting: [
    {
      source: 'my-mcp',
      target: 'backend',
      scopeMap: {
        'tool:write': ['b:write', 'b:read'],
        'tool:list': ['b:read'],
        'tool:admin': ['b:admin'],
      },
    },
    {
      source: MCP,
      target: CALENDAR,
      scopeMap: {
        'tool:list': ['calendar.read'],
        'tool:write': ['calendar.read', 'calendar.write'],
      },
    },
  ],
};

type Server = Awaited<ReturnType<Servers['start']>>;

/** Who asks, with what, and what is different about the request. */
export interface ExchangeRequest {
  readonly client?: string;
  readonly subject?: TokenClaims;
  readonly form?: Parameters;
  readonly headers?: Record<string, string>;
}

/** Exchanges a token that `client-1` has for the MCP server; by default `gateway` asks. */
export async function exchange(
  server: Server,
  { client = 'gateway', subject = {}, form = {}, headers = {} }: ExchangeRequest,
): Promise<Response> {
  const claims = { aud: [MCP], scope: 'tool:list', ...subject };
  const request = {
    grant_type: EXCHANGE,
    client_id: client,
    client_secret: 's',
    subject_token: await server.issueToken(claims),
    subject_token_type: ACCESS_TOKEN,
    ...form,
  };
  return token(server, request, headers);
}
