import { authorizeEndpoint, DEFAULT_USER } from './endpoints/authorize-endpoint.js';
import { connectEndpoint } from './endpoints/connect-endpoint.js';
import { USER_TOKEN_SECONDS, type Deployment } from './deployment.js';
import {
  authorizationServerMetadata,
  cacheableJson,
  metadataPaths,
} from './endpoints/discovery.js';
import { PATHS } from './http/paths.js';
import { DPOP_ALGORITHMS } from './endpoints/dpop-check.js';
import type { EndpointName } from './http/faults.js';
import { authorizationCodeGrant } from './grants/authorization-code.js';
import { clientCredentialsGrant } from './grants/client-credentials.js';
import { refreshTokenGrant } from './grants/refresh-token.js';
import { TOKEN_EXCHANGE, tokenExchangeGrant } from './grants/token-exchange.js';
import { connectionsPage } from './http/html-pages.js';
import { introspectEndpoint } from './endpoints/introspect-endpoint.js';
import { registerEndpoint } from './endpoints/register-endpoint.js';
import type { Handler } from './http/request.js';
import { revokeEndpoint } from './endpoints/revoke-endpoint.js';
import type { Route } from './http/router.js';
import { tokenEndpoint, type GrantType } from './endpoints/token-endpoint.js';

const MACHINE_TOKEN_SECONDS = 3600;

const LOOPBACK_RETURN_URLS = ['http://localhost:*', 'http://127.0.0.1:*'];

/** What a test put in place of the documents. */
export class Documents {
  metadataPatch: Readonly<Record<string, unknown>> | null = null;
  jwks: unknown = null;
}

/** Finds the route of a path. */
export function routesOf(
  deployment: Deployment,
  documents: Documents,
): (path: string) => Route | undefined {
  const { issuer, keys, clients, now } = deployment;
  const at = (path: string) => new URL(issuer + path).pathname;
  const grants = grantsOf(deployment);
  const document = metadata(deployment, [...grants.keys()], documents);
  const jwks = () => cacheableJson(documents.jwks ?? keys.jwks());
  const { rfc8414, openid } = metadataPaths(issuer);
  const routes = new Map([
    ...[rfc8414, ...openid].map((path) => [path, open('metadata', 'GET', document)] as const),
    [at(PATHS.jwks), open('jwks', 'GET', jwks)],
    [at(PATHS.movedJwks), open('jwks-moved', 'GET', jwks)],
    [at(PATHS.register), open('register', 'POST', registerEndpoint(clients, now))],
    [at(PATHS.authorize), authorizeRoute(deployment)],
    [at(PATHS.token), open('token', 'POST', tokenHandler(deployment, grants))],
    [at(PATHS.revoke), open('revoke', 'POST', revokeEndpoint(deployment))],
    [at(PATHS.connections), page('connect', { get: connectionsPage })],
    ...introspectRoutes(deployment, at(PATHS.introspect)),
  ]);
  const connect = connectRoute(deployment);
  const connectPrefix = at(PATHS.connect);
  return (path) => routes.get(path) ?? (path.startsWith(connectPrefix) ? connect : undefined);
}

/** The grant types that exist, in the order in which the metadata names them. */
function grantsOf(deployment: Deployment): ReadonlyMap<string, GrantType> {
  const { refreshTokens, options } = deployment;
  const { features = {}, allowSelfExchange = false } = options;
  const user = { ...deployment, ttlSeconds: options.accessTokenTtlSeconds ?? USER_TOKEN_SECONDS };
  const ttlSeconds = options.accessTokenTtlSeconds ?? MACHINE_TOKEN_SECONDS;
  const machine = { ...deployment, ttlSeconds, allowSelfExchange };
  const issued = options.issueRefreshTokens === false ? undefined : refreshTokens;
  const grants = new Map<string, GrantType>([
    ['authorization_code', { grant: authorizationCodeGrant({ ...user, refreshTokens: issued }) }],
    ['refresh_token', { grant: refreshTokenGrant(user) }],
    ['client_credentials', { grant: clientCredentialsGrant(machine) }],
    [TOKEN_EXCHANGE, tokenExchangeGrant(machine)],
  ]);
  if (features.clientCredentials === false) grants.delete('client_credentials');
  if (features.tokenExchange === false) grants.delete(TOKEN_EXCHANGE);
  return grants;
}

function tokenHandler(deployment: Deployment, grants: ReadonlyMap<string, GrantType>): Handler {
  const { issuer, clients, dpop, grantCounter } = deployment;
  const features = new Map([
    ['client_credentials', 'client_credentials'],
    [TOKEN_EXCHANGE, 'token_exchange'],
  ]);
  return tokenEndpoint({
    url: issuer + PATHS.token,
    clients,
    grants,
    features,
    dpop,
    counter: grantCounter,
  });
}

function metadata(
  { issuer, resources, dpop, options }: Deployment,
  grantTypes: readonly string[],
  documents: Documents,
): Handler {
  const document = authorizationServerMetadata(issuer, {
    grantTypes,
    scopesSupported: resources.scopesSupported,
    introspection: options.features?.introspection !== false,
    dpopAlgorithms: dpop === undefined ? [] : DPOP_ALGORITHMS,
  });
  return () => cacheableJson({ ...document, ...documents.metadataPatch });
}

function introspectRoutes(deployment: Deployment, path: string): readonly [string, Route][] {
  if (deployment.options.features?.introspection === false) return [];
  return [[path, open('introspect', 'POST', introspectEndpoint(deployment))]];
}

function authorizeRoute(deployment: Deployment): Route {
  const { requireScope = true, autoApprove = false } = deployment.options;
  const approvingUser = autoApprove === true ? DEFAULT_USER : autoApprove || undefined;
  return page('authorize', authorizeEndpoint({ ...deployment, requireScope, approvingUser }));
}

function connectRoute(deployment: Deployment): Route {
  const { connectReturnUrls: returnUrls = LOOPBACK_RETURN_URLS } = deployment.options;
  return page('connect', connectEndpoint({ ...deployment, returnUrls }));
}

function open(endpoint: EndpointName, method: 'GET' | 'POST', handler: Handler): Route {
  return { endpoint, methods: new Map([[method, handler]]), crossOrigin: true };
}

/** For the browser of a user. */
function page(
  endpoint: EndpointName,
  { get, post }: { readonly get: Handler; readonly post?: Handler },
): Route {
  const methods = new Map([['GET', get]]);
  if (post !== undefined) methods.set('POST', post);
  return { endpoint, methods, crossOrigin: false };
}
