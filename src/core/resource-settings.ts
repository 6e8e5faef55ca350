import {
  baseUrlProblem,
  mcpPathProblem,
  publicUrlProblem,
  scopeListProblem,
} from './lib/option-checks.js';
import { checksOf, type Settings, withDefaults } from './lib/settings.js';
import { descriptionProblem, type ResourceDescription } from './resource-metadata.js';

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
}

/** {@link ResourceIdentityOptions} with their defaults. */
export interface ResolvedResourceIdentity {
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly resourceMetadata: ResourceDescription;
}

type Settled = ResourceIdentityOptions &
  Required<Pick<ResourceIdentityOptions, 'mcpPath' | 'scopes' | 'resourceMetadata'>>;

const SETTINGS: Settings<Settled> = {
  resource: { check: publicUrlProblem },
  baseUrl: { check: baseUrlProblem },
  mcpPath: { check: mcpPathProblem, byDefault: '/mcp' },
  scopes: { check: scopeListProblem, byDefault: [] },
  resourceMetadata: { check: descriptionProblem, byDefault: {} },
};

export const resourceIdentityChecks = checksOf(SETTINGS);

export function withResourceIdentityDefaults(
  options: ResourceIdentityOptions,
): ResolvedResourceIdentity {
  const { scopes, resourceMetadata, ...where } = withDefaults(SETTINGS, options);
  return {
    resource: where.resource ?? joinedUrl(where),
    scopes: Object.freeze([...new Set(scopes)]),
    resourceMetadata: Object.freeze({ ...resourceMetadata }),
  };
}

/** The options may be none at all. */
export function missingResourceProblem(
  options: ResourceIdentityOptions | undefined,
): string | undefined {
  return options?.resource === undefined && options?.baseUrl === undefined
    ? 'resource: give either resource, or baseUrl (with mcpPath, default "/mcp"); ' +
        'authplaneOptionsFromEnv() takes them from AUTHPLANE_RESOURCE and AUTHPLANE_BASE_URL'
    : undefined;
}

/** What two parts that are good by themselves make together. */
export function joinedResourceProblem(
  options: ResourceIdentityOptions | undefined,
  devMode: boolean,
): string | undefined {
  if (options?.baseUrl === undefined) return undefined;
  const problem = publicUrlProblem(joinedUrl(withDefaults(SETTINGS, options)), devMode);
  return problem === undefined ? undefined : `baseUrl and mcpPath: ${problem}`;
}

function joinedUrl({ baseUrl = '', mcpPath }: Pick<Settled, 'baseUrl' | 'mcpPath'>): string {
  return `${baseUrl.replace(/\/+$/, '')}${mcpPath}`;
}
