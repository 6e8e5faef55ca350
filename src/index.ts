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
  type CachedUserLookup,
  type CalledResource,
  type CallerPlace,
  type CredentialPlace,
  type IncomingRequest,
  type OtherCaller,
  type OtherCredentials,
  type AuthenticatedRequest,
  type AuthplaneModuleOptions,
  type BaseUrlLookup,
  type Challenge,
  type ChallengeRequest,
  type ChallengeOptions,
  type ChallengeScheme,
  type ClientAuthentication,
  type Clock,
  type ConsentPageOptions,
  type DPoPNonceOptions,
  type DPoPSignerAlgorithm,
  type DPoPReplayStore,
  type FurtherMcpOptions,
  type FurtherResourceOptions,
  type HostOperation,
  type HostOwner,
  type InboundDPoPOptions,
  type InboundRequest,
  type McpHost,
  type McpOperation,
  type McpOptions,
  type OperationKind,
  type OutboundFetch,
  type PrivateKeyJwtOptions,
  type PathParams,
  type ProofSigner,
  type ProtectedResourceMetadata,
  type ReplayStoreErrorOptions,
  type RequiredScopes,
  type ResourceDescription,
  type ResourceLookup,
  type ResourceNamesOptions,
  type ScopeHierarchy,
  type ScopeRequirement,
  type RuledOperation,
  type ScopeRule,
  type UserLookup,
  type VerifiedClaims,
  type VerifiedDPoPProof,
} from './core/index.js';
export type { OAuthErrorCode } from './core/errors/oauth-error-codes.js';
export * from './core/errors/authplane-error.js';
export * from './core/errors/token-errors.js';
export * from './core/errors/request-errors.js';
export * from './core/errors/dpop-errors.js';
export * from './core/errors/server-errors.js';
export * from './core/errors/oauth-errors.js';
export * from './core/errors/configuration-error.js';
export * from './core/errors/authplane-error.js';
export * from './core/errors/token-errors.js';
export * from './core/errors/request-errors.js';
export * from './core/errors/dpop-errors.js';
export * from './core/errors/server-errors.js';
export * from './core/errors/configuration-error.js';
export * from './core/errors/oauth-errors.js';
export { AuthContext, type CallerSnapshot } from './nest/auth-context.js';
export type { AllowedCaller, AllowRule } from './nest/callers/allow-rule.js';
export {
  Allow,
  AnyScope,
  Claims,
  CurrentUser,
  type ClaimName,
  McpEndpoint,
  Public,
  Scopes,
  type ScopesOptions,
  UseResource,
} from './nest/authplane.decorators.js';
export {
  AuthplaneOperations,
  type OperationDeclaration,
  type OperationQuery,
} from './nest/authplane-operations.js';
export { AuthplaneExceptionFilter } from './nest/authplane.exception-filter.js';
export { AuthplaneGuard } from './nest/authplane.guard.js';
export {
  AuthplaneMiddleware,
  type AuthplaneMiddlewareFunction,
  type AuthplaneMiddlewareOptions,
} from './nest/authplane.middleware.js';
export { AuthplaneModule } from './nest/authplane.module.js';
export { AuthplaneProtected } from './nest/marks/authplane-protected.js';
export {
  type AuthplaneFeatureAsyncOptions,
  type AuthplaneFeatureOptions,
  type AuthplaneModuleAsyncOptions,
  type AuthplaneModuleExtras,
  type AuthplaneOptionsFactory,
  authplaneResource,
} from './nest/module-options.js';
