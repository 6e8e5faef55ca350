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
export type { TokenClaims, TokenHeader } from './records/access-tokens.js';
export type { RegisteredClientOptions } from './records/clients.js';
export type { ConsentRefusal, ConsentRequirement, ConsentSubject } from './records/consents.js';
export {
  dpopProof,
  generateDPoPKey,
  type DPoPAlgorithm,
  type DPoPKey,
  type DPoPKeyOptions,
  type DPoPProofOptions,
} from './dpop-proof.js';
export type { EndpointName, Fault, ReplyFault } from './http/faults.js';
export type { FrontingOptions } from './endpoints/fronting.js';
export type { GrantRequestCounts } from './records/grant-counter.js';
export type { AuthorizationServerOptions, FeatureOptions } from './options.js';
export type {
  BrokerOptions,
  RegisteredResourceOptions,
  ResourcePolicy,
} from './records/resources.js';
export type { RequestCounts } from './http/router.js';
export type { RotateKeysOptions, SigningAlgorithm } from './records/signing-keys.js';
