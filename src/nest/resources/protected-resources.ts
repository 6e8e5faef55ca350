import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { Events } from '../../core/events.js';
import type { ResolvedGuardOptions } from '../../core/options.js';
import type { AuthplaneResource } from '../../core/resource.js';
import { resourceMetadataPath, ROOT_METADATA_PATH } from '../../core/resource-metadata.js';
import { NO_SCOPES, type ScopeNeeds } from '../../core/lib/scopes.js';
import { AppUsers } from '../callers/app-user.js';
import { OtherCredentialsCheck } from '../callers/other-credentials.js';
import { AllowedOrigins } from '../mcp/allowed-origins.js';
import { EndpointRules } from '../mcp/endpoint-rules.js';
import { McpState } from '../mcp/state/server-state.js';
import type { GuardedApplication } from '../http/request.js';
import { GuardedStreams } from '../mcp/answers/stream-expiry.js';

/** A resource of the application, and what is asked of its requests. */
export interface ProtectedResource {
  /** `undefined`: the one of the module. */
  readonly name: string | undefined;
  readonly resource: AuthplaneResource;
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
}

/** All resources of the application: that of `forRoot`, and those of `forFeature` by name. */
export class ProtectedResources implements GuardedApplication {
  /** Whether methods ask for their caller: not when tests have replaced the guard. */
  isEnforced = true;
  /** Set at the start: a host library is in use that reads `request.user`. */
  publishesUser = false;
  readonly #named = new Map<string, ProtectedResource>();
  readonly #state = new McpState();
  readonly #isMainAtRoot: boolean;
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
    readonly options: ResolvedGuardOptions,
    { events = new Events(), isMainAtRoot = true }: ResourcesSurroundings = {},
  ) {
    this.events = events;
    this.#isMainAtRoot = isMainAtRoot;
    this.main = this.#protect(undefined, resource, options);
  }

  /** @throws ConfigurationError when the name, or the place of the metadata, is taken. */
  add(name: string, resource: AuthplaneResource, options: ResolvedGuardOptions): void {
    if (this.#named.has(name)) {
      throw new ConfigurationError(`forFeature: two resources are named "${name}"`);
    }
    const path = resourceMetadataPath(resource.resource);
    const same = this.all().find((other) => this.#metadataPathsOf(other).includes(path));
    if (same !== undefined) {
      throw new ConfigurationError(
        `forFeature "${name}": the metadata of ${resource.resource} would be at ${path}, where that of ` +
          `${same.resource.resource} (${same.name ?? 'forRoot'}) is; give it a path of its own`,
      );
    }
    this.#named.set(name, this.#protect(name, resource, options));
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
      `${found.resource.resource} is no MCP endpoint, as mcp: false says: leave that out, or name another resource`,
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
    options: ResolvedGuardOptions,
  ): ProtectedResource {
    const { enforceScopesOnAllRequests, mcp, devMode } = options;
    const baseNeeds = enforceScopesOnAllRequests ? { all: resource.scopes, anyOf: [] } : NO_SCOPES;
    const surroundings = { state: this.#state, events: this.events, devMode };
    const isMcp = mcp !== false;
    return {
      name,
      resource,
      baseNeeds,
      isMcp,
      mcp: new EndpointRules(resource, isMcp ? mcp : {}, surroundings),
      otherCredentials: otherCredentialsOf(resource, options),
      users: options.user ? new AppUsers(options.user, resource, this.events) : undefined,
    };
  }

  #metadataPathsOf(one: ProtectedResource): string[] {
    const path = resourceMetadataPath(one.resource.resource);
    return one === this.main && this.#isMainAtRoot ? [path, ROOT_METADATA_PATH] : [path];
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
