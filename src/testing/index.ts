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
export type { ClientOptions } from './clients.js';
export type { EndpointName, Fault, ReplyFault } from './faults.js';
export type { AuthorizationServerOptions } from './options.js';
export type { ResourceOptions } from './resources.js';
export type { RequestCounts } from './router.js';
export type { RotateKeysOptions, SigningAlgorithm } from './signing-keys.js';
