import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';

/** An authorization server that nobody here wrote, issuing JWT access tokens per resource. */
export interface ForeignAuthorizationServer {
  readonly issuer: string;
  /** A machine token for the resource, over the real token endpoint. */
  accessToken(resource: string, headers?: Record<string, string>): Promise<string>;
  readonly tokenEndpoint: string;
  close(): Promise<void>;
}

const CLIENT = { client_id: 'machine', client_secret: 'machine-secret' };

export async function startOidcProvider(): Promise<ForeignAuthorizationServer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        ...CLIENT,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: {
      keys: [
        {
          ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
            format: 'jwk',
          }),
          alg: 'ES256',
          use: 'sig',
          kid: 'oidc-provider-1',
        },
      ],
    }, // its types know node's JWK only by a narrower name
    scopes: ['things:read', 'things:write'],
    enabledJWA: { dPoPSigningAlgValues: ['ES256', 'EdDSA', 'PS256', 'RS256'] } as never,
    features: {
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          scope: 'things:read things:write',
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  const tokenEndpoint = `${issuer}/token`;
  return {
    issuer,
    tokenEndpoint,
    accessToken: (resource, headers) => clientCredentials(tokenEndpoint, resource, headers),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function clientCredentials(url: string, resource: string, headers = {}): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Basic ${btoa(`${CLIENT.client_id}:${CLIENT.client_secret}`)}`,
      ...headers,
    },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      resource,
      scope: 'things:read',
    }),
  });
  const answer = (await response.json()) as { access_token?: string; error_description?: string };
  if (answer.access_token === undefined) throw new Error(`no token: ${JSON.stringify(answer)}`);
  return answer.access_token;
}
