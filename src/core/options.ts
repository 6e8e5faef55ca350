import cluster from 'node:cluster';
import { inspect } from 'node:util';
import { DEFAULT_ALGORITHMS, SUPPORTED_ALGORITHMS } from './algorithms.js';
import { type Clock, systemClock } from './clock.js';
import { type DPoPNonceOptions, DPoPNonces } from './dpop-nonce.js';
import { DEFAULT_PROOF_ALGORITHMS, SUPPORTED_PROOF_ALGORITHMS } from './dpop-key.js';
import { type AuthplaneError, ConfigurationError } from './errors.js';
import type { OutboundFetch } from './http.js';
import type { DPoPReplayStore } from './replay-store.js';
import { isScopeToken, type ScopeHierarchy } from './scopes.js';

/** How to reach and trust the authorization server. */
export interface ClientOptions {
  /** The issuer exactly as the authorization server announces it; compared byte for byte. */
  readonly issuer: string;
  /**
   * Allows `http:`, loopback and private addresses, for development only. Default `false`.
   * Everything else stays as strict as in production.
   */
  readonly devMode?: boolean;
  /** Age in seconds at which the key set is read again. Default 300; the reload starts at 80 %. */
  readonly jwksRefreshSeconds?: number;
  /** Age in seconds at which the metadata (RFC 8414) is read again. Default 3600; at 80 %, as above. */
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
   * Deadline, size cap, media type and the refusal of redirects still hold.
   */
  readonly fetch?: OutboundFetch;
  /** Told of failures that no caller sees: a background reload that failed. Must not throw. */
  readonly onBackgroundFailure?: (error: AuthplaneError) => void;
  /** Source of time, for tests. */
  readonly clock?: Clock;
}

/** What is protected, and which tokens are good for it. */
export interface ResourceOptions {
  /** The resource URI, which is the audience; compared byte for byte and never rewritten. */
  readonly resource?: string;
  /** Public base URL of this server; the resource is then `baseUrl` + `mcpPath`. */
  readonly baseUrl?: string;
  /** Path of the MCP endpoint below `baseUrl`. Default `/mcp`. */
  readonly mcpPath?: string;
  /** Scopes advertised in the protected resource metadata. Default none. */
  readonly scopes?: readonly string[];
  /** Signature algorithms of access tokens; asymmetric only. Default ES256, RS256, PS256, EdDSA. */
  readonly allowedAlgorithms?: readonly string[];
  /** Tolerance for `exp`, `nbf` and `iat` in seconds, 0 to 120. Default 60. */
  readonly clockSkewSeconds?: number;
  /** Scopes that imply others; honoured wherever scopes are compared. Default none. */
  readonly scopeHierarchy?: ScopeHierarchy;
  /** Switches DPoP on (RFC 9449); `{}` is enough. Default off: bound tokens are refused. */
  readonly inboundDPoP?: InboundDPoPOptions;
}

/** DPoP on requests to this resource (RFC 9449 §7). */
export interface InboundDPoPOptions {
  /** Takes only tokens that are bound to a key. Default `false`: bearer tokens too. */
  readonly required?: boolean;
  /**
   * Memory of used proofs, shared by all processes that serve the resource. Default: the memory of
   * this process, which is not enough for several.
   */
  readonly replayStore?: DPoPReplayStore;
  /** How old a proof may be by its `iat`, in seconds, 1 to 3600. Default 300. */
  readonly maxProofAgeSeconds?: number;
  /** Tolerance for `iat` and `exp` of a proof in seconds, 0 to 120. Default 30. */
  readonly clockSkewSeconds?: number;
  /** Default ES256, EdDSA, PS256, RS256. */
  readonly allowedProofAlgorithms?: readonly string[];
  /**
   * Asks for a nonce in every proof (RFC 9449 §9). `true`: with a random secret, good for a single
   * process; several need a shared `secret` of at least 32 bytes. Default off.
   */
  readonly nonce?: true | Omit<DPoPNonceOptions, 'clock'>;
  /** Path that a proxy in front takes off, such as `/api`: clients sign the public URL. Default none. */
  readonly publicPathPrefix?: string;
  /** Refuses an `htu` with query or fragment instead of leaving it out. Default `false`. */
  readonly strictHtu?: boolean;
}

/** Options of `AuthplaneModule`. */
export interface AuthplaneModuleOptions extends ClientOptions, ResourceOptions {
  /** Every guarded request needs every scope of `scopes`. Default `false`. */
  readonly enforceScopesOnAllRequests?: boolean;
}

export type ResolvedClientOptions = Required<Omit<ClientOptions, 'fetch' | 'onBackgroundFailure'>> &
  Pick<ClientOptions, 'fetch' | 'onBackgroundFailure'>;

