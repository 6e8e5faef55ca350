import { DEFAULT_ALGORITHMS, SUPPORTED_ALGORITHMS } from './lib/algorithms.js';
import { type Clock, systemClock } from './lib/clock.js';
import {
  type AsCredentials,
  type AuthProvider,
  clientAuthentication,
  credentialsProblem,
} from './operations/client-authentication.js';
import { type DPoPNonceOptions, DPoPNonces, nonceSecretProblem } from './dpop/nonce.js';
import { DEFAULT_PROOF_ALGORITHMS, SUPPORTED_PROOF_ALGORITHMS } from './dpop/proof-key.js';
import type { AuthplaneError } from './errors/authplane-error.js';
import { ConfigurationError } from './errors/configuration-error.js';
import type { OutboundFetch } from './http/fetch.js';
import { hostsProblem } from './mcp/mcp-host.js';
import { type McpOptions, requirementProblem } from './mcp/operation-scopes.js';
import {
  algorithmsProblem,
  baseUrlProblem,
  booleanProblem,
  type Check,
  count,
  functionProblem,
  hierarchyProblem,
  issuerProblem,
  mapOf,
  mcpPathProblem,
  nested,
  oneOf,
  orFalse,
  originListProblem,
  pathProblem,
  pauses,
  problemsOf,
  publicUrlProblem,
  scopeListProblem,
  seconds,
  switchOr,
  webOriginListProblem,
} from './lib/option-checks.js';
import { resourceWarnings, serverWarnings } from './option-warnings.js';
import type { DPoPReplayStore } from './dpop/replay-store.js';
import type { InboundDPoPOptions, ResolvedInboundDPoP } from './dpop/settings.js';
import { descriptionProblem, type ResourceDescription } from './resource-metadata.js';
import type { RevocationChecker } from './operations/revocation-check.js';
import type { ScopeHierarchy } from './lib/scopes.js';
import type { ProofSigner } from './operations/token-operations.js';

/** How to reach, trust and use the authorization server. */
interface ServerOptions {
  /** The issuer exactly as the authorization server announces it; compared byte for byte. */
  readonly issuer: string;
  /**
   * Allows `http:`, loopback and private addresses, for development only. Default `false`.
   * Everything else stays as strict as in production.
   */
  readonly devMode?: boolean;
  /** Oldest age of the key set in seconds; it is read again at 60 to 80 % of that. Default 300. */
  readonly jwksRefreshSeconds?: number;
  /** The same for the metadata (RFC 8414). Default 3600. */
  readonly metadataRefreshSeconds?: number;
  /**
   * How many seconds past its refresh age a document is still used while the authorization server
   * is away. Default 3600; 0 refuses stale documents. Afterwards requests get 503.
   */
  readonly maxStaleSeconds?: number;
  /**
   * What an *unreachable* authorization server means at start. `'lazy'` (default in Nest) starts,
   * answers 503 and retries in the background; `'eager'` (default of `AuthplaneClient.create`)
   * fails. A *wrong* one, with another issuer or without keys, fails in both.
   */
  readonly startup?: 'lazy' | 'eager';
  /**
   * Your own `fetch` for all calls to the authorization server, for example through a corporate
   * proxy. The address policy is then yours: this package no longer sees which address is dialled.
   * Deadline, size cap, media type and the refusal of redirects still hold. Default: own sockets.
   */
  readonly fetch?: OutboundFetch;
  /**
   * How long one call to the authorization server may take in seconds, name resolution and
   * connecting included. Default 5.
   */
  readonly requestTimeoutSeconds?: number;
  /**
   * Most calls under way to each endpoint, metadata and key set of the authorization server. Further
   * ones wait their turn, no longer than `requestTimeoutSeconds`, then fail with
   * `OutboundOverloadError` (503). Default 32.
   */
  readonly maxSockets?: number;
  /**
   * Signs proofs for calls to the authorization server, so that issued tokens are bound to its key.
   * Default none.
   */
  readonly dpop?: ProofSigner;
  /** How much earlier than it expires a cached token is given up, in seconds. Default 30. */
  readonly cacheTtlBufferSeconds?: number;
  /** How long a token without `expires_in` is cached, in seconds. Default 3600. */
  readonly defaultTtlSeconds?: number;
  /** Most tokens in the cache. Default 10 000. */
  readonly cacheMaxEntries?: number;
  /** Failures in a row after which an endpoint is left alone. Default 5. */
  readonly circuitBreakerThreshold?: number;
  /** How long it is left alone, in seconds. Default 30. */
  readonly circuitBreakerCooldownSeconds?: number;
  /** The pages where users give consent, see `ConsentRequiredError`. Default `{}`. */
  readonly consent?: ConsentPageOptions;
  /**
   * Told of failures that no caller sees: a background reload that failed. What it throws is dropped.
   * Default: nobody is told; the Nest module logs them in any case.
   */
  readonly onBackgroundFailure?: (error: AuthplaneError) => void;
  /** Source of time, for tests. Default: the system's. */
  readonly clock?: Clock;
}

