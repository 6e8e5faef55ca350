import { ConfigurationError } from './errors/configuration-error.js';
import {
  discoveryChecks,
  type DiscoveryOptions,
  type ResolvedDiscovery,
  withDiscoveryDefaults,
} from './discovery/settings.js';
import {
  type InboundDPoPOptions,
  inboundDPoPChecks,
  type ResolvedInboundDPoP,
  withDPoPDefaults,
} from './dpop/settings.js';
import { OUTBOUND_SETTINGS, type OutboundOptions, type ResolvedOutbound } from './http/settings.js';
import { type Clock, clockProblem, systemClock } from './lib/clock.js';
import { booleanProblem, type Check, nested, orFalse, problemsOf } from './lib/option-checks.js';
import { checksOf, type Settings, withDefaults } from './lib/settings.js';
import { mcpChecks, type McpOptions, withMcpDefaults } from './mcp/settings.js';
import {
  type AsCredentials,
  type AuthProvider,
  clientAuthentication,
  credentialsProblem,
} from './calls/client-authentication.js';
import {
  OPERATIONS_SETTINGS,
  type OperationsOptions,
  type ResolvedOperations,
  type ResolvedRevocation,
  revocationChecks,
  type RevocationChecker,
  type RevocationOptions,
  withRevocationDefaults,
} from './operations/settings.js';
import { resourceWarnings, serverWarnings } from './option-warnings.js';
import { CALLER_SETTINGS, callerChecks, type CallerOptions } from './caller-settings.js';
import {
  type ResolvedResourceIdentity,
  resourceIdentityChecks,
  type ResourceIdentityOptions,
  withResourceIdentityDefaults,
} from './resource-settings.js';
import {
  asOneResource,
  type OneResource,
  type ResolvedNames,
  resourceNamesChecks,
  type ResourceNamesOptions,
  resourceProblems,
  withNames,
} from './names/settings.js';
import { type ResolvedToken, TOKEN_SETTINGS, type TokenOptions } from './token/settings.js';

/*
 * What the subjects have as options, put together. An option has its type, its default and its check in
 * the settings of its subject; here is what belongs to none.
 */

/** How to reach, trust and use the authorization server. */
interface ServerOptions extends DiscoveryOptions, OutboundOptions, OperationsOptions {
  /** Source of time, for tests. Default: the system's. */
  readonly clock?: Clock;
  /**
   * With `devMode` only: refusals say in `error_description` why exactly, which otherwise only the log does.
   * Nothing of what the authorization server said is in it. Default `false`.
   */
  readonly verboseErrors?: boolean;
}

/** Options of `AuthplaneClient.create`. */
export interface ClientOptions extends ServerOptions {
  /** How this server authenticates, for every call that needs it. Default: it does not. */
  readonly auth?: AsCredentials;
}

/** What is protected, and which tokens are good for it. */
export interface ResourceOptions extends ResourceIdentityOptions, TokenOptions, RevocationOptions {
  /** Switches DPoP on (RFC 9449); `{}` is enough. Default off: bound tokens are refused. */
  readonly inboundDPoP?: InboundDPoPOptions;
}

/** What guards need to know of a resource besides the resource itself. */
interface GuardOptions extends CallerOptions {
  /** Every guarded request needs every scope of `scopes`. Default `false`. */
  readonly enforceScopesOnAllRequests?: boolean;
  /**
   * The MCP endpoint: scopes of single tools, resources and prompts, sessions, origins. `false`: this resource
   * is none; its handlers are guarded as any others, and no body is read. Default `{}`.
   */
  readonly mcp?: McpOptions | false;
}

/** What an application protects: one resource, or one for each of its names or paths. */
interface ApplicationOptions
  extends Omit<ResourceOptions, keyof ResourceNamesOptions>, ResourceNamesOptions, GuardOptions {}

