import {
  baseUrlProblem,
  documentUrlProblem,
  mcpPathProblem,
  publicUrlProblem,
  scopeListProblem,
} from './lib/option-checks.js';
import { checksOf, type Settings, withDefaults } from './lib/settings.js';
import { CallbackError } from './errors/request-errors.js';
import { ConfigurationError } from './errors/configuration-error.js';
import {
  descriptionProblem,
  type ResourceDescription,
  resourceMetadataUrl,
} from './resource-metadata.js';
import { joinedUrl, UNRESOLVED_RESOURCE } from './names/settings.js';

/** A URL, or what gives the one of each resource from its URI. */
export type MetadataUrlOption = string | ((resource: string) => string);

/** What is protected, and what is said of it. */
export interface ResourceIdentityOptions {
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
  /**
   * Where somebody else hosts the metadata document of this resource, such as the authorization server:
   * challenges name this URL (https; http with `devMode`) instead of the one of this application. A function
   * gets the resource URI, once, at the start; with several resources it has to be one. Default: the URL
   * where this application serves it.
   */
  readonly resourceMetadataUrl?: MetadataUrlOption;
}

/** {@link ResourceIdentityOptions} with their defaults. */
export interface ResolvedResourceIdentity {
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly resourceMetadata: ResourceDescription;
  /** As it was given, for further resources. */
  readonly resourceMetadataUrl: MetadataUrlOption | undefined;
  /** What challenges name. */
  readonly metadataUrl: string;
  /** The same for another resource. @throws CallbackError */
  readonly metadataUrlAt: (resource: string) => string;
}

type Settled = ResourceIdentityOptions &
  Required<Pick<ResourceIdentityOptions, 'mcpPath' | 'scopes' | 'resourceMetadata'>>;

const SETTINGS: Settings<Settled> = {
  resource: { check: publicUrlProblem },
  baseUrl: { check: baseUrlProblem },
  mcpPath: { check: mcpPathProblem, byDefault: '/mcp' },
  scopes: { check: scopeListProblem, byDefault: [] },
  resourceMetadata: { check: descriptionProblem, byDefault: {} },
  resourceMetadataUrl: { check: metadataUrlProblem },
};

export const resourceIdentityChecks = checksOf(SETTINGS);

/**
 * @param main of the main resource, whose `resourceMetadataUrl` is for all.
 * @throws ConfigurationError for a `resourceMetadataUrl` that does not say which document is this resource's.
 */
export function withResourceIdentityDefaults(
  options: ResourceIdentityOptions,
  devMode: boolean,
  main?: ResolvedResourceIdentity,
): ResolvedResourceIdentity {
  const { scopes, resourceMetadata, ...where } = withDefaults(SETTINGS, options);
  const resource = where.resource ?? joinedUrl(where.baseUrl ?? '', where.mcpPath);
  const hosted = main === undefined ? where.resourceMetadataUrl : forSeveral(main);
  return {
    resource,
    scopes: Object.freeze([...new Set(scopes)]),
    resourceMetadata: Object.freeze({ ...resourceMetadata }),
    resourceMetadataUrl: hosted,
    metadataUrl: metadataUrlOf(hosted, resource, devMode),
    metadataUrlAt: (uri) => memberMetadataUrl(hosted, uri, devMode),
  };
}

function metadataUrlOf(
  hosted: MetadataUrlOption | undefined,
  resource: string,
  devMode: boolean,
): string {
  const isKnown = resource !== UNRESOLVED_RESOURCE;
  return (isKnown && hostedAt(hosted, resource, devMode)) || resourceMetadataUrl(resource);
}

/** Of a resource that a request has asked for: no fault of the application must stop more than that. */
function memberMetadataUrl(...asked: Parameters<typeof metadataUrlOf>): string {
  try {
    return metadataUrlOf(...asked);
  } catch (cause) {
    throw new CallbackError('resourceMetadataUrl failed', { cause });
  }
}

function metadataUrlProblem(value: unknown, devMode: boolean): string | undefined {
  return typeof value === 'function' ? undefined : documentUrlProblem(value, devMode);
}

/** One document describes one resource (RFC 9728 §3.3). */
function forSeveral({ resourceMetadataUrl }: ResolvedResourceIdentity) {
  if (typeof resourceMetadataUrl !== 'string') return resourceMetadataUrl;
  throw new ConfigurationError(
    'resourceMetadataUrl: is one URL for several resources; give forRoot a function of the resource: ' +
      '(resource) => url',
  );
}

function hostedAt(
  hosted: MetadataUrlOption | undefined,
  resource: string,
  devMode: boolean,
): string | undefined {
  if (typeof hosted !== 'function') return hosted;
  const url: unknown = hosted(resource);
  const problem = documentUrlProblem(url, devMode);
  if (problem === undefined) return String(url);
  throw new ConfigurationError(`resourceMetadataUrl: of ${resource} ${problem}`);
}