/** Which consent pages are shown to users, and how patient we are with them. */
export interface ConsentPageOptions {
  /** Further origins of consent pages, such as `https://connect.example.com`. Default: the issuer's only. */
  readonly allowedOrigins?: readonly string[];
  /**
   * Pauses in milliseconds before an operation is tried again after the user agreed to open the page.
   * Default 250, 500, 1000, 2000; then the user is asked again.
   */
  readonly retryDelaysMs?: readonly number[];
}

/** Options of `AuthplaneClient.create`. */
export interface ClientOptions extends ServerOptions {
  /** How this server authenticates, for every call that needs it. Default: it does not. */
  readonly auth?: AsCredentials;
}

/** What is protected, and which tokens are good for it. */
export interface ResourceOptions {
  /**
   * The resource URI, which is the audience; compared byte for byte and never rewritten. Default:
   * `baseUrl` + `mcpPath`.
   */
  readonly resource?: string;
  /**
   * Public base URL of this server; the resource is then `baseUrl` + `mcpPath`. Without it `resource` is
   * required.
   */
  readonly baseUrl?: string;
  /** Path of the MCP endpoint below `baseUrl`. Default `/mcp`. */
  readonly mcpPath?: string;
  /** Scopes advertised in the protected resource metadata. Default none. */
  readonly scopes?: readonly string[];
  /**
   * What people may be shown of this resource, for the protected resource metadata (RFC 9728 §2):
   * `resource_name`, `resource_documentation`, `resource_policy_uri`, `resource_tos_uri`, and variants
   * such as `'resource_name#de'`. Default none.
   */
  readonly resourceMetadata?: ResourceDescription;
  /** Signature algorithms of access tokens; asymmetric only. Default ES256, RS256, PS256, EdDSA. */
  readonly allowedAlgorithms?: readonly string[];
  /** Tolerance for `exp`, `nbf` and `iat` in seconds, 0 to 120. Default 60. */
  readonly clockSkewSeconds?: number;
  /** Refuses tokens that expire later than so many seconds from now, 60 to 31 536 000. Default no limit. */
  readonly maxTokenLifetimeSeconds?: number;
  /** Longer access tokens are refused unread (`TokenTooLongError`): characters, 1024 to 131 072. Default 16 384. */
  readonly maxTokenLength?: number;
  /** Scopes that imply others; honoured wherever scopes are compared. Default none. */
  readonly scopeHierarchy?: ScopeHierarchy;
  /** Switches DPoP on (RFC 9449); `{}` is enough. Default off: bound tokens are refused. */
  readonly inboundDPoP?: InboundDPoPOptions;
  /**
   * Asks about every token whether it was revoked: `'introspection'` asks the authorization server
   * (RFC 7662), a function answers `true` for revoked within 5 seconds. Default: tokens live until
   * they expire.
   */
  readonly revocationChecker?: RevocationChecker;
  /** Refuse with 503 when nobody can tell whether a token was revoked. Default `true`. */
  readonly failClosed?: boolean;
}

/** What guards need to know of a resource besides the resource itself. */
interface GuardOptions {
  /** Every guarded request needs every scope of `scopes`. Default `false`. */
  readonly enforceScopesOnAllRequests?: boolean;
  /** The MCP endpoint: scopes of single tools, resources and prompts, sessions, origins. Default `{}`. */
  readonly mcp?: McpOptions;
}

/** Options of `AuthplaneModule`. */
export interface AuthplaneModuleOptions extends ServerOptions, ResourceOptions, GuardOptions {
  /** How this server authenticates, for every call that needs it. Default: it does not. */
  readonly asCredentials?: AsCredentials;
  /**
   * When the application listens, asks its own MCP endpoint without a token and its own metadata, once and
   * in the background, and warns when the answers are not a 401 with our challenge and our document.
   * Default `true`.
   */
  readonly selfCheck?: boolean;
}

