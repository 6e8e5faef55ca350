export {
  AuthplaneClient,
  AuthplaneResource,
  authplaneOptionsFromEnv,
  DPoPSigner,
  httpStatus,
  InMemoryDPoPReplayStore,
  privateKeyJwt,
  ReplayStoreError,
  toChallenge,
  wwwAuthenticate,
  type ActorClaim,
  type AsCredentials,
  type AuthProvider,
  type ClientCredentialsRequest,
  type ExchangeRequest,
  type FetchAsRequest,
  type IntrospectionResponse,
  type RevocationChecker,
  type TokenResponse,
  type Authentication,
  type AuthplaneModuleOptions,
  type Challenge,
  type ChallengeOptions,
  type ChallengeScheme,
  type Clock,
  type DPoPReplayStore,
  type InboundDPoPOptions,
  type InboundRequest,
  type McpOperation,
  type McpOptions,
  type OperationKind,
  type OutboundFetch,
  type ProtectedResourceMetadata,
  type RequiredScopes,
  type ScopeHierarchy,
  type ScopeRequirement,
  type ScopeRule,
  type VerifiedClaims,
  type VerifiedDPoPProof,
} from './core/index.js';
export * from './core/errors.js';
export { AuthContext } from './nest/auth-context.js';
export {
  AnyScope,
  Claims,
  McpEndpoint,
  Public,
  Scopes,
  type ScopesOptions,
  UseResource,
} from './nest/authplane.decorators.js';
export { AuthplaneOperations, type OperationQuery } from './nest/authplane-operations.js';
export { AuthplaneExceptionFilter } from './nest/authplane.exception-filter.js';
export { AuthplaneGuard } from './nest/authplane.guard.js';
export { AuthplaneModule } from './nest/authplane.module.js';
export {
  type AuthplaneFeatureAsyncOptions,
  type AuthplaneFeatureOptions,
  type AuthplaneModuleAsyncOptions,
  type AuthplaneModuleExtras,
  type AuthplaneOptionsFactory,
  authplaneResource,
} from './nest/module-options.js';
