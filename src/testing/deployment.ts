import { AccessTokens, type TokenClaims, type TokenHeader } from './access-tokens.js';
import { AuthorizationCodes } from './authorization-codes.js';
import { authorizeEndpoint, DEFAULT_USER } from './authorize-endpoint.js';
import { Clients } from './clients.js';
import { authorizationServerMetadata, cacheableJson, metadataPaths, PATHS } from './discovery.js';
import type { EndpointName } from './faults.js';
import { authorizationCodeGrant } from './grants/authorization-code.js';
import { clientCredentialsGrant } from './grants/client-credentials.js';
import { refreshTokenGrant } from './grants/refresh-token.js';
import type { AuthorizationServerOptions } from './options.js';
import { RefreshTokens } from './refresh-tokens.js';
import { registerEndpoint } from './register-endpoint.js';
import type { Handler } from './request.js';
import { Resources } from './resources.js';
import { revokeEndpoint } from './revoke-endpoint.js';
import type { Route } from './router.js';
import type { SigningKeys } from './signing-keys.js';
import { tokenEndpoint, type Grant } from './token-endpoint.js';

const USER_TOKEN_SECONDS = 900;
const MACHINE_TOKEN_SECONDS = 3600;

/** What a test put in place of the documents. */
export class Documents {
  metadataPatch: Readonly<Record<string, unknown>> | null = null;
  jwks: unknown = null;
}

/** One issuer with all that stands behind its endpoints. */
export interface Deployment {
  readonly issuer: string;
  readonly keys: SigningKeys;
  readonly clients: Clients;
  readonly resources: Resources;
  readonly tokens: AccessTokens;
  readonly codes: AuthorizationCodes;
  readonly refreshTokens: RefreshTokens;
  readonly now: () => number;
  readonly options: AuthorizationServerOptions;
}

export function deploy(
  options: AuthorizationServerOptions,
  issuer: string,
  keys: SigningKeys,
): Deployment {
  const clock = options.now ?? (() => Date.now() / 1000);
  const now = () => Math.floor(clock());
  return {
    issuer,
    keys,
    clients: new Clients(options.clients ?? []),
    resources: new Resources(options.resources, options.scopesSupported),
    tokens: new AccessTokens(issuer, keys, now),
    codes: new AuthorizationCodes(now),
    refreshTokens: new RefreshTokens(now),
    now,
    options,
  };
}

/** The grant types that exist, in the order in which the metadata names them. */
function grantsOf(deployment: Deployment): ReadonlyMap<string, Grant> {
  const { refreshTokens, options } = deployment;
  const user = { ...deployment, ttlSeconds: options.accessTokenTtlSeconds ?? USER_TOKEN_SECONDS };
  const ttlSeconds = options.accessTokenTtlSeconds ?? MACHINE_TOKEN_SECONDS;
  const issued = options.issueRefreshTokens === false ? undefined : refreshTokens;
  return new Map([
    ['authorization_code', authorizationCodeGrant({ ...user, refreshTokens: issued })],
    ['refresh_token', refreshTokenGrant(user)],
    ['client_credentials', clientCredentialsGrant({ ...deployment, ttlSeconds })],
  ]);
}

export function routesOf(deployment: Deployment, documents: Documents): ReadonlyMap<string, Route> {
  const { issuer, keys, clients, refreshTokens, now } = deployment;
  const at = (path: string) => new URL(issuer + path).pathname;
  const grants = grantsOf(deployment);
  const document = metadata(deployment, [...grants.keys()], documents);
  const jwks = () => cacheableJson(documents.jwks ?? keys.jwks());
  const { rfc8414, openid } = metadataPaths(issuer);
  return new Map([
    ...[rfc8414, ...openid].map((path) => [path, open('metadata', 'GET', document)] as const),
    [at(PATHS.jwks), open('jwks', 'GET', jwks)],
    [at(PATHS.movedJwks), open('jwks-moved', 'GET', jwks)],
    [at(PATHS.register), open('register', 'POST', registerEndpoint(clients, now))],
    [at(PATHS.authorize), authorizeRoute(deployment)],
    [at(PATHS.token), open('token', 'POST', tokenEndpoint(clients, grants))],
    [at(PATHS.revoke), open('revoke', 'POST', revokeEndpoint(clients, refreshTokens))],
  ]);
}

function metadata(
  { issuer, resources }: Deployment,
  grantTypes: readonly string[],
  documents: Documents,
): Handler {
  const { scopesSupported } = resources;
  const document = authorizationServerMetadata(issuer, { grantTypes, scopesSupported });
  return () => cacheableJson({ ...document, ...documents.metadataPatch });
}

function open(endpoint: EndpointName, method: 'GET' | 'POST', handler: Handler): Route {
  return { endpoint, methods: new Map([[method, handler]]), crossOrigin: true };
}

function authorizeRoute(deployment: Deployment): Route {
  const { requireScope = true, autoApprove = false } = deployment.options;
  const approvingUser = autoApprove === true ? DEFAULT_USER : autoApprove || undefined;
  const { get, post } = authorizeEndpoint({ ...deployment, requireScope, approvingUser });
  const methods = new Map([
    ['GET', get],
    ['POST', post],
  ]);
  return { endpoint: 'authorize', methods, crossOrigin: false };
}

/** A token as the deployment would issue it, changed as the caller says. */
export function issueToken(
  deployment: Deployment,
  claims: TokenClaims,
  header: TokenHeader,
): string {
  const { issuer, clients, resources, tokens, options } = deployment;
  const clientId = typeof claims.client_id === 'string' ? claims.client_id : 'client-1';
  const defaults = tokens.claims({
    sub: DEFAULT_USER,
    clientId,
    agent: clients.get(clientId)?.agent ?? false,
    audience: resources.first ?? issuer,
    scope: [],
    ttlSeconds: options.accessTokenTtlSeconds ?? USER_TOKEN_SECONDS,
  });
  return tokens.sign({ ...defaults, ...claims }, header);
}
