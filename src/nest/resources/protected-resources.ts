import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { Events } from '../../core/events.js';
import { type Clock, systemClock } from '../../core/lib/clock.js';
import { NO_PARAMS, type PathParams } from '../../core/names/path-template.js';
import type { ResolvedApplicationOptions, ResolvedGuardOptions } from '../../core/options.js';
import type { AuthplaneResource } from '../../core/resource.js';
import { ROOT_METADATA_PATH } from '../../core/resource-metadata.js';
import {
  describedResources,
  joinedUrl,
  knownResources,
  resourceTemplates,
  type ResolvedNames,
} from '../../core/names/settings.js';
import { NO_SCOPES, type ScopeNeeds } from '../../core/lib/scopes.js';
import { AppUsers } from '../callers/app-user.js';
import { OtherCredentialsCheck } from '../callers/other-credentials.js';
import { AllowedOrigins } from '../mcp/allowed-origins.js';
import { EndpointRules } from '../mcp/endpoint-rules.js';
import { McpState } from '../mcp/state/server-state.js';
import type { GuardedApplication } from '../http/request.js';
import { GuardedStreams } from '../mcp/answers/stream-expiry.js';
import { ManyResources } from './many-resources.js';

type ProtectionOptions = ResolvedGuardOptions & Partial<Pick<ResolvedApplicationOptions, 'names'>>;

/** A resource of the application, and what is asked of its requests. */
export interface ProtectedResource {
  /** `undefined`: the one of the module. */
  readonly name: string | undefined;
  /** Of many, the first that is known, or a stand-in for all. */
  readonly resource: AuthplaneResource;
  /** Where it is one for each name or path; which one, a request tells. */
  readonly many?: ManyResources<ProtectedResource> | undefined;
  /** Those that are known without a request. */
  readonly known: readonly AuthplaneResource[];
  /** The URIs of the others that are known without a request, with the parameters of their path. */
  readonly templates: readonly string[];
  /** Path of the endpoint in the URL, with parameters where it has some. */
  readonly path: string;
  /** URI or URIs, for operators. */
  readonly description: string;
  readonly baseNeeds: ScopeNeeds;
  /** `false`: no MCP endpoint, and nothing is asked of its rules. */
  readonly isMcp: boolean;
  readonly mcp: EndpointRules;
  /** `undefined`: access tokens only. */
  readonly otherCredentials: OtherCredentialsCheck | undefined;
  /** `undefined`: nobody asks the application. */
  readonly users: AppUsers | undefined;
}

interface ResourcesSurroundings {
  readonly events?: Events;
  /** Whether the root URL of the metadata is taken. */
  readonly isMainAtRoot?: boolean;
  readonly clock?: Clock;
}

/** All resources of the application: that of `forRoot`, and those of `forFeature` by name. */
export class ProtectedResources implements GuardedApplication {
  /** Whether methods ask for their caller: not when tests have replaced the guard. */
  isEnforced = true;
  carriesCallers = true;
  /** Set at the start: a host library is in use that reads `request.user`. */
  publishesUser = false;
  readonly #named = new Map<string, ProtectedResource>();
  readonly #state = new McpState();
  readonly #isMainAtRoot: boolean;
  readonly #clock: Clock;
  readonly events: Events;
  /** Of all resources: they end with the application. */
  readonly streams = new GuardedStreams();
  readonly main: ProtectedResource;
  /** Controllers that an MCP library has made: endpoints, whatever their path. Known once all modules are there. */
  readonly hostControllers = new Set<object>();
  /** Those with an endpoint that Nest's router does not serve, behind the middleware. */
  readonly mounted = new Set<ProtectedResource>();

  constructor(
    resource: AuthplaneResource,
    readonly options: ProtectionOptions,
    { events = new Events(), isMainAtRoot = true, clock = systemClock }: ResourcesSurroundings = {},
  ) {
    this.events = events;
    this.#isMainAtRoot = isMainAtRoot;
    this.#clock = clock;
    this.main = this.#protect(undefined, resource, options);
  }