export interface ResolvedResourceOptions {
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly allowedAlgorithms: readonly string[];
  readonly clockSkewSeconds: number;
  readonly scopeHierarchy: ScopeHierarchy | undefined;
  readonly inboundDPoP: ResolvedInboundDPoP | undefined;
}

export interface ResolvedInboundDPoP {
  readonly required: boolean;
  /** `undefined`: the memory of this process. */
  readonly replayStore: DPoPReplayStore | undefined;
  readonly maxProofAgeSeconds: number;
  readonly clockSkewSeconds: number;
  readonly allowedProofAlgorithms: readonly string[];
  readonly nonce: Omit<DPoPNonceOptions, 'clock'> | undefined;
  readonly publicPathPrefix: string;
  readonly strictHtu: boolean;
}

export interface ResolvedModuleOptions {
  readonly client: ResolvedClientOptions;
  readonly resource: ResolvedResourceOptions;
  readonly enforceScopesOnAllRequests: boolean;
  /** Legal settings that are probably not meant. */
  readonly warnings: readonly string[];
}

/** @throws ConfigurationError naming every problem. */
export function resolveClientOptions(
  options: ClientOptions,
  startup: 'lazy' | 'eager' = 'eager',
): ResolvedClientOptions {
  refuse(problemsOf(options, clientChecks, devModeOf(options)));
  return withClientDefaults(options, startup);
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
  const client = withClientDefaults(options, 'lazy');
  const resource = withResourceDefaults(options);
  return {
    client,
    resource,
    enforceScopesOnAllRequests: options.enforceScopesOnAllRequests ?? false,
    warnings: warningsFor(client, resource),
  };
}

/**
 * Options from `AUTHPLANE_ISSUER`, `AUTHPLANE_BASE_URL` or `AUTHPLANE_RESOURCE`, `AUTHPLANE_SCOPES`
 * (separated by blanks or commas) and `AUTHPLANE_DEV_MODE` (`true` or `false`). Unset and empty
 * variables leave the option out, so a missing one is named when the module checks its options.
 *
 * @throws ConfigurationError when `AUTHPLANE_DEV_MODE` is neither.
 */
export function authplaneOptionsFromEnv(
  env: Readonly<Record<string, string | undefined>> = process.env,
): AuthplaneModuleOptions {
  const scopes = env['AUTHPLANE_SCOPES']?.split(/[\s,]+/).filter((scope) => scope !== '');
  const devMode = booleanFromEnv('AUTHPLANE_DEV_MODE', env['AUTHPLANE_DEV_MODE']);
  return {
    issuer: env['AUTHPLANE_ISSUER'] ?? '',
    ...(env['AUTHPLANE_BASE_URL'] ? { baseUrl: env['AUTHPLANE_BASE_URL'] } : {}),
    ...(env['AUTHPLANE_RESOURCE'] ? { resource: env['AUTHPLANE_RESOURCE'] } : {}),
    ...(scopes === undefined ? {} : { scopes }),
    ...(devMode === undefined ? {} : { devMode }),
  };
}

function booleanFromEnv(name: string, value: string | undefined): boolean | undefined {
  if (value === undefined || value === '') return undefined;
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  throw new ConfigurationError(`${name}: write true or false`);
}

// ---- defaults ------------------------------------------------------------------------------------

function withClientDefaults(
  options: ClientOptions,
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
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    ...(options.onBackgroundFailure === undefined
      ? {}
      : { onBackgroundFailure: options.onBackgroundFailure }),
  };
}

function withResourceDefaults(options: ResourceOptions): ResolvedResourceOptions {
  return {
    resource: options.resource ?? joinUrl(options.baseUrl ?? '', options.mcpPath ?? '/mcp'),
    scopes: Object.freeze([...new Set(options.scopes ?? [])]),
    allowedAlgorithms: Object.freeze([...(options.allowedAlgorithms ?? DEFAULT_ALGORITHMS)]),
    clockSkewSeconds: options.clockSkewSeconds ?? 60,
    scopeHierarchy: options.scopeHierarchy,
    inboundDPoP: options.inboundDPoP && withDPoPDefaults(options.inboundDPoP),
  };
}

function withDPoPDefaults(options: InboundDPoPOptions): ResolvedInboundDPoP {
  const algorithms = options.allowedProofAlgorithms ?? DEFAULT_PROOF_ALGORITHMS;
  return {
    required: options.required ?? false,
    replayStore: options.replayStore,
    maxProofAgeSeconds: options.maxProofAgeSeconds ?? 300,
    clockSkewSeconds: options.clockSkewSeconds ?? 30,
    allowedProofAlgorithms: Object.freeze([...algorithms]),
    nonce: options.nonce === true ? {} : options.nonce,
    publicPathPrefix: options.publicPathPrefix ?? '',
    strictHtu: options.strictHtu ?? false,
  };
}