/**
 * Options of a further resource in the same application. What protects the main resource protects
 * this one too: an option that is left out has the value it has there, and so has a member of
 * `inboundDPoP`. Its own are `resource`, `baseUrl`, `mcpPath`, `scopes`, `resourceMetadata` and the
 * `tools`, `resources`, `prompts` and `methods` of `mcp`.
 */
export interface FurtherResourceOptions
  extends Omit<ResourceOptions, 'inboundDPoP' | 'revocationChecker'>, Omit<GuardOptions, 'mcp'> {
  /** `false` switches DPoP off for this resource. Default: as the main one. */
  readonly inboundDPoP?: InboundDPoPOptions | false;
  /** `false`: nobody is asked about tokens for this resource. Default: as the main one. */
  readonly revocationChecker?: RevocationChecker | false;
  /** Rules of its MCP endpoint. Default: those of the main one that are not about names. */
  readonly mcp?: FurtherMcpOptions;
}

/** {@link McpOptions} of a further resource. */
export type FurtherMcpOptions = McpOptions;

type OptionalServerOptions = 'fetch' | 'dpop';

export type ResolvedClientOptions = Required<Omit<ServerOptions, OptionalServerOptions>> &
  Pick<ServerOptions, OptionalServerOptions> & {
    /** Prints no secret, unlike what it was made of. */
    readonly authentication: AuthProvider | undefined;
  };

export interface ResolvedResourceOptions {
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly resourceMetadata: ResourceDescription;
  readonly allowedAlgorithms: readonly string[];
  readonly clockSkewSeconds: number;
  /** `Infinity`: no limit. */
  readonly maxTokenLifetimeSeconds: number;
  readonly maxTokenLength: number;
  readonly scopeHierarchy: ScopeHierarchy | undefined;
  readonly inboundDPoP: ResolvedInboundDPoP | undefined;
  readonly revocationChecker: RevocationChecker | undefined;
  readonly failClosed: boolean;
}

export interface ResolvedGuardOptions {
  readonly devMode: boolean;
  readonly enforceScopesOnAllRequests: boolean;
  readonly mcp: McpOptions;
  /** Legal settings that are probably not meant. */
  readonly warnings: readonly string[];
}

export interface ResolvedModuleOptions extends ResolvedGuardOptions {
  readonly client: ResolvedClientOptions;
  readonly resource: ResolvedResourceOptions;
  readonly selfCheck: boolean;
}

export interface ResolvedFurtherOptions extends ResolvedGuardOptions {
  readonly resource: ResolvedResourceOptions;
}

/** @throws ConfigurationError naming every problem. */
export function resolveClientOptions(
  options: ClientOptions,
  startup: 'lazy' | 'eager' = 'eager',
): ResolvedClientOptions {
  refuse(problemsOf(options, clientChecks, devModeOf(options)));
  return withClientDefaults(options, options.auth, startup);
}

/** @throws ConfigurationError naming every problem. */
export function resolveResourceOptions(
  options: ResourceOptions,
  devMode: boolean,
): ResolvedResourceOptions {
  refuse(resourceProblems(options, resourceChecks, devMode));
  return withResourceDefaults(options);
}

/** @throws ConfigurationError naming every problem of the whole module. */
export function resolveModuleOptions(options: AuthplaneModuleOptions): ResolvedModuleOptions {
  refuse(resourceProblems(options, moduleChecks, devModeOf(options)));
  const client = withClientDefaults(options, options.asCredentials, 'lazy');
  const resource = withResourceDefaults(options);
  return {
    client,
    resource,
    devMode: client.devMode,
    selfCheck: options.selfCheck ?? true,
    ...withGuardDefaults(options),
    warnings: [...serverWarnings(client), ...resourceWarnings(client, resource)],
  };
}

/**
 * @param main whose protection is the default.
 * @throws ConfigurationError naming every problem.
 */
export function resolveFurtherOptions(
  options: FurtherResourceOptions,
  main: ResolvedModuleOptions,
): ResolvedFurtherOptions {
  refuse(resourceProblems(options, furtherChecks, main.client.devMode));
  const resource = withResourceDefaults(options, main.resource);
  const { enforceScopesOnAllRequests = main.enforceScopesOnAllRequests } = options;
  return {
    resource,
    devMode: main.devMode,
    enforceScopesOnAllRequests,
    mcp: withMcpDefaults(options.mcp, main.mcp),
    warnings: resourceWarnings(main.client, resource).filter(
      (warning) => !main.warnings.includes(warning), // said already
    ),
  };
}

