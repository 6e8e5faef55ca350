/**
 * `authplane-nestjs/testing`: a stand-in for the AuthPlane authorization server, on loopback, for
 * tests and samples. Not for production.
 *
 * @packageDocumentation
 */

export {
  startAuthorizationServer,
  type StandInAuthorizationServer,
  type UserDecision,
} from './authorization-server.js';
export type { TokenClaims, TokenHeader } from './access-tokens.js';
export type { RegisteredClientOptions } from './clients.js';
export type { ConsentRefusal, ConsentRequirement, ConsentSubject } from './consents.js';
export {
  dpopProof,
  generateDPoPKey,
  type DPoPAlgorithm,
  type DPoPKey,
  type DPoPKeyOptions,
  type DPoPProofOptions,
} from './dpop-proof.js';
export type { EndpointName, Fault, ReplyFault } from './faults.js';
export type { FrontingOptions } from './fronting.js';
export type { GrantRequestCounts } from './grant-counter.js';
export type { AuthorizationServerOptions, FeatureOptions } from './options.js';
export type { BrokerOptions, RegisteredResourceOptions, ResourcePolicy } from './resources.js';
export type { RequestCounts } from './router.js';
export type { RotateKeysOptions, SigningAlgorithm } from './signing-keys.js';
