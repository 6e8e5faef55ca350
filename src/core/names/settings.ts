import { CallbackError } from '../errors/request-errors.js';
import {
  baseUrlProblem,
  type Check,
  functionProblem,
  pathProblem,
  problemsOf,
  publicUrlProblem,
} from '../lib/option-checks.js';
import { hostName } from './host-name.js';
import {
  hasParameters,
  type PathParams,
  PathTemplate,
  pathTemplateProblem,
} from './path-template.js';

/**
 * The public base URL of this server under a host name, which comes in lower case and without port;
 * `undefined` for a name that is none of this server's.
 */
export type BaseUrlLookup = (host: string) => string | undefined | Promise<string | undefined>;

/** Whether there is a resource with these values of the parameters of its path; only `true` is yes. */
export type ResourceLookup = (params: PathParams) => boolean | Promise<boolean>;

/** Where the resources of an application are that has several names, or a resource for each path. */
export interface ResourceNamesOptions {
  /**
   * Public base URL of this server; the resource is then `baseUrl` + `mcpPath`. Without it `resource` is
   * required.
   *
   * A list, or a function of the host name, where the application has several public names: each is a
   * resource of its own, and a request belongs to the one that it was sent to, by the platform's
   * `request.hostname`. Any other name gets 404. The function has 5 seconds; a URL is kept for 60 seconds,
   * `undefined` for 10.
   */
  readonly baseUrl?: string | readonly string[] | BaseUrlLookup;
  /**
   * Path of the MCP endpoint below `baseUrl`. Default `/mcp`. With parameters, such as `/mcp/:profile`,
   * each path is a resource of its own, and {@link isResource} is required.
   */
  readonly mcpPath?: string;
  /**
   * Which values of the parameters of `mcpPath` there are; any other path gets 404. Asked only for values
   * of 1 to 128 letters, digits, `.`, `_`, `~` and `-`. It has 5 seconds; yes is kept for 60 seconds, no
   * for 10. Default none; required with parameters.
   */
  readonly isResource?: ResourceLookup;
}

/** {@link ResourceNamesOptions} of an application with more than one name or path. */
export interface ResolvedNames {
  /** A URL: whatever name it is asked under. A list has the host names in front. */
  readonly baseUrls: string | ReadonlyMap<string, string> | BaseUrlLookup;
  /** Of `mcpPath`, where it has parameters. */
  readonly template: PathTemplate | undefined;
  readonly mcpPath: string;
  readonly isResource: ResourceLookup;
  readonly devMode: boolean;
}

/**
 * In the place of the URI where only a request can tell it. No token has it as its audience, and nobody
 * gets to see it.
 */
export const UNRESOLVED_RESOURCE = 'https://unresolved.invalid/';

/** Those that say where a resource is, and its metadata. */
interface NamedOptions extends ResourceNamesOptions {
  readonly resource?: string;
  readonly resourceMetadataUrl?: unknown;
}

export const resourceNamesChecks: Record<keyof ResourceNamesOptions, Check> = {
  baseUrl: baseUrlsProblem,
  mcpPath: (value) => pathProblem(value) ?? pathTemplateProblem(String(value)),
  isResource: functionProblem,
};

function baseUrlsProblem(value: unknown, devMode: boolean): string | undefined {
  if (typeof value === 'function') return undefined;
  if (!Array.isArray(value)) return baseUrlProblem(value, devMode);
  if (value.length === 0) return 'must be a list with at least one entry';
  const urls = Array.from(value as unknown[]);
  const problem = urls.map((url) => baseUrlProblem(url, devMode)).find((one) => one !== undefined);
  if (problem !== undefined) return problem;
  const hosts = urls.map((url) => new URL(String(url)).hostname);
  const odd = hosts.find((host) => hostName(host) !== host);
  if (odd !== undefined) return `${odd} is no host name that a request is taken for`;
  const twice = hosts.find((host, index) => hosts.indexOf(host) !== index);
  return twice === undefined
    ? undefined
    : `two entries have the host name ${twice}: requests are told apart by that alone, not by the port`;
}

/**
 * Everything that is wrong with the options of a resource.
 *
 * @param checks of all of them.
 * @param options may be none at all.
 */
export function resourceProblems(
  options: NamedOptions | undefined,
  checks: Readonly<Record<string, Check>>,
  devMode: boolean,
): string[] {
  const problems = [
    ...problemsOf(options, checks, devMode),
    ...(missingResourceProblem(options) ?? []),
  ];
  return problems.length > 0 || options === undefined
    ? problems
    : [resourceNamesProblem(options, devMode) ?? []].flat();
}

function missingResourceProblem(options: NamedOptions | undefined): string[] | undefined {
  if (options?.resource !== undefined || options?.baseUrl !== undefined) return undefined;
  return [
    'resource: give either resource, or baseUrl (with mcpPath, default "/mcp"); ' +
      'authplaneOptionsFromEnv() takes them from AUTHPLANE_RESOURCE and AUTHPLANE_BASE_URL',
  ];
}