/** Options of `AuthplaneModule`. */
export interface AuthplaneModuleOptions extends ServerOptions, ApplicationOptions {
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
 * `inboundDPoP`; what may be `false` is then switched off. Its own are `resource`, `baseUrl`, `mcpPath`, `isResource`,
 * `scopes`, `resourceMetadata` and the
 * `tools`, `resources`, `prompts` and `methods` of `mcp`.
 */
export interface FurtherResourceOptions extends Omit<
  ApplicationOptions,
  'inboundDPoP' | 'revocationChecker' | 'mcp' | 'resourceMetadataUrl'
> {
  /** `false` switches DPoP off for this resource. Default: as the main one. */
  readonly inboundDPoP?: InboundDPoPOptions | false;
  /** `false`: nobody is asked about tokens for this resource. Default: as the main one. */
  readonly revocationChecker?: RevocationChecker | false;
  /**
   * Rules of its MCP endpoint; `false`: it is none. Default: those of the main one that are not about names,
   * or `false` where it says so.
   */
  readonly mcp?: FurtherMcpOptions | false;
}

/** {@link McpOptions} of a further resource. */
export type FurtherMcpOptions = McpOptions;

export interface ResolvedClientOptions
  extends ResolvedDiscovery, ResolvedOutbound, ResolvedOperations {
  readonly clock: Clock;
  readonly verboseErrors: boolean;
  /** Prints no secret, unlike what it was made of. */
  readonly authentication: AuthProvider | undefined;
}

export interface ResolvedResourceOptions
  extends ResolvedResourceIdentity, ResolvedToken, ResolvedRevocation {
  readonly inboundDPoP: ResolvedInboundDPoP | undefined;
}

export interface ResolvedGuardOptions
  extends Required<Omit<GuardOptions, keyof CallerOptions>>, CallerOptions {
  readonly devMode: boolean;
  /** Legal settings that are probably not meant. */
  readonly warnings: readonly string[];
}

/** A resource of an application. */
export interface ResolvedApplicationOptions extends ResolvedGuardOptions {
  /** Of several, the first that is known. */
  readonly resource: ResolvedResourceOptions;
  /** Where there are several. */
  readonly names: ResolvedNames | undefined;
}

export interface ResolvedModuleOptions extends ResolvedApplicationOptions {
  readonly client: ResolvedClientOptions;
  readonly selfCheck: boolean;
}

export type ResolvedFurtherOptions = ResolvedApplicationOptions;

const SERVER_SETTINGS: Settings<Required<Pick<ServerOptions, 'clock' | 'verboseErrors'>>> = {
  clock: { check: clockProblem, byDefault: systemClock },
  verboseErrors: { check: verboseErrorsProblem, byDefault: false },
};

const GUARD_SETTINGS: Settings<Required<Omit<GuardOptions, 'mcp' | keyof CallerOptions>>> = {
  enforceScopesOnAllRequests: { check: booleanProblem, byDefault: false },
};

const MODULE_SETTINGS: Settings<Required<Pick<AuthplaneModuleOptions, 'selfCheck'>>> = {
  selfCheck: { check: booleanProblem, byDefault: true },
};

/** @throws ConfigurationError naming every problem. */
export function resolveClientOptions(
  options: ClientOptions,
  startup: 'lazy' | 'eager' = 'eager',
): ResolvedClientOptions {
  requireNone(problemsOf(options, clientChecks, devModeOf(options)));
  return withClientDefaults(options, options.auth, startup);
}

/** @throws ConfigurationError naming every problem. */
export function resolveResourceOptions(
  options: ResourceOptions,
  devMode: boolean,
): ResolvedResourceOptions {
  requireNone(resourceProblems(options, resourceChecks, devMode));
  return withResourceDefaults(options, devMode);
}

/** @throws ConfigurationError naming every problem of the whole module. */
export function resolveModuleOptions(options: AuthplaneModuleOptions): ResolvedModuleOptions {
  requireNone(resourceProblems(options, moduleChecks, devModeOf(options)));
  const client = withClientDefaults(options, options.asCredentials, 'lazy');
  const names = withNames(options, client.devMode);
  const resource = withResourceDefaults(asOneResource(options, names), client.devMode);
  return {
    client,
    resource,
    names,
    devMode: client.devMode,
    ...withDefaults(MODULE_SETTINGS, options),
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
  requireNone(resourceProblems(options, furtherChecks, main.client.devMode));
  const names = withNames(options, main.devMode);
  const resource = withResourceDefaults(asOneResource(options, names), main.devMode, main.resource);
  return {
    resource,
    names,
    devMode: main.devMode,
    ...withGuardDefaults(options, main),
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
    ...withDiscoveryDefaults(options, { startup }),
    ...withDefaults(OUTBOUND_SETTINGS, options),
    ...withDefaults(OPERATIONS_SETTINGS, options),
    ...withDefaults(SERVER_SETTINGS, options),
    authentication: credentials && clientAuthentication(credentials),
  };
}

function withResourceDefaults(
  options: OneResource<FurtherResourceOptions>,
  devMode: boolean,
  main?: ResolvedResourceOptions,
): ResolvedResourceOptions {
  return {
    ...withResourceIdentityDefaults(options, devMode, main),
    ...withDefaults(TOKEN_SETTINGS, options, main),
    ...withRevocationDefaults(options, main),
    inboundDPoP: withDPoPDefaults(options.inboundDPoP, main?.inboundDPoP),
  };
}

function withGuardDefaults(
  options: GuardOptions,
  main?: ResolvedGuardOptions,
): Omit<ResolvedGuardOptions, 'devMode' | 'warnings'> {
  return {
    ...withDefaults(CALLER_SETTINGS, options, main),
    ...withDefaults(GUARD_SETTINGS, options, main),
    mcp: withMcpDefaults(options.mcp, main?.mcp),
  };
}

// ---- checks --------------------------------------------------------------------------------------

const serverChecks: Record<keyof ServerOptions, Check> = {
  ...discoveryChecks,
  ...checksOf(OUTBOUND_SETTINGS),
  ...checksOf(OPERATIONS_SETTINGS),
  ...checksOf(SERVER_SETTINGS),
};

const clientChecks: Record<keyof ClientOptions, Check> = {
  ...serverChecks,
  auth: credentialsProblem,
};

const resourceChecks: Record<keyof ResourceOptions, Check> = {
  ...resourceIdentityChecks,
  ...checksOf(TOKEN_SETTINGS),
  ...revocationChecks,
  inboundDPoP: nested(inboundDPoPChecks),
};

const guardChecks: Record<keyof GuardOptions, Check> = {
  ...callerChecks,
  ...checksOf(GUARD_SETTINGS),
  mcp: orFalse(nested(mcpChecks)),
};

const furtherChecks: Record<keyof FurtherResourceOptions | 'resourceMetadataUrl', Check> = {
  ...resourceChecks,
  ...resourceNamesChecks,
  ...guardChecks,
  resourceMetadataUrl: () =>
    'is said for all resources at once: give forRoot a function of the resource',
  inboundDPoP: orFalse(resourceChecks.inboundDPoP),
  revocationChecker: orFalse(resourceChecks.revocationChecker),
};

export const moduleChecks: Record<keyof AuthplaneModuleOptions, Check> = {
  ...serverChecks,
  ...resourceChecks,
  ...resourceNamesChecks,
  ...guardChecks,
  ...checksOf(MODULE_SETTINGS),
  asCredentials: credentialsProblem,
};

/** What it shows helps an attacker as much as a developer. */
function verboseErrorsProblem(value: unknown, devMode: boolean): string | undefined {
  const isOff = value === false || devMode;
  return booleanProblem(value) ?? (isOff ? undefined : 'is for development: needs devMode: true');
}

function requireNone(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigurationError(problems);
}

function devModeOf(options: ServerOptions | undefined): boolean {
  return options?.devMode === true;
}