  /** @throws ConfigurationError when the name, or the place of the metadata, is taken. */
  add(name: string, resource: AuthplaneResource, options: ProtectionOptions): void {
    if (this.#named.has(name)) {
      throw new ConfigurationError(`forFeature: two resources are named "${name}"`);
    }
    const added = this.#protect(name, resource, options);
    const [path = ''] = this.#metadataPathsOf(added);
    const same = this.all().find((other) => this.#metadataPathsOf(other).includes(path));
    if (same !== undefined) {
      throw new ConfigurationError(
        `forFeature "${name}": the metadata of ${added.description} would be at ${path}, where that of ` +
          `${same.description} (${same.name ?? 'forRoot'}) is; give it a path of its own`,
      );
    }
    this.#named.set(name, added);
  }

  /** @throws ConfigurationError for a name that no `forFeature` has given. */
  get(name: string | undefined): ProtectedResource {
    if (name === undefined) return this.main;
    const found = this.#named.get(name);
    if (found !== undefined) return found;
    const known = [...this.#named.keys()].map((other) => `"${other}"`).join(', ') || 'none';
    throw new ConfigurationError(
      `@UseResource("${name}"): no such resource; AuthplaneModule.forFeature has named: ${known}`,
    );
  }

  /** @throws ConfigurationError for a name that no `forFeature` has given. */
  resourceNamed(name: string): AuthplaneResource {
    return this.get(name).resource;
  }

  /** @throws ConfigurationError for a name that no `forFeature` has given, and for what is no MCP endpoint. */
  endpoint(name: string | undefined): ProtectedResource {
    const found = this.get(name);
    if (found.isMcp) return found;
    throw new ConfigurationError(
      `${found.description} is no MCP endpoint, as mcp: false says: leave that out, or name another resource`,
    );
  }

  /** Whose tools those of decorators are, as far as can be told before a call. */
  get mcpMain(): ProtectedResource {
    return this.endpoints[0] ?? this.main;
  }

  /** Those that are MCP endpoints. */
  get endpoints(): ProtectedResource[] {
    return this.all().filter(({ isMcp }) => isMcp);
  }

  all(): ProtectedResource[] {
    return [this.main, ...this.#named.values()];
  }

  #protect(
    name: string | undefined,
    resource: AuthplaneResource,
    options: ProtectionOptions,
  ): ProtectedResource {
    const { enforceScopesOnAllRequests, mcp, devMode, names } = options;
    const isMcp = mcp !== false;
    const surroundings = { state: this.#state, events: this.events, devMode };
    const rules = new EndpointRules(resource, isMcp ? mcp : {}, surroundings);
    const baseNeeds = enforceScopesOnAllRequests ? { all: resource.scopes, anyOf: [] } : NO_SCOPES;
    const users = options.user ? new AppUsers(options.user, resource, this.events) : undefined;
    const at = (one: AuthplaneResource, its = rules) => ({
      ...{ name, baseNeeds, isMcp, resource: one, mcp: its, ...placeOf(one) },
      otherCredentials: otherCredentialsOf(one, options),
      users: users?.at(one),
    });
    if (names === undefined) return at(resource);
    const make = (uri: string, params: PathParams): ProtectedResource => {
      const member = resource.at(uri, params);
      return at(member, rules.at(member));
    };
    return {
      ...at(resource),
      many: new ManyResources({ names, clock: this.#clock, make }),
      known: knownResources(names).map((uri) => resource.at(uri, NO_PARAMS)),
      templates: resourceTemplates(names),
      path: pathOf(names, resource),
      description: describedResources(names),
    };
  }

  /** Where its document is served, whatever the parameters are called. */
  #metadataPathsOf(one: ProtectedResource): string[] {
    const segments = one.path.split('/').map((text) => (text.startsWith(':') ? ':' : text));
    const own = `${ROOT_METADATA_PATH}${segments.join('/').replace(/\/+$/, '')}`;
    return one === this.main && this.#isMainAtRoot ? [own, ROOT_METADATA_PATH] : [own];
  }
}

function otherCredentialsOf(
  resource: AuthplaneResource,
  { otherCredentials: ask, mcp, devMode }: ResolvedGuardOptions,
): OtherCredentialsCheck | undefined {
  if (ask === undefined || ask === false) return undefined;
  const origins = new AllowedOrigins(resource, mcp === false ? {} : mcp, devMode);
  return new OtherCredentialsCheck(ask, resource, origins);
}

function placeOf(resource: AuthplaneResource) {
  const { pathname } = new URL(resource.resource);
  return { known: [resource], templates: [], path: pathname, description: resource.resource };
}

/** Of a name that nobody has asked for yet only the end is known. */
function pathOf({ baseUrls, mcpPath, template }: ResolvedNames, { resource }: AuthplaneResource) {
  if (typeof baseUrls === 'function') return mcpPath;
  if (template === undefined) return new URL(resource).pathname;
  const [base = ''] = typeof baseUrls === 'string' ? [baseUrls] : baseUrls.values();
  return joinedUrl(new URL(base).pathname, mcpPath);
}