/** What options that are good by themselves are together. */
function resourceNamesProblem(options: NamedOptions, devMode: boolean): string | undefined {
  const { baseUrl, mcpPath = '', isResource, resource, resourceMetadataUrl } = options;
  const isTemplate = hasParameters(mcpPath);
  const isMany = isTemplate || (baseUrl !== undefined && typeof baseUrl !== 'string');
  if (isTemplate && isResource === undefined) {
    return (
      `mcpPath: "${mcpPath}" has parameters: give isResource, which says what values there are, or name the ` +
      'path of one resource here and further ones with AuthplaneModule.forFeature'
    );
  }
  if (isMany && resource !== undefined) {
    return 'resource: is one URI; with several names, or parameters in mcpPath, leave it out';
  }
  if (isMany && typeof resourceMetadataUrl === 'string') {
    return 'resourceMetadataUrl: is one URL for several resources; give a function: (resource) => url';
  }
  if (!isTemplate && isResource !== undefined) {
    return 'isResource: mcpPath has no parameter that it could be asked about';
  }
  return joinedProblem(options, devMode);
}

/** The parts make a URL that clients write in the same way; where a part varies, with one for all. */
function joinedProblem(
  { baseUrl, mcpPath = '/mcp' }: ResourceNamesOptions,
  devMode: boolean,
): string | undefined {
  const bases = typeof baseUrl === 'function' ? ['https://name.invalid'] : [baseUrl ?? []].flat();
  const path = hasParameters(mcpPath) ? new PathTemplate(mcpPath).filledWith('x') : mcpPath;
  const problem = bases
    .map((base) => publicUrlProblem(joinedUrl(base, path), devMode))
    .find((one) => one !== undefined);
  return problem === undefined ? undefined : `baseUrl and mcpPath: ${problem}`;
}

/** `undefined` where there is one resource, and it is known. */
export function withNames(
  { baseUrl, mcpPath = '/mcp', isResource }: ResourceNamesOptions,
  devMode: boolean,
): ResolvedNames | undefined {
  const template = hasParameters(mcpPath) ? new PathTemplate(mcpPath) : undefined;
  if (baseUrl === undefined || (typeof baseUrl === 'string' && template === undefined)) {
    return undefined;
  }
  return {
    baseUrls: isList(baseUrl) ? byHostName(baseUrl) : baseUrl,
    template,
    mcpPath,
    isResource: isResource ?? (() => true),
    devMode,
  };
}

function isList(
  baseUrl: NonNullable<ResourceNamesOptions['baseUrl']>,
): baseUrl is readonly string[] {
  return Array.isArray(baseUrl);
}

function byHostName(baseUrls: readonly string[]): ReadonlyMap<string, string> {
  return new Map(baseUrls.map((url) => [new URL(url).hostname, url]));
}

/** All resources, where all are known. */
export function knownResources({ baseUrls, template, mcpPath }: ResolvedNames): string[] {
  if (template !== undefined || !(baseUrls instanceof Map)) return [];
  return [...(baseUrls as ReadonlyMap<string, string>).values()].map((base) =>
    joinedUrl(base, mcpPath),
  );
}

/** Where there is one for each path: their URIs with the parameters, as far as the names are known. */
export function resourceTemplates({ baseUrls, template, mcpPath }: ResolvedNames): string[] {
  if (template === undefined || typeof baseUrls === 'function') return [];
  const bases = typeof baseUrls === 'string' ? [baseUrls] : [...baseUrls.values()];
  return bases.map((base) => joinedUrl(base, mcpPath));
}

/** Options with one resource or none. */
export type OneResource<Options> = Omit<Options, 'baseUrl'> & {
  readonly baseUrl?: string;
  readonly resource?: string;
};

/** As if there were one resource only: of many the first that is known, or what stands for all. */
export function asOneResource<Options extends ResourceNamesOptions>(
  { baseUrl, ...options }: Options,
  names: ResolvedNames | undefined,
): OneResource<Options> {
  if (names !== undefined) {
    return { ...options, resource: knownResources(names)[0] ?? UNRESOLVED_RESOURCE };
  }
  return typeof baseUrl === 'string' ? { ...options, baseUrl } : options;
}

/** For operators: what the resources look like. */
export function describedResources({ baseUrls, mcpPath }: ResolvedNames): string {
  if (typeof baseUrls === 'function') return `${mcpPath} of each host name`;
  const bases = typeof baseUrls === 'string' ? [baseUrls] : [...baseUrls.values()];
  return bases.map((base) => joinedUrl(base, mcpPath)).join(', ');
}

/** @throws CallbackError for what no option could be. */
export function checkedBaseUrl(
  baseUrl: unknown,
  { mcpPath, devMode }: Pick<ResolvedNames, 'mcpPath' | 'devMode'>,
): string | undefined {
  if (baseUrl === undefined) return undefined;
  const problem =
    typeof baseUrl === 'string'
      ? (baseUrlProblem(baseUrl, devMode) ?? joinedProblem({ baseUrl, mcpPath }, devMode))
      : 'must be a string';
  if (problem !== undefined) throw new CallbackError(`baseUrl gave no base URL: ${problem}`);
  return baseUrl as string; // or there is a problem
}

export function joinedUrl(baseUrl: string, path: string): string {
  return `${baseUrl.replace(/\/+$/, '')}${path}`;
}