// ---- defaults ------------------------------------------------------------------------------------

function withClientDefaults(
  options: ServerOptions,
  credentials: AsCredentials | undefined,
  startup: 'lazy' | 'eager',
): ResolvedClientOptions {
  return {
    issuer: options.issuer,
    devMode: options.devMode ?? false,
    jwksRefreshSeconds: options.jwksRefreshSeconds ?? 300,
    metadataRefreshSeconds: options.metadataRefreshSeconds ?? 3600,
    maxStaleSeconds: options.maxStaleSeconds ?? 3600,
    startup: options.startup ?? startup,
    clock: options.clock ?? systemClock,
    authentication: credentials && clientAuthentication(credentials),
    requestTimeoutSeconds: options.requestTimeoutSeconds ?? 5,
    maxSockets: options.maxSockets ?? 32,
    cacheTtlBufferSeconds: options.cacheTtlBufferSeconds ?? 30,
    defaultTtlSeconds: options.defaultTtlSeconds ?? 3600,
    cacheMaxEntries: options.cacheMaxEntries ?? 10_000,
    circuitBreakerThreshold: options.circuitBreakerThreshold ?? 5,
    circuitBreakerCooldownSeconds: options.circuitBreakerCooldownSeconds ?? 30,
    consent: options.consent ?? {},
    onBackgroundFailure: harmless(options.onBackgroundFailure),
    ...(options.dpop === undefined ? {} : { dpop: options.dpop }),
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
  };
}

/** Tells the application; what its callback throws, at once or later, is nobody's failure. */
function harmless(
  tell: ServerOptions['onBackgroundFailure'],
): ResolvedClientOptions['onBackgroundFailure'] {
  const told = async (error: AuthplaneError): Promise<void> => tell?.(error);
  return (error) => void told(error).catch(() => undefined);
}

type ResourceDefaults = Omit<ResolvedResourceOptions, 'resource' | 'scopes' | 'resourceMetadata'>;

const RESOURCE_DEFAULTS: ResourceDefaults = {
  allowedAlgorithms: DEFAULT_ALGORITHMS,
  clockSkewSeconds: 60,
  maxTokenLifetimeSeconds: Infinity,
  maxTokenLength: 16_384,
  scopeHierarchy: undefined,
  inboundDPoP: undefined,
  revocationChecker: undefined,
  failClosed: true,
};

const DPOP_DEFAULTS: ResolvedInboundDPoP = {
  required: false,
  replayStore: undefined,
  maxProofAgeSeconds: 300,
  clockSkewSeconds: 30,
  allowedProofAlgorithms: DEFAULT_PROOF_ALGORITHMS,
  nonce: undefined,
  hasRandomNonceSecret: false,
  publicPathPrefix: '',
  strictHtu: false,
};

function withResourceDefaults(
  options: FurtherResourceOptions,
  defaults = RESOURCE_DEFAULTS,
): ResolvedResourceOptions {
  const { revocationChecker = defaults.revocationChecker } = options;
  return {
    resource: options.resource ?? joinUrl(options.baseUrl ?? '', options.mcpPath ?? '/mcp'),
    scopes: Object.freeze([...new Set(options.scopes ?? [])]),
    resourceMetadata: Object.freeze({ ...options.resourceMetadata }),
    allowedAlgorithms: listOr(options.allowedAlgorithms, defaults.allowedAlgorithms),
    clockSkewSeconds: options.clockSkewSeconds ?? defaults.clockSkewSeconds,
    maxTokenLifetimeSeconds: options.maxTokenLifetimeSeconds ?? defaults.maxTokenLifetimeSeconds,
    maxTokenLength: options.maxTokenLength ?? defaults.maxTokenLength,
    scopeHierarchy: options.scopeHierarchy ?? defaults.scopeHierarchy,
    inboundDPoP: withDPoPDefaults(options.inboundDPoP, defaults.inboundDPoP),
    revocationChecker: revocationChecker === false ? undefined : revocationChecker,
    failClosed: options.failClosed ?? defaults.failClosed,
  };
}

