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
  type AuthenticatedRequest,
  type AuthProvider,
  type ClientAuthentication,
  type ClientSecretCredentials,
  privateKeyJwt,
  type PrivateKeyJwtOptions,
} from './client-authentication.js';
export { AuthplaneClient } from './client.js';
export { type Clock } from './clock.js';
export { type HeaderLines } from './credentials.js';
export * from './errors.js';
export { type DPoPNonceOptions } from './dpop-nonce.js';
export {
  DPoPSigner,
  type DPoPProofRequest,
  type DPoPSignerAlgorithm,
  type DPoPSignerOptions,
} from './dpop-signer.js';
export { type OutboundFetch } from './http/fetch.js';
export { type McpOperation, type OperationKind } from './json-rpc.js';
export { type HostOperation, type HostOwner, type McpHost } from './mcp-host.js';
export {
  type McpOptions,
  type RequiredScopes,
  type ScopeRequirement,
  type RuledOperation,
  type ScopeRule,
} from './operation-scopes.js';
export {
  type AuthplaneModuleOptions,
  type ClientOptions,
  type ConsentPageOptions,
  type FurtherMcpOptions,
  type FurtherResourceOptions,
  type InboundDPoPOptions,
  type ResourceOptions,
} from './options.js';
export { authplaneOptionsFromEnv } from './options-from-env.js';
export type { IntrospectionResponse, TokenResponse } from './oauth-response.js';
export type { FetchAsRequest } from './resource-fetch.js';
export type { RevocationChecker } from './revocation.js';
export type { ClientCredentialsRequest, ExchangeRequest, ProofSigner } from './token-operations.js';
export {
  type DPoPReplayStore,
  InMemoryDPoPReplayStore,
  type InMemoryDPoPReplayStoreOptions,
  ReplayStoreError,
  type ReplayStoreErrorOptions,
} from './replay-store.js';
export {
  AuthplaneResource,
  type Authentication,
  type ChallengeRequest,
  type InboundRequest,
  type VerifyOptions,
} from './resource.js';
export { type ProtectedResourceMetadata, type ResourceDescription } from './resource-metadata.js';
export { type ScopeHierarchy, type ScopeNeeds } from './scopes.js';
export { type ActorClaim, type VerifiedClaims, type VerifiedDPoPProof } from './verified-claims.js';