function joinUrl(baseUrl: string, path: string): string {
  return `${baseUrl.replace(/\/+$/, '')}${path}`;
}

function warningsFor(
  client: ResolvedClientOptions,
  { resource, scopes, inboundDPoP }: ResolvedResourceOptions,
) {
  const warnings: string[] = [];
  if (client.devMode) {
    warnings.push(
      'devMode is on: http, loopback and private addresses are accepted. Never use it in production',
    );
  }
  const { href } = new URL(resource);
  if (href !== resource) {
    warnings.push(
      `resource "${resource}" has an empty path; MCP clients write it "${href}", so tokens may carry ` +
        `that audience and be refused. Register and configure "${href}", or use a path`,
    );
  }
  if (scopes.includes('offline_access')) {
    warnings.push(
      'scopes: offline_access is for clients to ask for, not for a resource to advertise',
    );
  }
  // How many processes serve the resource cannot be seen from inside one of them.
  if (
    inboundDPoP?.replayStore === undefined &&
    inboundDPoP &&
    (cluster.isWorker || !client.devMode)
  ) {
    warnings.push(
      'inboundDPoP: used proofs are remembered in the memory of this process only. With several ' +
        'processes or hosts a stolen proof works once in each: set replayStore (authplane-nestjs/redis)',
    );
  }
  return warnings;
}

// ---- checks --------------------------------------------------------------------------------------

/** Says what is wrong with a value that is present, or nothing. */
type Check = (value: unknown, devMode: boolean) => string | undefined;

const clientChecks: Record<keyof ClientOptions, Check> = {
  issuer: issuerProblem,
  devMode: isBoolean,
  jwksRefreshSeconds: seconds(1, 86_400),
  metadataRefreshSeconds: seconds(1, 86_400),
  maxStaleSeconds: seconds(0, 604_800),
  startup: oneOf('lazy', 'eager'),
  fetch: isFunction,
  onBackgroundFailure: isFunction,
  clock: (value) =>
    typeof (value as Clock | null)?.now === 'function' &&
    typeof (value as Clock | null)?.elapsed === 'function'
      ? undefined
      : 'must be an object with now and elapsed',
};

const inboundDPoPChecks: Record<keyof InboundDPoPOptions, Check> = {
  required: isBoolean,
  replayStore: (value) =>
    typeof (value as DPoPReplayStore | null)?.checkAndStore === 'function'
      ? undefined
      : 'must have a method checkAndStore',
  maxProofAgeSeconds: seconds(1, 3600),
  clockSkewSeconds: seconds(0, 120),
  allowedProofAlgorithms: algorithmsProblem(SUPPORTED_PROOF_ALGORITHMS),
  nonce: nonceProblem,
  publicPathPrefix: pathProblem,
  strictHtu: isBoolean,
};

const resourceChecks: Record<keyof ResourceOptions, Check> = {
  resource: publicUrlProblem,
  baseUrl: baseUrlProblem,
  mcpPath: pathProblem,
  scopes: scopeListProblem,
  allowedAlgorithms: algorithmsProblem(SUPPORTED_ALGORITHMS),
  clockSkewSeconds: seconds(0, 120),
  scopeHierarchy: hierarchyProblem,
  inboundDPoP: nested(inboundDPoPChecks),
};

const moduleChecks: Record<keyof AuthplaneModuleOptions, Check> = {
  ...clientChecks,
  ...resourceChecks,
  enforceScopesOnAllRequests: isBoolean,
};

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigurationError(problems);
}

function devModeOf(options: ClientOptions | undefined): boolean {
  return options?.devMode === true;
}