function withGuardDefaults({ enforceScopesOnAllRequests, mcp }: GuardOptions) {
  return { enforceScopesOnAllRequests: enforceScopesOnAllRequests ?? false, mcp: mcp ?? {} };
}

/** What operations need is said for each resource; the rest protects the endpoint as a whole. */
function withMcpDefaults(own: FurtherMcpOptions = {}, main: McpOptions): McpOptions {
  const { list = main.list, sessionBinding = main.sessionBinding } = own;
  const { allowedOrigins = main.allowedOrigins, unknownMethods = main.unknownMethods } = own;
  const { tools, resources, prompts, methods, hosts } = own;
  return {
    ...(tools === undefined ? {} : { tools }),
    ...(resources === undefined ? {} : { resources }),
    ...(prompts === undefined ? {} : { prompts }),
    ...(methods === undefined ? {} : { methods }),
    ...(hosts === undefined ? {} : { hosts }),
    ...(unknownMethods === undefined ? {} : { unknownMethods }),
    ...(list === undefined ? {} : { list }),
    ...(sessionBinding === undefined ? {} : { sessionBinding }),
    ...(allowedOrigins === undefined ? {} : { allowedOrigins }),
  };
}

function withDPoPDefaults(
  options: InboundDPoPOptions | false | undefined,
  main: ResolvedInboundDPoP | undefined,
): ResolvedInboundDPoP | undefined {
  if (options === false) return undefined;
  if (options === undefined) return main;
  const defaults = main ?? DPOP_DEFAULTS;
  const clockSkewSeconds = options.clockSkewSeconds ?? defaults.clockSkewSeconds;
  const { nonce } = options;
  return {
    required: options.required ?? defaults.required,
    replayStore: options.replayStore ?? defaults.replayStore,
    maxProofAgeSeconds: options.maxProofAgeSeconds ?? defaults.maxProofAgeSeconds,
    clockSkewSeconds,
    allowedProofAlgorithms: listOr(options.allowedProofAlgorithms, defaults.allowedProofAlgorithms),
    nonce: nonce === undefined ? defaults.nonce : noncesOf(nonce, clockSkewSeconds),
    hasRandomNonceSecret:
      nonce === undefined ? defaults.hasRandomNonceSecret : isRandomSecret(nonce),
    publicPathPrefix: options.publicPathPrefix ?? defaults.publicPathPrefix,
    strictHtu: options.strictHtu ?? defaults.strictHtu,
  };
}

/** A copy: later changes of the list change nothing. */
function listOr(given: readonly string[] | undefined, byDefault: readonly string[]) {
  return Object.freeze([...(given ?? byDefault)]);
}

function noncesOf(
  nonce: boolean | DPoPNonceOptions,
  clockSkewSeconds: number,
): ResolvedInboundDPoP['nonce'] {
  if (nonce === false) return undefined;
  const settings = nonce === true ? {} : nonce;
  return (clock) => new DPoPNonces({ ...settings, clockSkewSeconds, clock });
}

function isRandomSecret(nonce: boolean | DPoPNonceOptions): boolean {
  return typeof nonce === 'boolean' ? nonce : nonce.secret === undefined;
}

function joinUrl(baseUrl: string, path: string): string {
  return `${baseUrl.replace(/\/+$/, '')}${path}`;
}

// ---- checks --------------------------------------------------------------------------------------

/** Also for `withConsent`, which takes the same options. */
export const consentChecks: Record<keyof ConsentPageOptions, Check> = {
  allowedOrigins: webOriginListProblem,
  retryDelaysMs: pauses(10, 30_000),
};

const serverChecks: Record<keyof ServerOptions, Check> = {
  issuer: issuerProblem,
  devMode: booleanProblem,
  jwksRefreshSeconds: seconds(1, 86_400),
  metadataRefreshSeconds: seconds(1, 86_400),
  maxStaleSeconds: seconds(0, 604_800),
  startup: oneOf('lazy', 'eager'),
  fetch: functionProblem,
  onBackgroundFailure: functionProblem,
  clock: (value) =>
    typeof (value as Clock | null)?.now === 'function' &&
    typeof (value as Clock | null)?.elapsed === 'function'
      ? undefined
      : 'must be an object with now and elapsed',
  dpop: (value) =>
    typeof (value as ProofSigner | null)?.proof === 'function' ? undefined : 'must be a DPoPSigner',
  requestTimeoutSeconds: seconds(1, 60),
  maxSockets: count(1, 10_000),
  cacheTtlBufferSeconds: seconds(0, 3600),
  defaultTtlSeconds: seconds(0, 86_400),
  cacheMaxEntries: count(1, 1_000_000),
  circuitBreakerThreshold: count(1, 1000),
  circuitBreakerCooldownSeconds: seconds(1, 3600),
  consent: nested(consentChecks),
};

