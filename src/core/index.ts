export {
  httpStatus,
  toChallenge,
  wwwAuthenticate,
  type Challenge,
  type ChallengeOptions,
  type ChallengeScheme,
} from './challenge.js';
export { AuthplaneClient } from './client.js';
export { type Clock } from './clock.js';
export { type HeaderLines } from './credentials.js';
export * from './errors.js';
export { type OutboundFetch } from './http.js';
export {
  authplaneOptionsFromEnv,
  type AuthplaneModuleOptions,
  type ClientOptions,
  type ResourceOptions,
} from './options.js';
export { AuthplaneResource, type Authentication, type InboundRequest } from './resource.js';
export { type ProtectedResourceMetadata } from './resource-metadata.js';
export { type ScopeHierarchy, type ScopeNeeds } from './scopes.js';
export { type ActorClaim, type VerifiedClaims, type VerifiedDPoPProof } from './verified-claims.js';