function problemsOf(
  options: object | undefined,
  checks: Readonly<Record<string, Check>>,
  devMode: boolean,
): string[] {
  if (typeof options !== 'object' || options === null) return ['the options must be an object'];
  const problems = Object.entries(options).flatMap(([name, value]) => {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) return [unknownOption(name, Object.keys(checks))];
    if (value === undefined) return [];
    const problem = check(value, devMode);
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
  const issuerMissing =
    'issuer' in checks && !('issuer' in options && options.issuer !== undefined);
  return issuerMissing ? ['issuer: is required', ...problems] : problems;
}

function resourceProblems(
  options: ResourceOptions | undefined,
  checks: Readonly<Record<string, Check>>,
  devMode: boolean,
): string[] {
  const problems = problemsOf(options, checks, devMode);
  if (options?.resource === undefined && options?.baseUrl === undefined) {
    problems.push('resource: give either resource, or baseUrl (with mcpPath, default "/mcp")');
  }
  if (problems.length > 0 || options?.baseUrl === undefined) return problems;
  const joined = publicUrlProblem(joinUrl(options.baseUrl, options.mcpPath ?? '/mcp'), devMode);
  return joined === undefined ? problems : [`baseUrl and mcpPath: ${joined}`];
}

/** A misspelt option would otherwise be a protection that silently is not there. */
function unknownOption(name: string, known: readonly string[]): string {
  const plain = (text: string) => text.replaceAll('_', '').toLowerCase();
  const meant = known.find((option) => plain(option) === plain(name));
  return meant === undefined
    ? `${name}: unknown option`
    : `${name}: unknown option; did you mean ${meant}?`;
}

function issuerProblem(value: unknown, devMode: boolean): string | undefined {
  const problem = urlProblem(value, devMode);
  if (problem !== undefined) return problem;
  return String(value).includes('?') ? 'must have no query (RFC 8414 §2)' : undefined;
}

/** The resource goes into documents that clients normalise, so it has to be normal already. */
function publicUrlProblem(value: unknown, devMode: boolean): string | undefined {
  const problem = urlProblem(value, devMode);
  if (problem !== undefined) return problem;
  const { href } = new URL(String(value));
  return href === value || href === `${String(value)}/`
    ? undefined
    : `"${String(value)}" is written "${href}" by clients; configure and register exactly that`;
}

function baseUrlProblem(value: unknown, devMode: boolean): string | undefined {
  const problem = publicUrlProblem(value, devMode);
  if (problem !== undefined) return problem;
  return String(value).includes('?') ? 'must have no query' : undefined;
}

function urlProblem(value: unknown, devMode: boolean): string | undefined {
  if (typeof value !== 'string' || value === '') return 'must be an absolute URL';
  if (/[^\x21-\x7e]/.test(value)) return 'must be printable ASCII without blanks';
  if (!URL.canParse(value) || !/^https?:\/\//i.test(value)) {
    return `must be an absolute https URL, got "${value.slice(0, 200)}"`;
  }
  const url = new URL(value);
  if (url.username !== '' || url.password !== '') return 'must not contain user name or password';
  if (value.includes('#')) return 'must have no fragment';
  if (url.protocol === 'http:' && !devMode) {
    return `must use https, got "${value.slice(0, 200)}"; for local development set devMode: true`;
  }
  return undefined;
}

function seconds(min: number, max: number): Check {
  return (value) =>
    typeof value === 'number' && value >= min && value <= max
      ? undefined
      : `must be a number of seconds from ${min} to ${max}`;
}

function oneOf(...allowed: readonly string[]): Check {
  return (value) =>
    allowed.includes(value as string)
      ? undefined
      : `must be one of ${allowed.map((name) => `'${name}'`).join(', ')}`;
}

function isBoolean(value: unknown): string | undefined {
  return typeof value === 'boolean' ? undefined : 'must be true or false';
}

function isFunction(value: unknown): string | undefined {
  return typeof value === 'function' ? undefined : 'must be a function';
}

function scopeListProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return 'must be a list of scope strings';
  const bad = value.findIndex((scope) => !isScopeToken(scope)); // the bad one may be undefined
  return bad === -1
    ? undefined
    : `${inspect(value[bad])} is not a scope: printable ASCII without blank, quote and backslash (RFC 6749 §3.3)`;
}

function algorithmsProblem(supported: readonly string[]): Check {
  return (value) => {
    if (!Array.isArray(value) || value.length === 0) {
      return 'must be a list with at least one entry';
    }
    const bad = value.findIndex((alg) => !supported.includes(alg as string));
    return bad === -1
      ? undefined
      : `${inspect(value[bad])} is not allowed; choose from ${supported.join(', ')}`;
  };
}

function pathProblem(value: unknown): string | undefined {
  return typeof value === 'string' && /^\/[^?#\s]*$/.test(value)
    ? undefined
    : 'must be a path that starts with "/", without query and fragment';
}

function nonceProblem(value: unknown): string | undefined {
  if (value === true) return undefined;
  try {
    new DPoPNonces(value as DPoPNonceOptions);
    return undefined;
  } catch (error) {
    return error instanceof ConfigurationError
      ? error.problems.join('; ')
      : 'must be true or an object';
  }
}

/** Options inside an option. */
function nested(checks: Readonly<Record<string, Check>>): Check {
  return (value, devMode) =>
    typeof value === 'object' && value !== null
      ? problemsOf(value, checks, devMode).join('; ') || undefined
      : 'must be an object';
}

function hierarchyProblem(value: unknown): string | undefined {
  if (typeof value === 'function') return undefined;
  if (typeof value !== 'object' || value === null) return 'must be a table or a function';
  const bad = Object.entries(value).find(([, implied]) => scopeListProblem(implied) !== undefined);
  return bad === undefined ? undefined : `"${bad[0]}": ${scopeListProblem(bad[1])}`;
}
