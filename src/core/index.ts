export {
  httpStatus,
  toChallenge,
  wwwAuthenticate,
  type Challenge,
  type ChallengeOptions,
} from './challenge.js';
export type { ChallengeScheme } from './error-answers.js';
export type {
  AsCredentials,
  AuthenticatedRequest,
  AuthProvider,
  ClientAuthentication,
  ClientSecretCredentials,
} from './calls/client-authentication.js';
export { privateKeyJwt, type PrivateKeyJwtOptions } from './calls/private-key-jwt.js';
export { AuthplaneClient } from './client.js';
export { type Clock } from './lib/clock.js';
export { type HeaderLines } from './token/credentials.js';
export type { OAuthErrorCode } from './errors/oauth-error-codes.js';
export * from './errors/authplane-error.js';
export * from './errors/token-errors.js';
export * from './errors/request-errors.js';
export * from './errors/dpop-errors.js';
export * from './errors/server-errors.js';
export * from './errors/oauth-errors.js';
export * from './errors/configuration-error.js';
export { type DPoPNonceOptions } from './dpop/nonce.js';
export {
  DPoPSigner,
  type DPoPProofRequest,
  type DPoPSignerAlgorithm,
  type DPoPSignerOptions,
  type ProofSigner,
} from './dpop/signer.js';
export { type OutboundFetch } from './http/fetch.js';
export { type McpOperation, type OperationKind } from './mcp/json-rpc.js';
export { type HostOperation, type HostOwner, type McpHost } from './mcp/mcp-host.js';
export type {
  RequiredScopes,
  ScopeRequirement,
  RuledOperation,
  ScopeRule,
} from './mcp/scope-requirement.js';
export {
  type OperationNeeds,
  requiredScopes,
  type RequirementTable,
} from './mcp/required-scopes.js';
export type {
  AuthplaneModuleOptions,
  ClientOptions,
  FurtherMcpOptions,
  FurtherResourceOptions,
  ResourceOptions,
} from './options.js';
export type {
  CachedUserLookup,
  CalledResource,
  CallerPlace,
  IncomingRequest,
  OtherCredentials,
  UserLookup,
} from './caller-settings.js';
export type { CredentialPlace, OtherCaller } from './token/other-caller.js';
export type { InboundDPoPOptions } from './dpop/settings.js';
export { authplaneOptionsFromEnv } from './options-from-env.js';
export type { IntrospectionResponse } from './operations/introspection.js';
export type { TokenResponse } from './operations/token-response.js';
export type { FetchAsRequest } from './operations/fetch-as.js';
export type { McpOptions } from './mcp/settings.js';
export type { ConsentPageOptions, RevocationChecker } from './operations/settings.js';
export type { ClientCredentialsRequest } from './operations/client-credentials.js';
export type { ExchangeRequest } from './operations/exchange.js';
export {
  type DPoPReplayStore,
  InMemoryDPoPReplayStore,
  type InMemoryDPoPReplayStoreOptions,
  ReplayStoreError,
  type ReplayStoreErrorOptions,
} from './dpop/replay-store.js';
export {
  AuthplaneResource,
  type ChallengeRequest,
  type InboundRequest,
  type VerifyOptions,
} from './resource.js';
export type { Authentication } from './token/caller.js';
export { type ProtectedResourceMetadata, type ResourceDescription } from './resource-metadata.js';
export type { BaseUrlLookup, ResourceLookup, ResourceNamesOptions } from './names/settings.js';
export type { PathParams } from './names/path-template.js';
export { type ScopeHierarchy, type ScopeNeeds } from './lib/scopes.js';
export {
  type ActorClaim,
  type VerifiedClaims,
  type VerifiedDPoPProof,
} from './token/verified-claims.js';
