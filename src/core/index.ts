export {
  httpStatus,
  toChallenge,
  wwwAuthenticate,
  type Challenge,
  type ChallengeOptions,
  type ChallengeScheme,
} from './challenge.js';
export {
  type AsCredentials,
  type AuthProvider,
  type ClientSecretCredentials,
  privateKeyJwt,
} from './client-authentication.js';
export { AuthplaneClient } from './client.js';
export { type Clock } from './clock.js';
export { type HeaderLines } from './credentials.js';
export * from './errors.js';
export { DPoPSigner, type DPoPProofRequest, type DPoPSignerOptions } from './dpop-signer.js';
export { type OutboundFetch } from './http.js';
export { type McpOperation, type OperationKind } from './json-rpc.js';
export {
  type McpOptions,
  type RequiredScopes,
  type ScopeRequirement,
  type ScopeRule,
} from './operation-scopes.js';
export {
  authplaneOptionsFromEnv,
  type AuthplaneModuleOptions,
  type ClientOptions,
  type InboundDPoPOptions,
  type ResourceOptions,
} from './options.js';
export type { IntrospectionResponse, TokenResponse } from './oauth-response.js';
export type { FetchAsRequest } from './resource-fetch.js';
export type { RevocationChecker } from './revocation.js';
export type { ClientCredentialsRequest, ExchangeRequest, ProofSigner } from './token-operations.js';
export {
  type DPoPReplayStore,
  InMemoryDPoPReplayStore,
  type InMemoryDPoPReplayStoreOptions,
  ReplayStoreError,
} from './replay-store.js';
export {
  AuthplaneResource,
  type Authentication,
  type InboundRequest,
  type VerifyOptions,
} from './resource.js';
export { type ProtectedResourceMetadata } from './resource-metadata.js';
export { type ScopeHierarchy, type ScopeNeeds } from './scopes.js';
export { type ActorClaim, type VerifiedClaims, type VerifiedDPoPProof } from './verified-claims.js';
