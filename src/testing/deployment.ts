import { AccessTokens, type TokenClaims, type TokenHeader } from './records/access-tokens.js';
import { AuthorizationCodes } from './records/authorization-codes.js';
import { DEFAULT_USER } from './endpoints/authorize-endpoint.js';
import { agentIdOf, Clients } from './records/clients.js';
import { Consents } from './records/consents.js';
import { DPoPCheck } from './endpoints/dpop-check.js';
import { Fronting } from './endpoints/fronting.js';
import { GrantCounter } from './records/grant-counter.js';
import type { AuthorizationServerOptions } from './options.js';
import { RefreshTokens } from './records/refresh-tokens.js';
import { Resources } from './records/resources.js';
import { Revocations } from './records/revocations.js';
import type { SigningKeys } from './records/signing-keys.js';
import { Upstream } from './endpoints/upstream.js';

export const USER_TOKEN_SECONDS = 900;

const PROOF_SECONDS = 60;

/** One issuer with all that stands behind its endpoints. */
export interface Deployment {
  readonly issuer: string;
  readonly keys: SigningKeys;
  readonly clients: Clients;
  readonly resources: Resources;
  readonly tokens: AccessTokens;
  readonly codes: AuthorizationCodes;
  readonly refreshTokens: RefreshTokens;
  readonly revocations: Revocations;
  readonly consents: Consents;
  readonly fronting: Fronting;
  readonly upstream: Upstream;
  readonly grantCounter: GrantCounter;
  /** `undefined`: switched off. */
  readonly dpop: DPoPCheck | undefined;
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
  const resources = new Resources(options.resources, options.scopesSupported);
  return {
    issuer,
    keys,
    clients: new Clients(options.clients ?? []),
    resources,
    tokens: new AccessTokens(issuer, keys, now),
    codes: new AuthorizationCodes(now),
    refreshTokens: new RefreshTokens(now),
    revocations: new Revocations(),
    consents: new Consents(issuer),
    fronting: new Fronting(options.fronting ?? [], resources),
    upstream: new Upstream(),
    grantCounter: new GrantCounter(),
    dpop: dpopCheck(options, now),
    now,
    options,
  };
}

function dpopCheck(
  { dpop, features, dpopProofLifetimeSeconds, dpopRequireNonce }: AuthorizationServerOptions,
  now: () => number,
): DPoPCheck | undefined {
  if (dpop === false || features?.dpop === false) return undefined;
  const lifetimeSeconds = dpopProofLifetimeSeconds ?? PROOF_SECONDS;
  return new DPoPCheck({ now, lifetimeSeconds, requireNonce: dpopRequireNonce ?? false });
}

/** A token as the deployment would issue it, changed as the caller says. */
export function issueToken(
  deployment: Deployment,
  claims: TokenClaims,
  header: TokenHeader,
): string {
  const { issuer, clients, resources, tokens, options } = deployment;
  const clientId = typeof claims.client_id === 'string' ? claims.client_id : 'client-1';
  const client = clients.get(clientId);
  const defaults = tokens.claims({
    sub: DEFAULT_USER,
    clientId,
    agentId: client && agentIdOf(client),
    audience: resources.first ?? issuer,
    scope: [],
    ttlSeconds: options.accessTokenTtlSeconds ?? USER_TOKEN_SECONDS,
  });
  return tokens.sign({ ...defaults, ...claims }, header);
}