const clientChecks: Record<keyof ClientOptions, Check> = {
  ...serverChecks,
  auth: credentialsProblem,
};

const nonceChecks: Record<keyof DPoPNonceOptions, Check> = {
  secret: nonceSecretProblem,
  previousSecret: nonceSecretProblem,
  ttlSeconds: seconds(2, 86_400),
};

const inboundDPoPChecks: Record<keyof InboundDPoPOptions, Check> = {
  required: booleanProblem,
  replayStore: (value) =>
    typeof (value as DPoPReplayStore | null)?.checkAndStore === 'function'
      ? undefined
      : 'must have a method checkAndStore',
  maxProofAgeSeconds: seconds(1, 3600),
  clockSkewSeconds: seconds(0, 120),
  allowedProofAlgorithms: algorithmsProblem(SUPPORTED_PROOF_ALGORITHMS),
  nonce: switchOr(nonceChecks),
  publicPathPrefix: pathProblem,
  strictHtu: booleanProblem,
};

const resourceChecks: Record<keyof ResourceOptions, Check> = {
  resource: publicUrlProblem,
  baseUrl: baseUrlProblem,
  mcpPath: mcpPathProblem,
  scopes: scopeListProblem,
  resourceMetadata: descriptionProblem,
  allowedAlgorithms: algorithmsProblem(SUPPORTED_ALGORITHMS),
  clockSkewSeconds: seconds(0, 120),
  maxTokenLifetimeSeconds: seconds(60, 31_536_000),
  maxTokenLength: count(1024, 131_072),
  scopeHierarchy: hierarchyProblem,
  inboundDPoP: nested(inboundDPoPChecks),
  revocationChecker: (value) =>
    value === 'introspection' || typeof value === 'function'
      ? undefined
      : "must be 'introspection' or a function",
  failClosed: booleanProblem,
};

const mcpChecks: Record<keyof McpOptions, Check> = {
  tools: mapOf(requirementProblem),
  resources: mapOf(requirementProblem),
  prompts: mapOf(requirementProblem),
  methods: mapOf(requirementProblem),
  unknownMethods: oneOf('pass', 'refuse'),
  list: oneOf('show', 'hide'),
  sessionBinding: booleanProblem,
  allowedOrigins: orFalse(originListProblem),
  hosts: hostsProblem,
};

const guardChecks: Record<keyof GuardOptions, Check> = {
  enforceScopesOnAllRequests: booleanProblem,
  mcp: nested(mcpChecks),
};

const furtherChecks: Record<keyof FurtherResourceOptions, Check> = {
  ...resourceChecks,
  ...guardChecks,
  inboundDPoP: orFalse(resourceChecks.inboundDPoP),
  revocationChecker: orFalse(resourceChecks.revocationChecker),
  mcp: nested(mcpChecks),
};

const moduleChecks: Record<keyof AuthplaneModuleOptions, Check> = {
  ...serverChecks,
  ...resourceChecks,
  ...guardChecks,
  asCredentials: credentialsProblem,
  selfCheck: booleanProblem,
};

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigurationError(problems);
}

function devModeOf(options: ServerOptions | undefined): boolean {
  return options?.devMode === true;
}

function resourceProblems(
  options: FurtherResourceOptions | undefined,
  checks: Readonly<Record<string, Check>>,
  devMode: boolean,
): string[] {
  const problems = problemsOf(options, checks, devMode);
  if (options?.resource === undefined && options?.baseUrl === undefined) {
    problems.push(
      'resource: give either resource, or baseUrl (with mcpPath, default "/mcp"); ' +
        'authplaneOptionsFromEnv() takes them from AUTHPLANE_RESOURCE and AUTHPLANE_BASE_URL',
    );
  }
  if (problems.length > 0 || options?.baseUrl === undefined) return problems;
  const joined = publicUrlProblem(joinUrl(options.baseUrl, options.mcpPath ?? '/mcp'), devMode);
  return joined === undefined ? problems : [`baseUrl and mcpPath: ${joined}`];
}
